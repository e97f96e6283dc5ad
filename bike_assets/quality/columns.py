"""Columns: what the model says of each, its values hold."""

from collections.abc import Iterator
from datetime import date

import duckdb

from bike_assets.model.schema import Column, Table
from bike_assets.quality.found import Found, look, of_dates


def no_negative(
    con: duckdb.DuckDBPyConnection, table: Table, first: date | None = None, last: date | None = None
) -> Found:
    """Every value lies in its column's range, whose low end is mostly 0; null stands only where it may.

    A number that is none (NaN) lies in no range. Looks at the whole table, or at these dates of it.
    """
    rows = f"{table.name} WHERE {of_dates(table, first, last)}"
    wrong = ", ".join(
        f"CASE WHEN {condition} THEN '{column.name} ' || coalesce(own.{column.name}::VARCHAR, 'null') END"
        for column in table.columns
        if (condition := " OR ".join(_wrong(column)))
    )
    keys = ", ".join(table.grain)
    return look(
        con,
        rows,
        f"""
        SELECT * FROM (SELECT {keys}, concat_ws(', ', {wrong}) AS wrong FROM (FROM {rows}) AS own)
        WHERE wrong <> '' ORDER BY ALL
        """,
    )


def _wrong(column: Column) -> Iterator[str]:
    value = f"own.{column.name}"  # a column may have a name that SQL keeps for itself, as `full`
    if not column.nullable:
        yield f"{value} IS NULL"
    if column.type == "double":
        yield f"isnan({value})"
    if column.low is not None:
        yield f"{value} < {column.low}"
    if column.high is not None:
        yield f"{value} > {column.high}"
