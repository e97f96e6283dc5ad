"""Every table has the columns that the model gives it."""

from collections.abc import Callable
from datetime import date

import pytest
from pyspark.sql import DataFrame, SparkSession

from bike_assets.lake.spark import spark_schema
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
    DIM_DATE,
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    FACT_VEHICLE_SYSTEM_DAY,
    STATION_QUALITY,
    SYSTEM_SERVICE_DAY,
    WAREHOUSE_TABLES,
)
from bike_assets.warehouse.dim_date import dates
from bike_assets.warehouse.dim_station import stations
from bike_assets.warehouse.dim_system import systems
from bike_assets.warehouse.station_day import station_days
from bike_assets.warehouse.station_hour import station_hours
from bike_assets.warehouse.station_quality import station_quality
from bike_assets.warehouse.system_day import system_days
from bike_assets.warehouse.system_service_day import system_service_days
from bike_assets.warehouse.vehicle_system_day import vehicle_system_days
from bike_assets_tests.warehouse.frames import frame

DAY = date(2024, 3, 30)
Empty = Callable[[Table], DataFrame]
MADE: dict[Table, Callable[[SparkSession, Empty], DataFrame]] = {
    DIM_SYSTEM: lambda _, of: systems(of(EVENTS_SYSTEM_INFORMATION), of(EVENTS_POLLS)),
    DIM_STATION: lambda _, of: stations(of(EVENTS_STATION_INFORMATION), of(EVENTS_STATION_STATUS)),
    DIM_DATE: lambda spark, _: dates(spark, DAY, DAY),
    FACT_STATION_HOUR: lambda _, of: station_hours(
        of(EVENTS_STATION_STATUS), of(EVENTS_POLLS), of(DIM_SYSTEM), of(DIM_STATION), DAY, DAY),
    FACT_STATION_DAY: lambda _, of: station_days(of(FACT_STATION_HOUR), of(DIM_SYSTEM), DAY, DAY),
    FACT_SYSTEM_DAY: lambda _, of: system_days(of(FACT_STATION_HOUR), of(DIM_SYSTEM), DAY, DAY),
    SYSTEM_SERVICE_DAY: lambda _, of: system_service_days(
        of(EVENTS_POLLS), of(EVENTS_POLLS), of(DIM_SYSTEM), DAY, DAY),
    FACT_VEHICLE_SYSTEM_DAY: lambda _, of: vehicle_system_days(
        of(EVENTS_VEHICLE_STATUS), of(EVENTS_VEHICLE_TOTALS), of(DIM_SYSTEM), DAY, DAY),
    STATION_QUALITY: lambda _, of: station_quality(
        of(EVENTS_STATION_STATUS), of(FACT_STATION_DAY), of(DIM_SYSTEM), of(DIM_STATION), DAY, DAY),
}  # fmt: skip


@pytest.mark.parametrize("table", WAREHOUSE_TABLES, ids=lambda table: table.name)
def test_a_table_has_the_models_columns_in_its_order_and_types(spark: SparkSession, table: Table) -> None:
    found = MADE[table](spark, lambda needed: frame(spark, needed, [])).schema
    wanted = spark_schema(table.columns)
    assert [(field.name, field.dataType) for field in found] == [(field.name, field.dataType) for field in wanted]
