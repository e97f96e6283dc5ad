"""What Dagster loads: every asset, check and resource of the platform."""

import dagster as dg

from bike_assets.defs.ingestion import assets as ingestion
from bike_assets.defs.resources import resources
from bike_assets.defs.streaming import assets as streaming
from bike_assets.defs.streaming import checks as streaming_checks

defs = dg.Definitions(
    assets=dg.load_assets_from_modules([ingestion, streaming], include_specs=True),
    asset_checks=dg.load_asset_checks_from_modules([streaming_checks]),
    resources=resources(),
)
