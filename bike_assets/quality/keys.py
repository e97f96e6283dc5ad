"""Keys: one row of each, in every table."""

import duckdb

from bike_assets.model.schema import Table
from bike_assets.quality.found import Found, look


def keys_are_unique(con: duckdb.DuckDBPyConnection, table: Table) -> Found:
    """No two rows of a table have the same key."""
    keys = ", ".join(table.grain)
    return look(
        con,
        table.name,
        f"SELECT {keys}, count(*) AS rows FROM {table.name} GROUP BY {keys} HAVING count(*) > 1 ORDER BY ALL",
    )
