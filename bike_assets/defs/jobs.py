"""Jobs: what is launched as a whole, by a schedule, by hand or by `bike build`.

A job of assets takes its days as partitions; the others take a config, and refuse nonsense with a sentence.
"""

import dagster as dg

from bike_assets.defs.ingestion.assets import ANSWERS
from bike_assets.defs.ingestion.members import members
from bike_assets.defs.maintenance.assets import GROUP as MAINTENANCE
from bike_assets.defs.pools import DRAIN
from bike_assets.defs.rebuild import rebuild_table
from bike_assets.defs.resources import Bike
from bike_assets.defs.serving.assets import files
from bike_assets.defs.streaming.assets import GROUP as STREAMING
from bike_assets.defs.streaming.assets import events_tables
from bike_assets.defs.warehouse.assets import GROUP as WAREHOUSE

poll = dg.define_asset_job(
    "poll",
    selection=dg.AssetSelection.assets(ANSWERS),
    description="The systems named in its config asked once, now; all of the sources file where none is named.",
)

poll_members = dg.define_asset_job(
    "poll_members",
    selection=dg.AssetSelection.assets(members),
    description="The members API asked for who is new.",
)


@dg.op(pool=DRAIN)
def drain_topics(context: dg.OpExecutionContext, bike: Bike) -> None:
    """All that the topics hold now brought into the tables: by the resident stream, or by a query of its own."""
    context.add_output_metadata(bike.run("drain"))


@dg.job(description=drain_topics.description)
def drain() -> None:
    drain_topics()


close_day = dg.define_asset_job(
    "close_day",
    selection=dg.AssetSelection.assets(events_tables) | dg.AssetSelection.groups(WAREHOUSE),
    description="A day closed by hand: all that the topics hold drained, then its warehouse built and checked.",
)

build_days = dg.define_asset_job(
    "build_days",
    selection=dg.AssetSelection.groups(WAREHOUSE),
    description="The warehouse's dimensions, and the facts of a range of days, with their checks.",
)


@dg.job(description=rebuild_table.description)
def rebuild() -> None:
    rebuild_table()


export = dg.define_asset_job(
    "export",
    selection=dg.AssetSelection.assets(files),
    description="Days of systems as Parquet files, the data dictionary beside them.",
)

maintain = dg.define_asset_job(
    "maintain",
    selection=dg.AssetSelection.groups(MAINTENANCE),
    description="The lake's upkeep: compaction, retention, vacuum.",
)

check_stream = dg.define_asset_job(
    "check_stream",
    selection=dg.AssetSelection.all_asset_checks() & dg.AssetSelection.groups(STREAMING),
    description="Every check of the tables that the stream fills, over all that they hold.",
)
