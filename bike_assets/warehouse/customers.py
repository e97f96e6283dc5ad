"""The list of customers as whoever keeps it has it: a CSV, Parquet or a Delta table, or a table of a database."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError

from bike_assets.addresses import DRIVERS, address, reason
from bike_assets.model.errors import CustomersUnavailable, WrongSettings

UNKNOWN = "unknown"
STATE_CHARACTERS = 64
CONNECT_S = 10


class Customer(NamedTuple):
    """What the list says of a customer."""

    state: str
    details: str | None


class Row(NamedTuple):
    """A row of the list, and where it stands in it."""

    where: str
    values: Mapping[str, Any]


def read_list(path: Path | None, database: str | None, table: str) -> dict[str, Customer]:
    """The customers by their id, of the one list that the settings name. Raises WrongSettings, CustomersUnavailable."""
    if (path is None) == (database is None):
        told = "both name a list: one of them is to" if path is not None else "name no list: one of them may"
        raise WrongSettings(f"BIKE_CUSTOMERS and BIKE_CUSTOMERS_DATABASE {told} name the customers.")
    return read_customers(path) if path is not None else read_database(str(database), table)


def read_customers(path: Path) -> dict[str, Customer]:
    """Those of a file, or of a directory that is a Delta table. Raises WrongSettings naming it and the line."""
    try:
        if path.is_dir():
            return _customers(_rows_of(str(path), DeltaTable(str(path)).to_pyarrow_table()))
        if path.suffix == ".parquet":
            with duckdb.connect() as con:
                rows = con.read_parquet(str(path)).to_arrow_table()
            return _customers(_rows_of(str(path), rows))
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _customers(_lines(path, csv.DictReader(file, strict=True)))
    except (OSError, UnicodeError, csv.Error, duckdb.Error, pa.ArrowException, DeltaError) as err:
        kind = "a Delta table" if path.is_dir() else path.suffix.removeprefix(".") or "CSV"
        raise WrongSettings(f"{path} cannot be read as {kind} of customers: {str(err).splitlines()[0]}.") from None


def read_database(url: str, table: str) -> dict[str, Customer]:
    """Those of a table of a database. Raises WrongSettings, CustomersUnavailable, without the password."""
    try:
        parsed = address(url)
        waits = {"connect_timeout": CONNECT_S} if parsed.drivername in DRIVERS.values() else {}
        engine = sa.create_engine(parsed, connect_args=waits, poolclass=sa.NullPool)
    except (ArgumentError, NoSuchModuleError):
        raise WrongSettings(
            "BIKE_CUSTOMERS_DATABASE is no SQLAlchemy URL, as postgresql://user:password@host/database."
        ) from None
    schema, _, name = table.rpartition(".")
    place = f"{table} of {parsed.render_as_string(hide_password=True)}"
    try:
        with engine.connect() as con:
            known = sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=con)
            rows = con.execute(sa.select(known))
            _refuse_without_columns(place, known.columns.keys())
            return _customers(Row(f"{place}, row {number}", dict(row)) for number, row in enumerate(rows.mappings(), 1))
    except NoSuchTableError:
        raise WrongSettings(f"There is no {place}: BIKE_CUSTOMERS_TABLE names the customers' table.") from None
    except SQLAlchemyError as err:
        raise CustomersUnavailable(f"{place} cannot be read: {reason(err)}") from None


def _lines(path: Path, rows: "csv.DictReader[str]") -> Iterator[Row]:
    _refuse_without_columns(str(path), rows.fieldnames or ())
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        if None in row or None in row.values():
            raise WrongSettings(f"{where}: it has not as many values as the first line has names.")
        yield Row(where, row)


def _rows_of(place: str, rows: pa.Table) -> Iterator[Row]:
    _refuse_without_columns(place, rows.column_names)
    for number, row in enumerate(rows.to_pylist(), start=1):
        yield Row(f"{place}, row {number}", row)


def _customers(rows: Iterable[Row]) -> dict[str, Customer]:
    found: dict[str, Customer] = {}
    for where, values in rows:
        texts = {name: None if value is None else str(value) for name, value in values.items()}
        key, state = (texts.pop("id") or "").strip(), (texts.pop("state") or "").strip()
        if len(state) > STATE_CHARACTERS:
            raise WrongSettings(f"{where}: the state has more than {STATE_CHARACTERS} characters.")
        if not key or key in found:
            raise WrongSettings(f"{where}: " + ("the id is empty." if not key else f"{key} stands there twice."))
        details = json.dumps(texts, sort_keys=True, ensure_ascii=False) if texts else None
        found[key] = Customer(state or UNKNOWN, details)
    return found


def _refuse_without_columns(place: str, columns: Iterable[str]) -> None:
    missing = {"id", "state"} - set(columns)
    if missing:
        raise WrongSettings(f"{place} has no column {min(missing)}; a list of customers has `id` and `state`.")
