"""The tables that the warehouse is computed from, as frames: of rows by hand, or of a recording by the oracle."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from bike_assets.lake.spark import spark_schema
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_INFORMATION, EVENTS_STATION_STATUS
from bike_assets.model.warehouse import DIM_SYSTEM
from bike_assets.warehouse.dim_station import stations
from bike_assets.warehouse.station_day import station_days
from bike_assets.warehouse.station_hour import station_hours
from bike_assets.warehouse.system_day import system_days
from bike_assets.warehouse.system_service_day import system_service_days
from bike_assets_tests.oracle.events import Line, information_rows, poll_rows, station_status_rows

Rows = list[dict[str, Any]]
_INSTANTS = ("observed_at", "fetched_at", "hour_start")


def frame(spark: SparkSession, table: Table, rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    """A table of these rows; what a row does not name is null, `utc_date` is that of its instant."""
    names = [column.name for column in table.columns]
    return spark.createDataFrame([tuple(_value(row, name) for name in names) for row in rows],
                                 spark_schema(table.columns))  # fmt: skip


def _value(row: Mapping[str, Any], name: str) -> Any:
    if name != "utc_date" or name in row:
        return row.get(name)
    return next(row[instant] for instant in _INSTANTS if instant in row).date()


def rows_of(found: DataFrame) -> Rows:
    """What a frame holds; instants are aware."""
    return [{name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
             for name, value in row.asDict().items()} for row in found.collect()]  # fmt: skip


@dataclass(frozen=True)
class Warehouse:
    """The tables that a recording makes."""

    stations: DataFrame
    hours: DataFrame
    station_days: DataFrame
    system_days: DataFrame
    service_days: DataFrame


def dates_of(rows: Rows) -> tuple[date, date]:
    """The first and the last UTC date of these rows."""
    dates = [next(row[instant] for instant in _INSTANTS if instant in row).date() for row in rows]
    return min(dates), max(dates)


def warehouse(spark: SparkSession, lines: list[Line], timezone_of: Mapping[str, str]) -> Warehouse:
    """All facts of a recording, from its first UTC date to its last; local dates are those that lie in them."""
    polls = poll_rows(lines)
    first, last = dates_of(polls)
    status = frame(spark, EVENTS_STATION_STATUS, station_status_rows(lines))
    information = frame(spark, EVENTS_STATION_INFORMATION, information_rows(lines))
    systems = frame(spark, DIM_SYSTEM, [{"system_id": id_, "timezone": timezone_of[id_]}
                                        for id_ in {poll["system_id"] for poll in polls}])  # fmt: skip
    described = stations(information, status).cache()
    polled = frame(spark, EVENTS_POLLS, polls).cache()
    hours = station_hours(status, polled, systems, described, first, last).cache()
    local = systems, first - timedelta(days=1), last + timedelta(days=1)
    asked = polled.where("feed = 'station_status'").select("system_id", "fetched_at")
    return Warehouse(
        described, hours, station_days(hours, *local), system_days(hours, *local),
        system_service_days(polled, asked, *local),
    )  # fmt: skip
