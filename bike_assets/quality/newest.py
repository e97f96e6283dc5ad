"""The newest rows of a table: to be looked at, and to tell how old they are."""

from datetime import date, datetime
from typing import Any

import duckdb

from bike_assets.model.schema import Table
from bike_assets.quality.found import of_dates


def newest_rows(
    con: duckdb.DuckDBPyConnection, table: Table, first: date | None, last: date | None, most: int
) -> list[tuple[Any, ...]]:
    """At most so many rows of these dates, or of the whole table; the newest first, by what of the key says when."""
    times = [name for name in table.grain if table.column(name).type in {"timestamp", "date"}]
    order = ", ".join([*(f"{name} DESC" for name in reversed(times)), *(n for n in table.grain if n not in times)])
    rows = con.sql(f"FROM {table.name} WHERE {of_dates(table, first, last)} ORDER BY {order} LIMIT {most}")
    return rows.fetchall()


def newest_instant(con: duckdb.DuckDBPyConnection, table: Table, first: date, last: date) -> datetime | None:
    """The last instant in the key of these dates' rows; None where there is no row."""
    instant = table.dated_by or next(
        (name for name in reversed(table.grain) if table.column(name).type == "timestamp"), None
    )
    if instant is None:
        return None  # as of sums over all time
    rows = con.sql(f"SELECT max({instant}) FROM {table.name} WHERE {of_dates(table, first, last)}")
    found: datetime | None = rows.fetchall()[0][0]
    return found
