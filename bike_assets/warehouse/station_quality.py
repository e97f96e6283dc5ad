"""`warehouse.station_quality`: stations whose numbers of a local day should be read with care."""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.model.constants import (
    JUMPED_M,
    STALE_REPORT,
    STUCK_HOURS,
    STUCK_MEDIAN_CHANGES,
    TEST_STATION_KM,
)
from bike_assets.model.messages import EventKind
from bike_assets.model.warehouse import STATION_QUALITY
from bike_assets.warehouse.places import metres_between
from bike_assets.warehouse.polls import system_hours
from bike_assets.warehouse.shape import HOUR_S, hour_of, is_open, local_date, local_seconds, shaped
from bike_assets.warehouse.station_keys import with_station_keys

_DAY = timedelta(days=1)
_STATION_DAY = ("system_id", "station_id", "local_date")
_SYSTEM_DAY = ("system_id", "local_date")


def station_quality(
    status: DataFrame, days: DataFrame, systems: DataFrame, stations: DataFrame, first: date, last: date
) -> DataFrame:
    """Rows of `warehouse.station_quality` of the local dates `first` to `last`, both included.

    In:  `status`: `events.station_status` of the UTC dates from the day before `first` to the day after `last`;
         `days`: `fact_station_day` of the local dates; `systems`, `stations`: all of `dim_system` and `dim_station`.
    """
    of_dates = days.where(F.col("local_date").between(first, last))
    told = _told(status, systems, stations, first, last)
    found = (
        _stuck(of_dates, told)
        .unionByName(_impossible_counts(told, stations))
        .unionByName(_stale_reports(told))
        .unionByName(_jumped(stations, systems, first, last))
        .unionByName(_test_stations(of_dates, stations))
    )
    return shaped(found, STATION_QUALITY)


def _told(status: DataFrame, systems: DataFrame, stations: DataFrame, first: date, last: date) -> DataFrame:
    """What a station told in a local day, a row for each of its descriptions that held in it: how often it changed,
    the most bikes and docks together, its last open reading that knew of a report of its own, and the newest of those
    reports: a keyframe of a 304 knows only the report of the last change."""
    dates = F.broadcast(system_hours(systems, first - _DAY, last + _DAY).drop("local_hour"))
    rows = (
        status.where(F.col("utc_date").between(first - _DAY, last + _DAY))
        .withColumn("hour", hour_of(F.unix_millis("observed_at")))
        .join(dates, ["system_id", "hour"])
        .where(F.col("local_date").between(first, last))
    )
    is_change = (F.col("kind") == EventKind.CHANGE.value) & F.col("state_before").isNotNull()
    is_report = is_open("state") & F.col("reported_at").isNotNull()
    return with_station_keys(rows, stations, "observed_at").groupBy(*_STATION_DAY, "station_key").agg(
        F.count_if(is_change).alias("changes"),
        F.max(F.col("bikes_available") + F.col("docks_available")).alias("places"),
        F.max(F.when(is_report, F.col("observed_at"))).alias("seen_at"),
        F.max(F.when(is_report, F.col("reported_at"))).alias("reported_at"),
    )  # fmt: skip


def _finding(rows: DataFrame, reason: str, evidence: str, *values: Column) -> DataFrame:
    return rows.select(
        *_STATION_DAY, F.lit(reason).alias("reason"), F.format_string(evidence, *values).alias("evidence")
    )


def _stuck(days: DataFrame, told: DataFrame) -> DataFrame:
    """Open and known for STUCK_HOURS of the day without a bike coming or going, where half of the system's stations
    changed often. A day of 23 hours is too short to show it."""
    changes = told.groupBy(*_STATION_DAY).agg(F.sum("changes").alias("changes"))
    usual = (
        days.join(changes, [*_STATION_DAY], "left")
        .groupBy(*_SYSTEM_DAY)
        .agg(F.median(F.coalesce("changes", F.lit(0))).alias("usual"))
        .where(F.col("usual") >= STUCK_MEDIAN_CHANGES)
    )
    still = days.where(
        (F.col("seconds_empty") + F.col("seconds_full") + F.col("seconds_available") >= STUCK_HOURS * HOUR_S)
        & (F.col("departures") + F.col("arrivals") == 0)
        & (F.col("bikes_min") == F.col("bikes_max"))
    )
    return _finding(
        still.join(usual, [*_SYSTEM_DAY]), "stuck",
        "%d bikes all day; the system's median station changed %.0f times.", F.col("bikes_min"), F.col("usual"),
    )  # fmt: skip


