"""Jobs: what is launched as a whole, by a schedule, by hand or by `bike build`."""

import dagster as dg

from bike_assets.defs.maintenance.assets import GROUP as MAINTENANCE
from bike_assets.defs.streaming.assets import GROUP as STREAMING
from bike_assets.defs.warehouse.assets import GROUP as WAREHOUSE

build_days = dg.define_asset_job(
    "build_days",
    selection=dg.AssetSelection.groups(WAREHOUSE),
    description="The warehouse's dimensions, and the facts of a range of days, with their checks.",
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
