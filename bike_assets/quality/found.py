"""What a check found."""

from dataclasses import dataclass
from typing import Any

import duckdb

FIRST = 20


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
    """Run a check: `checked` is the relation that was looked at, `bad` the query of what is wrong in it."""
    count = con.sql(f"SELECT count(*) FROM {checked}").fetchall()[0][0]
    wrong = con.sql(bad)
    rows = wrong.limit(FIRST).fetchall()
    first = [{name: _plain(value) for name, value in zip(wrong.columns, row, strict=True)} for row in rows]
    bad_rows = con.sql(f"SELECT count(*) FROM ({bad})").fetchall()[0][0] if rows else 0
    return Found(count, bad_rows, first, " ".join(bad.split()))


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else str(value)
