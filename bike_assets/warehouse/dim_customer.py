"""`warehouse.dim_customer` from a list of customers: a version ends where the list says something else."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from bike_assets.lake.rows import read_rows, replace_rows
from bike_assets.lake.tables import arrow_schema, ensure_table, open_table
from bike_assets.model.errors import CustomersLost
from bike_assets.model.warehouse import DIM_CUSTOMER
from bike_assets.warehouse.customers import Customer

FIRST = datetime(1970, 1, 1, tzinfo=UTC)


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


def refuse_losses(before: Iterable[Mapping[str, Any]], customers: Mapping[str, Customer]) -> None:
    """Raises CustomersLost where more than half of those that are current are not in the list.

    A list that is empty, or was cut off, says the same of them as one that they left: nobody would notice.
    """
    current = {row["customer_id"] for row in before if row["is_current"]}
    lost = current - customers.keys()
    if 2 * len(lost) > len(current):
        raise CustomersLost(
            f"The list of customers lacks {len(lost):,} of the {len(current):,} that it had: nobody was ended. If they "
            "are gone, `bike customers --most-are-gone` takes it."
        )


def build_customers(
    lake: Path, customers: Mapping[str, Customer], now: datetime, *, may_lose_most: bool = False
) -> int:
    """Bring the table to what the list says now; its rows. The same list again writes nothing.

    Raises CustomersLost where it lacks most of the customers, unless it may.
    """
    ensure_table(lake, DIM_CUSTOMER)
    delta = open_table(lake, DIM_CUSTOMER)
    before = read_rows(delta, DIM_CUSTOMER).sort_by([(name, "ascending") for name in DIM_CUSTOMER.grain]).to_pylist()
    if not may_lose_most:
        refuse_losses(before, customers)
    after = versions(before, customers, now)
    if after != before:
        replace_rows(delta, DIM_CUSTOMER, pa.Table.from_pylist(after, arrow_schema(DIM_CUSTOMER)), None)
    return len(after)
