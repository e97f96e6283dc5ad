"""What a check found, and the days that it looks at."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb

from bike_assets.model.schema import Column, Table

FIRST = 20
DAY = timedelta(days=1)

SETTLED = "now() - INTERVAL 5 MINUTES"
"""In SQL. What is newer may be on its way from one table to the next, and is looked at the next time."""


@dataclass(frozen=True, slots=True)
class Found:
    """How many rows were looked at, how many were bad, the first of those, and the query that shows all.

    Nothing checked is not a pass: whoever judges looks at `checked` too.
    """

    checked: int
    bad: int
    first_bad: list[dict[str, Any]]
    query: str


def look(con: duckdb.DuckDBPyConnection, checked: str, bad: str) -> Found:
    """Run a check: `checked` is what was looked at, as it stands after FROM; `bad` the query of what is wrong in it."""
    count = con.sql(f"SELECT count(*) FROM {checked}").fetchall()[0][0]
    wrong = con.sql(bad)
    rows = wrong.limit(FIRST).fetchall()
    first = [{name: _plain(value) for name, value in zip(wrong.columns, row, strict=True)} for row in rows]
    bad_rows = con.sql(f"SELECT count(*) FROM ({bad})").fetchall()[0][0] if rows else 0
    return Found(count, bad_rows, first, " ".join(bad.split()))


def of_dates(table: Table, first: date | None, last: date | None) -> str:
    """The condition that picks a table's rows of these dates, both included: all rows where no dates are given.

    It is put on the partition, so that no other files are read; on the instant in the key where there is none. A
    table without either is small, and taken whole.
    """
    instants = [name for name in table.grain if table.column(name).type == "timestamp"]
    dated = [*table.partitioned_by, *instants]
    if first is None or last is None or not dated:
        return "true"
    return between(table.column(dated[0]), first, last)


def between(column: Column, first: date, last: date) -> str:
    """The condition that a date, or an instant's UTC date, lies between these, both included."""
    if column.type == "date":
        return f"{column.name} BETWEEN {literal(first)} AND {literal(last)}"
    return f"{column.name} >= {midnight(first)} AND {column.name} < {midnight(last + DAY)}"


def literal(day: date) -> str:
    """A date in SQL; only what is a date comes into the text of a query."""
    return f"DATE '{day:%Y-%m-%d}'"


def midnight(day: date) -> str:
    """The instant in SQL at which a UTC date begins."""
    return f"({literal(day)}::TIMESTAMP AT TIME ZONE 'UTC')"


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def is_over(is_complete: str, ends: str, last: date) -> str:
    """The condition that a local date was over when its row was built, if it reaches past the UTC date `last`.

    What was polled of one that still went on is more by now than its row was built of; the next day's run builds it
    anew, and looks at it then.
    """
    return f"({is_complete} IS DISTINCT FROM false OR {ends} <= {midnight(last + DAY)})"
