"""`warehouse.dim_customer` from a list of customers: a version ends where the list says something else."""

import csv
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from bike_assets.lake.rows import read_rows, replace_rows
from bike_assets.lake.tables import arrow_schema, ensure_table, open_table
from bike_assets.model.errors import WrongSettings
from bike_assets.model.warehouse import DIM_CUSTOMER

FIRST = datetime(1970, 1, 1, tzinfo=UTC)
UNKNOWN = "unknown"
STATE_CHARACTERS = 64


class Customer(NamedTuple):
    """What the list says of a customer."""

    state: str
    details: str | None


def read_customers(path: Path) -> dict[str, Customer]:
    """The customers of a CSV by their id. Raises WrongSettings naming the file and the line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _customers(path, csv.DictReader(file, strict=True))
    except (OSError, UnicodeError, csv.Error) as err:
        raise WrongSettings(f"{path} cannot be read as a CSV of customers: {err}.") from None


def _customers(path: Path, rows: "csv.DictReader[str]") -> dict[str, Customer]:
    missing = {"id", "state"} - set(rows.fieldnames or ())
    if missing:
        raise WrongSettings(f"{path} has no column {min(missing)}; a list of customers has `id` and `state`.")
    found: dict[str, Customer] = {}
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        if None in row or None in row.values():
            raise WrongSettings(f"{where}: it has not as many values as the first line has names.")
        key, state = (row.pop("id") or "").strip(), (row.pop("state") or "").strip()
        if len(state) > STATE_CHARACTERS:
            raise WrongSettings(f"{where}: the state has more than {STATE_CHARACTERS} characters.")
        if not key or key in found:
            raise WrongSettings(f"{where}: " + ("the id is empty." if not key else f"{key} stands in two lines."))
        details = json.dumps(row, sort_keys=True, ensure_ascii=False) if row else None
        found[key] = Customer(state or UNKNOWN, details)
    return found


def versions(
    before: Iterable[Mapping[str, Any]], customers: Mapping[str, Customer], now: datetime
) -> list[dict[str, Any]]:
    """The rows of the table once the list says this: those of before, ended at `now` where it says something else.

    Who is no longer in the list was true until `now`: later orders of theirs count under `unknown`. A customer's first
    version holds from 1970 on, so that orders from before the list are theirs too.
    """
    rows: list[dict[str, Any]] = []
    current: dict[str, bool] = {}
    for row in before:
        key = row["customer_id"]
        is_same = row["is_current"] and customers.get(key) == Customer(row["state"], row["details"])
        rows.append(dict(row) if is_same or not row["is_current"] else {**row, "valid_to": now, "is_current": False})
        current[key] = is_same or current.get(key, False)
    for key, customer in customers.items():
        if not current.get(key, False):
            begins = now if key in current else FIRST
            rows.append({"customer_id": key, "valid_from": begins, **customer._asdict(), "valid_to": None,
                         "is_current": True})  # fmt: skip
    return sorted(rows, key=lambda row: (row["customer_id"], row["valid_from"]))


def build_customers(lake: Path, path: Path, now: datetime) -> int:
    """Bring the table to what the list says now; its rows. The same list again writes nothing."""
    customers = read_customers(path)
    ensure_table(lake, DIM_CUSTOMER)
    delta = open_table(lake, DIM_CUSTOMER)
    before = read_rows(delta, DIM_CUSTOMER).sort_by([(name, "ascending") for name in DIM_CUSTOMER.grain]).to_pylist()
    after = versions(before, customers, now)
    if after != before:
        replace_rows(delta, DIM_CUSTOMER, pa.Table.from_pylist(after, arrow_schema(DIM_CUSTOMER)), None)
    return len(after)
