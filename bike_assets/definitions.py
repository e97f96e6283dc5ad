"""What Dagster loads: every asset, check and resource of the platform."""

from typing import cast

import dagster as dg

from bike_assets.defs.executor import in_one_process
from bike_assets.defs.freshness import by_settings
from bike_assets.defs.ingestion import assets as ingestion
from bike_assets.defs.ingestion import members
from bike_assets.defs.jobs import (
    build_days,
    check_stream,
    close_day,
    drain,
    export,
    maintain,
    poll,
    poll_members,
    rebuild,
)
from bike_assets.defs.maintenance import assets as maintenance
from bike_assets.defs.maintenance import event_log
from bike_assets.defs.resources import resources
from bike_assets.defs.schedules import every_hour, every_morning, every_night, every_quarter_of_an_hour
from bike_assets.defs.sensors import ended_runs, later_rows, quiet_systems, services
from bike_assets.defs.serving import assets as serving
from bike_assets.defs.serving import sinks
from bike_assets.defs.serving.databases import databases
from bike_assets.defs.streaming import assets as streaming
from bike_assets.defs.streaming import checks as streaming_checks
from bike_assets.defs.streaming import views
from bike_assets.defs.warehouse import assets as warehouse
from bike_assets.defs.warehouse import checks as warehouse_checks
from bike_assets.defs.warm import fork_runs

defs = dg.Definitions(
    # Made when this module is imported: what the settings say then holds as long as the process.
    assets=dg.map_asset_specs(
        by_settings(),
        # None of ours is of the older kinds that the loader's type allows for.
        cast(
            "list[dg.AssetsDefinition | dg.AssetSpec]",
            [
                *dg.load_assets_from_modules(
                    [ingestion, members, streaming, views, warehouse, serving, sinks, maintenance, event_log],
                    include_specs=True,
                ),
                *databases(),
            ],
        ),
    ),
    asset_checks=dg.load_asset_checks_from_modules([streaming_checks, warehouse_checks]),
    jobs=[poll, drain, close_day, build_days, rebuild, export, check_stream, maintain, poll_members],
    schedules=[every_hour, every_morning, every_night, every_quarter_of_an_hour],
    sensors=[services, quiet_systems, ended_runs, later_rows],
    resources=resources(),
    executor=in_one_process,
)

fork_runs()
