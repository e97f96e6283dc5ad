"""The tables that the stream fills: `events.*` from the topics, `live.*` from the events."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from bike_assets.defs.columns import made_of, table_spec
from bike_assets.defs.news import tell_what_is_built
from bike_assets.defs.partitions import DAYS, days_asked
from bike_assets.defs.pools import DRAIN
from bike_assets.defs.resources import Bike, Lake
from bike_assets.defs.shown import by_reason, lag_s, shown, tell_days
from bike_assets.model.tables import EVENTS_REJECTIONS, EVENTS_TABLES, LIVE_TABLES
from bike_assets.model.topics import TOPICS

GROUP = "streaming"
_TABLES = {dg.AssetKey(list(table.path)): table for table in EVENTS_TABLES + LIVE_TABLES}



@dg.multi_asset(
    specs=[table_spec(topic.table, GROUP, [["topics", topic.name]]) for topic in TOPICS if topic.table is not None],
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    can_subset=True,
    pool=DRAIN,
)
def events_tables(
    context: dg.AssetExecutionContext, bike: Bike, lake: Lake
) -> Iterator[dg.MaterializeResult[None]]:
    """Make sure that the tables hold all that their topics held when this was asked.

    The resident stream does it where it is up, a query of its own where it is not; never both.
    """
    yield from _drained(context, bike, lake)


@dg.multi_asset(
    specs=[table_spec(table, GROUP, made_of(table)) for table in LIVE_TABLES], can_subset=True, pool=DRAIN
)
def live_tables(
    context: dg.AssetExecutionContext, bike: Bike, lake: Lake
) -> Iterator[dg.MaterializeResult[None]]:
    """The same of the tables that are computed from the events."""
    yield from _drained(context, bike, lake)


def _drained(context: dg.AssetExecutionContext, bike: Bike, lake: Lake) -> Iterator[dg.MaterializeResult[None]]:
    tell_what_is_built(context)
    # What is not cut into days, as the live minutes, is shown of the last two.
    days = days_asked(context) or (lake.today() - timedelta(days=1), lake.today())
    done = bike.run("drain")
    tables = {key: _TABLES[key] for key in sorted(context.selected_asset_keys)}
    with lake.duckdb(*tables.values()) as con:
        for key, table in tables.items():
            rows = con.table(table.name).count("*").fetchall()[0][0]
            told = {"dagster/row_count": rows, "drained_by": done["by"], "drain_s": done["seconds"]}
            if table.partitioned_by:
                tell_days(context, con, lake, table)
            else:
                told |= shown(con, lake, table, days)
            if table is EVENTS_REJECTIONS:
                told |= by_reason(con, days)
            yield dg.MaterializeResult(asset_key=key, metadata={**told, **lag_s(con, table, days)})
