"""The tables of the warehouse: dimensions whole, facts by day."""

from collections.abc import Sequence

import dagster as dg

from bike_assets.defs.columns import table_spec
from bike_assets.defs.news import Condition, news_for, remembered, tell_what_is_built
from bike_assets.defs.partitions import DAYS, WITH_DAY_BEFORE, WITH_DAYS_AROUND, WITH_WEEK_BEFORE, days_asked
from bike_assets.defs.pools import WAREHOUSE
from bike_assets.defs.resources import Lake, Spark
from bike_assets.defs.shown import shown, tell_days
from bike_assets.defs.warehouse.dimensions import DIMENSIONS, bring_up, bring_up_customers, ensured_customers
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_STATION_INFORMATION,
    EVENTS_STATION_STATUS,
    EVENTS_SYSTEM_INFORMATION,
    EVENTS_VEHICLE_STATUS,
    EVENTS_VEHICLE_TOTALS,
)
from bike_assets.model.warehouse import (
    DIM_CUSTOMER,
    DIM_DATE,
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    FACT_VEHICLE_SYSTEM_DAY,
    STATION_QUALITY,
    SYSTEM_SERVICE_DAY,
)

GROUP = "warehouse"


def later_rows(table: Table, deps: Sequence[dg.AssetDep]) -> Condition:
    """A day that was built is built again once what it hangs on has got later rows; the schedule builds it first."""
    # A dimension that is built anew says nothing of the days: all of them would be built again.
    of_days = frozenset(dep.asset_key for dep in deps) - {dg.AssetKey(list(each.path)) for each in DIMENSIONS}
    is_news = news_for(table, of_days) & ~dg.AutomationCondition.missing()
    return remembered(is_news) & ~dg.AutomationCondition.in_progress()


def _of_days(table: Table, mapping: dg.PartitionMapping) -> dg.AssetDep:
    return dg.AssetDep(list(table.path), partition_mapping=mapping)


def _whole(table: Table) -> dg.AssetDep:
    return dg.AssetDep(list(table.path))


def _built(table: Table, deps: Sequence[dg.AssetDep]) -> dg.AssetsDefinition:
    spec = table_spec(table, GROUP, deps)
    condition = later_rows(table, deps) if table.partitioned_by else None

    @dg.multi_asset(
        name=table.path[1],
        specs=[spec.replace_attributes(automation_condition=condition, skippable=False)],
        partitions_def=DAYS if table.partitioned_by else None,
        backfill_policy=dg.BackfillPolicy.single_run() if table.partitioned_by else None,
        pool=WAREHOUSE,
    )
    def build_table(context: dg.AssetExecutionContext, lake: Lake, spark: Spark) -> dg.MaterializeResult[None]:
        tell_what_is_built(context)
        days, session = days_asked(context), spark.session()
        if table is FACT_STATION_HOUR:
            bring_up(lake, session, days, context.job_def.asset_layer.selected_asset_keys)
        rows = lake.build(session, table, days)
        if not rows:
            context.log.info("No row: nothing was recorded of %s.", table.name if days is None else days)
        told = {"dagster/row_count": rows, "is_empty": not rows}
        with lake.duckdb(table) as con:
            if table.partitioned_by:
                tell_days(context, con, lake, table)
            else:
                told |= shown(con, lake, table, None)
        return dg.MaterializeResult(metadata=told)

    return build_table


@dg.multi_asset(
    name="dim_customer",
    specs=[table_spec(DIM_CUSTOMER, GROUP, []).replace_attributes(kinds={"python", "deltalake"}, skippable=False)],
    pool=WAREHOUSE,
)
def dim_customer(context: dg.AssetExecutionContext, lake: Lake) -> dg.MaterializeResult[None]:
    """Bring the customers to what their list says now; without one they stay as they are."""
    days_asked(context)
    rows = bring_up_customers(lake)
    if rows is None:
        context.log.info("No setting names a list of customers: all orders count under unknown states.")
        rows = ensured_customers(lake)
    with lake.duckdb(DIM_CUSTOMER) as con:
        return dg.MaterializeResult(metadata={"dagster/row_count": rows, **shown(con, lake, DIM_CUSTOMER, None)})


warehouse_tables = [
    _built(DIM_SYSTEM, [_whole(EVENTS_SYSTEM_INFORMATION), _whole(EVENTS_POLLS)]),
    _built(DIM_STATION, [_whole(EVENTS_STATION_INFORMATION), _whole(EVENTS_STATION_STATUS)]),
    _built(DIM_DATE, []),
    _built(FACT_STATION_HOUR, [
        _of_days(EVENTS_STATION_STATUS, WITH_DAY_BEFORE), _of_days(EVENTS_POLLS, WITH_DAYS_AROUND),
        _whole(DIM_SYSTEM), _whole(DIM_STATION),
    ]),
    _built(FACT_STATION_DAY, [_of_days(FACT_STATION_HOUR, WITH_DAYS_AROUND), _whole(DIM_SYSTEM), _whole(DIM_DATE)]),
    _built(FACT_SYSTEM_DAY, [_of_days(FACT_STATION_HOUR, WITH_DAYS_AROUND), _whole(DIM_SYSTEM), _whole(DIM_DATE)]),
    _built(SYSTEM_SERVICE_DAY, [_of_days(EVENTS_POLLS, WITH_WEEK_BEFORE), _whole(DIM_SYSTEM), _whole(DIM_DATE)]),
    _built(FACT_VEHICLE_SYSTEM_DAY, [
        _of_days(EVENTS_VEHICLE_STATUS, WITH_DAYS_AROUND), _of_days(EVENTS_VEHICLE_TOTALS, WITH_DAYS_AROUND),
        _whole(DIM_SYSTEM), _whole(DIM_DATE),
    ]),
    _built(STATION_QUALITY, [
        _of_days(FACT_STATION_DAY, dg.TimeWindowPartitionMapping()), _of_days(EVENTS_STATION_STATUS, WITH_DAYS_AROUND),
        _whole(DIM_SYSTEM), _whole(DIM_STATION),
    ]),
]  # fmt: skip
