"""A table made once more from what it was made of."""

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg
from pydantic import Field

from bike_assets.defs.partitions import range_of
from bike_assets.defs.pools import DRAIN, WAREHOUSE
from bike_assets.defs.resources import Bike, Lake, Spark
from bike_assets.defs.shown import shown, shown_by_day
from bike_assets.defs.warehouse.dimensions import bring_up, bring_up_customers
from bike_assets.model.errors import WrongDay
from bike_assets.model.schema import Table
from bike_assets.model.tables import LIVE_SYSTEM_MINUTE
from bike_assets.model.warehouse import DIM_CUSTOMER, WAREHOUSE_TABLES

_BY_COMMAND = {LIVE_SYSTEM_MINUTE.name: "live", "raw": "raw"}
"""What `bike rebuild` makes once more, always as a whole."""

_TABLES = {table.name: table for table in (*WAREHOUSE_TABLES, DIM_CUSTOMER)}


class RebuildConfig(dg.Config):
    """What to make once more, and of which days."""

    what: str = Field(
        LIVE_SYSTEM_MINUTE.name,
        description="A table of the warehouse or live.system_minute, from the events; or raw: everything, from the "
        "answers that are kept.",
    )
    first_day: str | None = Field(None, description="Of a warehouse's table, as 2026-11-20; without it, yesterday.")
    last_day: str | None = Field(None, description="Included; without it, the first is the only one.")


@dg.op(pool=DRAIN)
def rebuild_by_command(context: dg.OpExecutionContext, what: str, bike: Bike) -> None:
    """What `bike rebuild` makes once more: it drains, and so waits for who else does."""
    context.add_output_metadata(bike.run("rebuild", what))


@dg.op(pool=WAREHOUSE, out={"by_command": dg.Out(str, is_required=False)})
def rebuild_table(
    context: dg.OpExecutionContext, config: RebuildConfig, lake: Lake, spark: Spark
) -> Iterator[dg.Output[str]]:
    """A warehouse table's days or the live minutes made once more from the events, or everything from `raw/`.

    Before days the dimensions are brought up, of which they are made; the customers are brought to what their list says
    now. The live minutes are refused while a stream is up, `raw` while a poller is.
    """
    if config.what not in {*_BY_COMMAND, *_TABLES}:
        raise dg.Failure(f"{config.what} cannot be rebuilt: choose one of {', '.join([*_BY_COMMAND, *_TABLES])}.")
    table = _TABLES.get(config.what)
    if table is None or not table.partitioned_by:
        _refuse_days(config)
    if table is None:
        yield dg.Output(_BY_COMMAND[config.what], "by_command")
        return
    if table.partitioned_by:
        days = _days(config, lake.today())
        session = spark.session()
        bring_up(lake, session, days)
        lake.build(session, table, days)
        _report_days(context, lake, table, days)
    else:
        _report(context, lake, table, _customers(lake) if table is DIM_CUSTOMER else _whole(lake, spark, table))


def _customers(lake: Lake) -> int:
    rows = bring_up_customers(lake)
    if rows is None:
        raise dg.Failure("No setting names a list of customers: BIKE_CUSTOMERS or BIKE_CUSTOMERS_DATABASE does.")
    return rows


def _whole(lake: Lake, spark: Spark, table: Table) -> int:
    return lake.build(spark.session(), table, None)


def _refuse_days(config: RebuildConfig) -> None:
    if config.first_day or config.last_day:
        raise dg.Failure(f"{config.what} is rebuilt as a whole: give no days.")


def _days(config: RebuildConfig, today: date) -> tuple[date, date]:
    """The days of the config. Raises Failure for what is no day, has no partition, or ends before it begins."""
    first = config.first_day or (today - timedelta(days=1)).isoformat()
    try:
        return range_of(first, config.last_day or first)
    except WrongDay as err:
        raise dg.Failure(str(err)) from None


def _report(context: dg.OpExecutionContext, lake: Lake, table: Table, rows: int) -> None:
    with lake.duckdb(table) as con:
        metadata = {"dagster/row_count": rows, **shown(con, lake, table, None)}
    context.log_event(dg.AssetMaterialization(list(table.path), metadata=metadata))


def _report_days(context: dg.OpExecutionContext, lake: Lake, table: Table, days: tuple[date, date]) -> None:
    """Dagster knows then that the days were built, and builds again what hangs on them."""
    with lake.duckdb(table) as con:
        for day, told in shown_by_day(con, lake, table, days):
            context.log_event(dg.AssetMaterialization(list(table.path), partition=day.isoformat(), metadata=told))
