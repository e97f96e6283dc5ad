"""Keys: one row of each, in every table."""

from datetime import date

import duckdb

from bike_assets.model.schema import Table
from bike_assets.quality.found import Found, look, of_dates


def keys_are_unique(
    con: duckdb.DuckDBPyConnection, table: Table, first: date | None = None, last: date | None = None
) -> Found:
    """No two rows of a table, or of these dates of it, have the same key."""
    keys, rows = ", ".join(table.grain), f"{table.name} WHERE {of_dates(table, first, last)}"
    return look(
        con, rows, f"SELECT {keys}, count(*) AS rows FROM {rows} GROUP BY {keys} HAVING count(*) > 1 ORDER BY ALL"
    )
