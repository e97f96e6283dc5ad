"""What a table holds, as the lake's own reader and a database's own client tell it, in the same words."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from bike_assets.lake.duck import connect
from bike_assets.model.schema import Column, Table
from bike_assets.model.star import DIMENSIONS, FACTS

Rows = list[tuple[Any, ...]]
TABLES = (*DIMENSIONS, *FACTS)


def in_lake(lake: Path, table: Table) -> Rows:
    """The lake's rows, by DuckDB."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    with connect(lake, [table]) as con:
        return _sorted(con.sql(f"SELECT {names} FROM {table.name}").fetchall())  # noqa: S608


def told(table: Table, rows: Iterable[Mapping[str, Any]]) -> Rows:
    """The rows that a client told as JSON."""
    return _sorted(tuple(_value(column, row[column.name]) for column in table.columns) for row in rows)


def _sorted(rows: Iterable[tuple[Any, ...]]) -> Rows:
    return sorted(rows, key=str)


def _value(column: Column, value: Any) -> Any:
    if value is None:
        return None
    match column.type:
        case "timestamp":
            instant = datetime.fromisoformat(value)
            return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        case "date":
            return date.fromisoformat(value)
        case "boolean":
            return bool(int(value))
        case _:
            return value