def _impossible_counts(told: DataFrame, stations: DataFrame) -> DataFrame:
    """More bikes and docks than the station has places, by the description that held."""
    capacities = stations.select("station_key", "capacity")
    over = (
        told.join(capacities, "station_key")
        .where(F.col("places") > F.col("capacity"))
        .groupBy(*_STATION_DAY)
        .agg(F.max(F.struct("places", "capacity")).alias("most"))
    )
    return _finding(over, "impossible_count", "%d bikes and docks where there are %d places.",
                    F.col("most.places"), F.col("most.capacity"))  # fmt: skip


def _stale_reports(told: DataFrame) -> DataFrame:
    age_s = F.unix_seconds(F.max("seen_at")) - F.unix_seconds(F.max("reported_at"))
    aged = told.groupBy(*_STATION_DAY).agg(age_s.alias("age_s"))
    return _finding(
        aged.where(F.col("age_s") > STALE_REPORT.total_seconds()), "stale_report",
        "Its own last report was %.1f h old.", F.col("age_s") / HOUR_S,
    )  # fmt: skip


def _jumped(stations: DataFrame, systems: DataFrame, first: date, last: date) -> DataFrame:
    """Descriptions that begin in the day further than JUMPED_M from where the station stood when the day began."""
    zones = F.broadcast(systems.select("system_id", "timezone"))
    placed = stations.join(zones, "system_id").select(
        "system_id", "station_id", "lat", "lon", "valid_from",
        local_date(local_seconds(F.col("valid_from"), F.col("timezone"))).alias("local_date"),
        local_date(local_seconds(F.col("valid_to"), F.col("timezone"))).alias("left_date"),
    )  # fmt: skip
    new = placed.where(F.col("local_date").between(first, last))
    before = placed.select("system_id", "station_id", F.col("lat").alias("old_lat"), F.col("lon").alias("old_lon"),
                           F.col("local_date").alias("old_date"), "left_date")  # fmt: skip
    moved = (
        new.drop("left_date")
        .join(before, ["system_id", "station_id"])
        .where((F.col("old_date") < F.col("local_date")) & (F.col("left_date") >= F.col("local_date")))
        .withColumn("metres", metres_between(F.col("old_lat"), F.col("old_lon"), F.col("lat"), F.col("lon")))
        .groupBy(*_STATION_DAY)
        .agg(F.max("metres").alias("metres"))
    )
    return _finding(moved.where(F.col("metres") > JUMPED_M), "jumped", "It moved %.0f m.", F.col("metres"))


def _test_stations(days: DataFrame, stations: DataFrame) -> DataFrame:
    """Stations far from the middle of those that the system had in the day."""
    placed = days.select(*_STATION_DAY, "station_key").join(
        stations.where(F.col("lat").isNotNull()).select("station_key", "lat", "lon"), "station_key"
    )
    middle = placed.groupBy(*_SYSTEM_DAY).agg(F.median("lat").alias("mid_lat"), F.median("lon").alias("mid_lon"))
    far = placed.join(middle, [*_SYSTEM_DAY]).withColumn(
        "km", metres_between(F.col("mid_lat"), F.col("mid_lon"), F.col("lat"), F.col("lon")) / 1000
    )
    return _finding(far.where(F.col("km") > TEST_STATION_KM), "test_station",
                    "It stands %.0f km from the middle of its system.", F.col("km"))  # fmt: skip
