"""`warehouse.station_quality`: stations whose numbers of a local day should be read with care."""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.lake.conditions import is_open
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
from bike_assets.warehouse.shape import HOUR_MS, HOUR_S, hour_of, local_date, local_seconds, shaped
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
    known = days.where(F.col("local_date").between(first, last)).withColumn("is_known", F.lit(True))
    of_station = (
        known.join(_told(status, systems, stations, first, last), [*_STATION_DAY], "full")
        .join(_moved(stations, systems, first, last), [*_STATION_DAY], "full")
        .join(stations.select("station_key", "lat", "lon"), "station_key", "left")
    )
    findings = [_stuck(), _impossible_count(), _stale_report(), _jumped(), _test_station()]
    found = _beside_its_system(of_station).select(
        *_STATION_DAY, F.explode(F.array_compact(F.array(*findings))).alias("found")
    )
    return shaped(found.select(*_STATION_DAY, "found.reason", "found.evidence"), STATION_QUALITY)


def _told(status: DataFrame, systems: DataFrame, stations: DataFrame, first: date, last: date) -> DataFrame:
    """What a station told in a local day: how often it changed; the most bikes and docks together that are more than
    the places of the description that held; its last open reading that knew of a report of its own, and the newest of
    those reports: a keyframe of a 304 knows only the report of the last change."""
    dates = F.broadcast(system_hours(systems, first - _DAY, last + _DAY).drop("local_hour"))
    rows = (
        status.where(F.col("utc_date").between(first - _DAY, last + _DAY))
        .withColumn("hour", hour_of(F.unix_millis("observed_at")))
        .join(dates, ["system_id", "hour"])
        .where(F.col("local_date").between(first, last))
    )
    is_change = (F.col("kind") == EventKind.CHANGE.value) & F.col("state_before").isNotNull()
    is_report = is_open("state") & F.col("reported_at").isNotNull()
    by_description = with_station_keys(rows, stations, "observed_at").groupBy(*_STATION_DAY, "station_key").agg(
        F.count_if(is_change).alias("changes"),
        F.max(F.col("bikes_available") + F.col("docks_available")).alias("places"),
        F.max(F.when(is_report, F.col("observed_at"))).alias("seen_at"),
        F.max(F.when(is_report, F.col("reported_at"))).alias("reported_at"),
    )  # fmt: skip
    is_over = F.col("places") > F.col("capacity")
    return (
        by_description.join(stations.select("station_key", "capacity"), "station_key", "left")
        .groupBy(*_STATION_DAY)
        .agg(
            F.sum("changes").alias("changes"),
            F.max(F.when(is_over, F.struct("places", "capacity"))).alias("over"),
            (F.unix_seconds(F.max("seen_at")) - F.unix_seconds(F.max("reported_at"))).alias("age_s"),
        )
    )


def _moved(stations: DataFrame, systems: DataFrame, first: date, last: date) -> DataFrame:
    """How far from where it stood when the day began a station's descriptions that begin in it put it, in m."""
    zones = F.broadcast(systems.select("system_id", "timezone"))
    placed = stations.join(zones, "system_id").select(
        "system_id", "station_id", "lat", "lon",
        local_date(local_seconds(F.col("valid_from"), F.col("timezone"))).alias("local_date"),
        local_date(local_seconds(F.col("valid_to"), F.col("timezone"))).alias("left_date"),
    )  # fmt: skip
    new = placed.where(F.col("local_date").between(first, last)).drop("left_date")
    before = placed.select("system_id", "station_id", F.col("lat").alias("old_lat"), F.col("lon").alias("old_lon"),
                           F.col("local_date").alias("old_date"), "left_date")  # fmt: skip
    return (
        new.join(before, ["system_id", "station_id"])
        .where((F.col("old_date") < F.col("local_date")) & (F.col("left_date") >= F.col("local_date")))
        .withColumn("metres", metres_between(F.col("old_lat"), F.col("old_lon"), F.col("lat"), F.col("lon")))
        .groupBy(*_STATION_DAY)
        .agg(F.max("metres").alias("metres"))
    )


def _beside_its_system(of_station: DataFrame) -> DataFrame:
    """Add how often the system's median station of the day changed, and the middle of the system's stations."""
    system_day = Window.partitionBy(*_SYSTEM_DAY)
    changes = F.when(F.col("is_known"), F.coalesce("changes", F.lit(0)))
    return of_station.withColumns({
        "usual": F.median(changes).over(system_day),
        "mid_lat": F.median("lat").over(system_day),
        "mid_lon": F.median("lon").over(system_day),
    })  # fmt: skip


def _finding(is_so: Column, reason: str, evidence: str, *values: Column) -> Column:
    """A reason with its evidence, or null."""
    told = F.format_string(evidence, *values).alias("evidence")
    return F.when(is_so, F.struct(F.lit(reason).alias("reason"), told))


def _stuck() -> Column:
    """Open and known for STUCK_HOURS of the day without a bike coming or going, where half of the system's stations
    changed often. A day of 23 hours is too short to show it."""
    # Each is a whole number of ms, of which the sum of doubles may lack the last bit.
    open_ms = F.round((F.col("seconds_empty") + F.col("seconds_full") + F.col("seconds_available")) * 1000)
    return _finding(
        (F.col("usual") >= STUCK_MEDIAN_CHANGES)
        & (open_ms >= STUCK_HOURS * HOUR_MS)
        & (F.col("departures") + F.col("arrivals") == 0)
        & (F.col("bikes_min") == F.col("bikes_max")),
        "stuck", "%d bikes all day; the system's median station changed %.0f times.",
        F.col("bikes_min"), F.col("usual"),
    )  # fmt: skip


def _impossible_count() -> Column:
    return _finding(
        F.col("over").isNotNull(),
        "impossible_count", "%d bikes and docks where there are %d places.",
        F.col("over.places"), F.col("over.capacity"),
    )  # fmt: skip


def _stale_report() -> Column:
    return _finding(
        F.col("age_s") > STALE_REPORT.total_seconds(),
        "stale_report", "Its own last report was %.1f h old.", F.col("age_s") / HOUR_S,
    )  # fmt: skip


def _jumped() -> Column:
    return _finding(F.col("metres") > JUMPED_M, "jumped", "It moved %.0f m.", F.col("metres"))


def _test_station() -> Column:
    """It stands far from the middle of the stations that the system had in the day."""
    km = metres_between(F.col("mid_lat"), F.col("mid_lon"), F.col("lat"), F.col("lon")) / 1000
    return _finding(km > TEST_STATION_KM, "test_station", "It stands %.0f km from the middle of its system.", km)
