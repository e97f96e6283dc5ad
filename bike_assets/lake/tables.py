"""The lake's Delta tables: made from the model, and looked at without a JVM."""

import json
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.schema import Schema

from bike_assets.model.errors import LakeBroken
from bike_assets.model.schema import Column, ColumnType, Table

_ARROW: dict[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "decimal(12,2)": pa.decimal128(12, 2),
    "decimal(28,2)": pa.decimal128(28, 2),
}


def table_path(lake: Path, table: Table) -> Path:
    """Where a table lives: `<lake>/<schema>/<table>`."""
    return lake.joinpath(*table.path)


def is_there(lake: Path, table: Table) -> bool:
    """Whether the table was made."""
    return (table_path(lake, table) / "_delta_log").exists()


def arrow_schema(table: Table) -> pa.Schema:
    """The table's schema as Arrow's, descriptions as the comments that Delta keeps."""
    return pa.schema([_arrow_field(column) for column in table.columns])


def _arrow_field(column: Column) -> pa.Field:
    # Never NOT NULL: Spark could not then write a column that it believes nullable; a check holds it.
    return pa.field(column.name, _ARROW[column.type], metadata={"comment": column.description})


def ensure_table(lake: Path, table: Table) -> None:
    """Make the table where it is missing, empty, with the features that the model fixes."""
    if is_there(lake, table):
        return
    DeltaTable.create(
        str(table_path(lake, table)),
        Schema.from_arrow(arrow_schema(table)),
        mode="ignore",
        partition_by=list(table.partitioned_by),
        name=table.name,
        description=table.description,
        configuration=table.properties,
    )


def open_table(lake: Path, table: Table) -> DeltaTable:
    """The table at its newest version. Raises LakeBroken naming it."""
    try:
        return DeltaTable(str(table_path(lake, table)))
    except TableNotFoundError:
        raise LakeBroken(f"{table.name} does not exist yet; `bike drain` makes it.") from None
    except (DeltaError, OSError) as err:
        said = (str(err).strip() or type(err).__name__).splitlines()[0].rstrip(".")
        raise LakeBroken(f"{table.name} cannot be read: {said}.") from None


def directory_of(delta: DeltaTable) -> Path:
    """Where an opened table lives: its address is an URI, where a space is %20."""
    return Path(unquote(delta.table_uri.removeprefix("file://")))


def actions_of(delta: DeltaTable, version: int) -> list[dict[str, Any]] | None:
    """What a commit of the table did, an action each; None where its log was let go."""
    commit = directory_of(delta) / "_delta_log" / f"{version:020}.json"
    return [json.loads(line) for line in commit.read_text().splitlines()] if commit.exists() else None


def files_added(delta: DeltaTable, since: int) -> list[list[str]] | None:
    """The files that each version after `since` added; None where that cannot be said: the log was let go, or rows
    were taken out. A version that only moves rows adds none.
    """
    found: list[list[str]] = []
    for version in range(since + 1, delta.version() + 1):
        actions = actions_of(delta, version)
        if actions is None or any(each["remove"]["dataChange"] for each in actions if "remove" in each):
            return None
        found.append([each["add"]["path"] for each in actions if "add" in each and each["add"]["dataChange"]])
    return found


def checkpoint(delta: DeltaTable, table: Table) -> None:
    """Make a checkpoint where the table's properties want one by now.

    Hadoop's checksum of `_last_checkpoint` goes away: a wrong one makes Spark's first look slow.
    """
    log = directory_of(delta) / "_delta_log"
    if delta.version() - _last_checkpoint(log) >= int(table.properties["delta.checkpointInterval"]):
        delta.create_checkpoint()
        (log / "._last_checkpoint.crc").unlink(missing_ok=True)


def _last_checkpoint(log: Path) -> int:
    """The version of the newest checkpoint; -1 before the first, and where what says so was torn by a power cut."""
    try:
        return int(json.loads((log / "_last_checkpoint").read_text())["version"])
    except (FileNotFoundError, ValueError):
        return -1


class OpenTables:
    """Tables of a lake that stay open: with each look only the log's new entries are read."""

    def __init__(self, lake: Path) -> None:
        self.lake = lake
        self._opened: dict[str, DeltaTable] = {}

    def newest(self, table: Table) -> DeltaTable:
        """The table at its newest version. Raises LakeBroken naming it."""
        opened = self._opened.pop(table.name, None)
        if opened is None:
            opened = open_table(self.lake, table)
        elif _has_newer(opened):
            try:
                opened.update_incremental()
            except (DeltaError, OSError):  # the entries that would follow were let go, perhaps
                opened = open_table(self.lake, table)
        self._opened[table.name] = opened
        return opened

    def rows_by_day(self, table: Table) -> dict[date | None, int]:
        """How many rows each day has, by the log alone; under None those of a table without days."""
        return _sums_by_day(self.newest(table), table, "num_records") if is_there(self.lake, table) else {}

    def bytes_by_day(self, table: Table) -> dict[date | None, int]:
        """How many bytes the files of each day have, by the log alone; under None those of a table without days."""
        return _sums_by_day(self.newest(table), table, "size_bytes") if is_there(self.lake, table) else {}


def _has_newer(delta: DeltaTable) -> bool:
    """Whether there may be a later version than the one that is open: to look takes a hundredth of reading the log.

    Where the log's old entries were removed, the next one may be gone too, and the open one with it.
    """
    log, version = directory_of(delta) / "_delta_log", delta.version()
    return (log / f"{version + 1:020}.json").exists() or not (log / f"{version:020}.json").exists()


def row_count(lake: Path, table: Table, days: tuple[date, date] | None = None) -> int:
    """How many rows the table has, or these days of it, by its Delta log alone; 0 where it is not there."""
    return _sum_of(rows_by_day(lake, table), days)


def rows_by_day(lake: Path, table: Table) -> dict[date | None, int]:
    """How many rows each day has, for who asks once."""
    return OpenTables(lake).rows_by_day(table)


def rows_in(delta: DeltaTable, table: Table, days: tuple[date, date] | None = None) -> int:
    """How many rows a table that was opened has, or these days of it."""
    return _sum_of(_sums_by_day(delta, table, "num_records"), days if table.partitioned_by else None)


def _sum_of(by_day: dict[date | None, int], days: tuple[date, date] | None) -> int:
    if days is None:
        return sum(by_day.values())
    first, last = days
    return sum(count for day, count in by_day.items() if day is not None and first <= day <= last)


def _sums_by_day(delta: DeltaTable, table: Table, column: str) -> dict[date | None, int]:
    return {day: sum(figures) for day, figures in files_by_day(delta, table, column).items()}


def files_by_day(delta: DeltaTable, table: Table, column: str) -> dict[date | None, list[Any]]:
    """What the log has in a column of each file, by day; under None those of a table without days."""
    files = pa.table(delta.get_add_actions(flatten=True))
    values = files[column].to_pylist()
    days = files[f"partition.{table.partitioned_by[0]}"].to_pylist() if table.partitioned_by else [None] * len(values)
    found: defaultdict[date | None, list[Any]] = defaultdict(list)
    for day, value in zip(days, values, strict=True):
        found[day].append(value)
    return found
