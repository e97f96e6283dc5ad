"""Days of which a streaming query of Spark's over the lake's tables has not read all rows yet: by its checkpoint alone.

The offset of a table is the first version that is still to be read. A version that only moves rows, or takes some out,
is none to the query: it passes over these.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from bike_assets.lake.tables import actions_of, is_there, open_table, rows_by_day
from bike_assets.model.schema import Table

LIVE_QUERY = "live"


def days_unread(lake: Path, tables: Iterable[Table], query: str = LIVE_QUERY) -> set[date]:
    """The days of these tables with rows that the query has not done with; all where it has none of a table's."""
    read = _versions_read(lake / "_checkpoints" / query)
    return {day for table in tables if is_there(lake, table) for day in _of_table(lake, table, read)}


def _versions_read(checkpoint: Path) -> dict[str, int]:
    """The first version that is to be read of each table, by the table's id, as of the last batch that was done."""
    done = [int(file.name) for file in (checkpoint / "commits").glob("*") if file.name.isdigit()]
    if not done:
        return {}
    _version, _metadata, *sources = (checkpoint / "offsets" / str(max(done))).read_text().splitlines()
    offsets = [json.loads(each) for each in sources]
    return {each["reservoirId"]: each["reservoirVersion"] for each in offsets}


def _of_table(lake: Path, table: Table, read: dict[str, int]) -> Iterator[date]:
    delta = open_table(lake, table)
    first = read.get(str(delta.metadata().id), 0)
    for version in range(first, delta.version() + 1):
        actions = actions_of(delta, version)
        if actions is None:  # so long has the query not come to it
            yield from (day for day in rows_by_day(lake, table) if day is not None)
            return
        yield from _days_added(actions, table)


def _days_added(actions: Iterable[dict[str, Any]], table: Table) -> Iterator[date]:
    """The days to which a commit adds rows; none where it also takes some out."""
    if any(each["remove"]["dataChange"] for each in actions if "remove" in each):
        return
    for each in actions:
        if "add" in each and each["add"]["dataChange"]:
            yield date.fromisoformat(each["add"]["partitionValues"][table.partitioned_by[0]])
