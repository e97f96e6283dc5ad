"""The upkeep of Dagster's own record, with its size before and after."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from bike_assets.defs.columns import OWNERS
from bike_assets.defs.links import links
from bike_assets.defs.maintenance.assets import GROUP
from bike_assets.defs.resources import Record


@dg.asset(key=["maintenance", "event_log"], group_name=GROUP, kinds={"dagster"}, owners=OWNERS, metadata=links())
def event_log(context: dg.AssetExecutionContext, record: Record) -> dg.MaterializeResult[None]:
    """Dagster's record of runs and events, without what is older than the settings' `dagster_days` and overtaken.

    What was built last of each table and day stays for ever: by it Dagster knows that it is there.
    """
    from bike_assets.defs.event_log import prune

    done = prune(context.instance, datetime.now(UTC) - timedelta(days=record.days))
    return dg.MaterializeResult(metadata={
        "runs_removed": done.runs, "events_removed": done.events, "checks_removed": done.checks,
        "bytes_before": done.bytes_before, "bytes_after": done.bytes_after,
    })  # fmt: skip
