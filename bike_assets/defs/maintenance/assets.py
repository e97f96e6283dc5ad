"""The lake's upkeep: small files joined, old ones removed, each run with the sizes before and after."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import dagster as dg

from bike_assets.defs.columns import OWNERS
from bike_assets.defs.links import links
from bike_assets.defs.pools import WAREHOUSE
from bike_assets.defs.resources import Lake
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_TABLES, KEPT, TABLES

if TYPE_CHECKING:
    from bike_assets.lake.maintenance import Maintained

GROUP = "maintenance"


def _upkeep(lake: Lake, tables: Iterable[Table], work: Callable[[Table], "Maintained"]) -> dg.MaterializeResult[None]:
    """Work on each table, and what came of it."""
    done = {table: work(table) for table in tables}
    records = [
        dg.TableRecord({
            "table": table.name,
            "files_before": each.before.files, "files_after": each.after.files,
            "bytes_before": each.before.bytes, "bytes_after": each.after.bytes,
            "left_for_next_time": len(each.left),
        })
        for table, each in done.items()
    ]  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "files_before": sum(each.before.files for each in done.values()),
            "files_after": sum(each.after.files for each in done.values()),
            "bytes_before": sum(each.before.bytes for each in done.values()),
            "bytes_after": sum(each.after.bytes for each in done.values()),
            "tables": dg.MetadataValue.table(records),
        }
    )


@dg.asset(key=["maintenance", "compaction"], group_name=GROUP, kinds={"deltalake"}, owners=OWNERS, metadata=links(),
          pool=WAREHOUSE)  # fmt: skip
def compaction(lake: Lake) -> dg.MaterializeResult[None]:
    """The small files of days that are over joined to few, stations side by side. Nothing in the tables changes."""
    from bike_assets.lake.maintenance import compact

    return _upkeep(lake, TABLES, lambda table: compact(lake.directory, table, lake.days_over(table)))


@dg.asset(key=["maintenance", "retention"], group_name=GROUP, kinds={"deltalake"}, owners=OWNERS, metadata=links(),
          pool=WAREHOUSE)  # fmt: skip
def retention(lake: Lake) -> dg.MaterializeResult[None]:
    """Events older than the settings' `events_days` removed; where it is not set, all are kept.

    What stations and systems are is told only when it changes, and is kept for ever; so are orders and members.
    """
    from bike_assets.lake.maintenance import retain

    return _upkeep(
        lake,
        [table for table in EVENTS_TABLES if table not in KEPT],
        lambda table: retain(lake.directory, table, lake.events_days, lake.today()),
    )


@dg.asset(
    key=["maintenance", "vacuum"],
    deps=[compaction, retention],
    group_name=GROUP,
    kinds={"deltalake"},
    owners=OWNERS,
    metadata=links(),
    pool=WAREHOUSE,
)
def vacuum(lake: Lake) -> dg.MaterializeResult[None]:
    """Files that no version of the last week names, and old entries of the tables' logs, removed from the disk."""
    from bike_assets.lake.maintenance import vacuum as clean

    return _upkeep(lake, TABLES, lambda table: clean(lake.directory, table))
