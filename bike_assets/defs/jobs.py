"""Jobs: what is launched as a whole, by a schedule, by hand or by `bike build`."""

import dagster as dg

from bike_assets.defs.partitions import DAYS
from bike_assets.defs.warehouse.assets import GROUP

build_days = dg.define_asset_job(
    "build_days",
    selection=dg.AssetSelection.groups(GROUP),
    partitions_def=DAYS,
    description="The warehouse's dimensions, and the facts of a range of days, with their checks.",
)
