"""Rows written into a lake without Spark."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from deltalake import write_deltalake
from msgspec import Struct

from bike_assets.lake.tables import arrow_schema, ensure_table, table_path
from bike_assets.model.schema import Table


def write(lake: Path, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows to the table, made first where it is missing; a column that is not given is null."""
    ensure_table(lake, table)
    write_deltalake(str(table_path(lake, table)), pa.Table.from_pylist(list(rows), arrow_schema(table)), mode="append")


def write_messages(lake: Path, table: Table, *messages: Struct) -> None:
    """Append messages to their table of events as the stream does, one offset after the other."""
    write(
        lake,
        table,
        (
            msgspec.structs.asdict(message)
            | {"utc_date": getattr(message, table.dated_by).date(), "kafka_partition": 0, "kafka_offset": offset}
            for offset, message in enumerate(messages)
        ),
    )
