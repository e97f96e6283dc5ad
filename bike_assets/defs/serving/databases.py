"""The databases that the warehouse is served from: those that the settings name, a day at a time."""

from collections.abc import Sequence

import dagster as dg

from bike_assets.defs.columns import OWNERS
from bike_assets.defs.links import links
from bike_assets.defs.news import remembered
from bike_assets.defs.partitions import DAYS, days_of
from bike_assets.defs.pools import serving_pool
from bike_assets.defs.resources import Bike
from bike_assets.defs.serving.assets import GROUP
from bike_assets.model.star import DIMENSIONS, FACTS
from bike_assets.model.warehouse import DIM_CUSTOMER
from bike_assets.settings import load_settings

KINDS = {"postgres": "postgres", "mysql": "mysql", "mssql": "sqlserver", "cassandra": "cassandra",
         "duckdb": "duckdb"}  # fmt: skip
"""What Dagster calls each."""

AGAIN = "*/15 * * * *"
"""When a day that did not get there is tried again: until the database is back, however long that is."""

_FAILED = dg.AutomationCondition.execution_failed()
_BUILT_AGAIN = dg.AutomationCondition.any_deps_updated().ignore(
    dg.AssetSelection.assets(*(dg.AssetKey(list(table.path)) for table in DIMENSIONS))
)
# Whoever keeps the list of customers may be away for long: the days do not wait for it.
_MISSING = dg.AutomationCondition.any_deps_missing().ignore(
    dg.AssetSelection.assets(dg.AssetKey(list(DIM_CUSTOMER.path)))
)
BUILT_OR_FAILED = (
    (
        (dg.AutomationCondition.missing() & ~_FAILED)
        | remembered(_BUILT_AGAIN)
        | (_FAILED & dg.AutomationCondition.cron_tick_passed(AGAIN))
    )
    & ~_MISSING
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
)
"""A day that all its facts are built of is brought there, whenever that was, and again when one is built again."""


def databases() -> list[dg.AssetsDefinition]:
    """An asset for each database that the settings name now."""
    return database_assets(load_settings().databases)


def database_assets(names: Sequence[str]) -> list[dg.AssetsDefinition]:
    """An asset for each of these databases."""
    return [_served(name) for name in names]


def _served(name: str) -> dg.AssetsDefinition:
    same_day = dg.TimeWindowPartitionMapping()

    @dg.multi_asset(
        name=f"serve_{name}",
        specs=[dg.AssetSpec(
            key=["databases", name],
            deps=[
                *(dg.AssetDep(list(table.path), partition_mapping=same_day) for table in FACTS),
                *(list(table.path) for table in DIMENSIONS),
            ],
            description=f"The star schema with its keys in the database that BIKE_{name.upper()} names. A day that is "
            "there as the lake has it is left alone; one that could not be brought is tried again every quarter of an "
            "hour.",
            group_name=GROUP,
            kinds={KINDS[name]},
            owners=OWNERS,
            metadata=links(),
            automation_condition=BUILT_OR_FAILED,
        )],
        partitions_def=DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=serving_pool(name),
    )  # fmt: skip
    def serve(context: dg.AssetExecutionContext, bike: Bike) -> dg.MaterializeResult[None]:
        days = days_of(context.run) or (None, None)
        done = bike.run("export", name, *(day.isoformat() for day in days if day))
        return dg.MaterializeResult(metadata={
            "dagster/row_count": sum(part["rows"] for part in done["parts"]),
            "parts": len(done["parts"]),
            "days_behind": done["days_behind"],
            "oldest_behind": done["oldest_behind"] or "none",
        })  # fmt: skip

    return serve
