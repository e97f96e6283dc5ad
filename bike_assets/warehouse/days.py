"""Hours added up to local days, for a station or for a system."""

from collections.abc import Sequence
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.model.schema import Table
from bike_assets.warehouse.shape import HOUR_S, midnight_s, shaped

_STATES = ("empty", "full", "available", "closed", "unknown")
_SUMS = ("departures", "arrivals", "bulk_out", "bulk_in", "times_empty", "times_full", "polls",
         *(f"{state}_ms" for state in _STATES), "bike_ms", "open_ms", "dock_ms", "docks_given_ms")  # fmt: skip
_PLACE = 32
"""A power of two above the hours of a day: flows and hour in one number, whose greatest is the peak."""


def hours_of(hours: DataFrame, first: date, last: date) -> DataFrame:
    """The station-hours of these local dates, their times in whole ms: sums then do not depend on any order.

    In:  `fact_station_hour` of the UTC dates from the day before `first` to the day after `last`.
    """
    near = F.col("utc_date").between(first - timedelta(days=1), last + timedelta(days=1))
    open_ms = F.col("empty_ms") + F.col("full_ms") + F.col("available_ms")
    given_ms = F.when(F.col("docks_mean").isNotNull(), F.col("open_ms")).otherwise(0)
    return (
        hours.where(near & F.col("local_date").between(first, last))
        .withColumns({f"{state}_ms": _whole(F.col(f"seconds_{state}") * 1000) for state in _STATES})
        .withColumn("open_ms", open_ms)
        .withColumn("docks_given_ms", given_ms)
        .withColumns({
            "bike_ms": _whole(F.col("bikes_mean") * F.col("open_ms")),
            "dock_ms": _whole(F.col("docks_mean") * F.col("docks_given_ms")),
            "hour_bit": F.call_function("shiftleft", F.lit(1).cast("bigint"), _hour_around_date()),
        })
    )  # fmt: skip


def _whole(value: Column) -> Column:
    return F.round(value).cast("bigint")


def _hour_around_date() -> Column:
    """Which UTC hour it is, from 24 before the UTC date of the same name: 0 to 63, as no zone is further off."""
    return (F.unix_seconds("hour_start") / HOUR_S - F.unix_date("local_date") * 24 + 24).cast("int")


def added_up(hours: DataFrame, key: Sequence[str]) -> DataFrame:
    """One row per key, which includes `local_date`: sums, extremes, `peak_hour`, how many `hours` it has.

    Hours of the same name, where the clock was set back, are one to `peak_hour`.
    """
    by_local_hour = hours.groupBy(*key, "local_hour").agg(
        *(F.sum(name).alias(name) for name in _SUMS),
        F.min("bikes_min").alias("bikes_min"),
        F.max("bikes_max").alias("bikes_max"),
        F.bit_or("hour_bit").alias("hour_bits"),
        F.min_by("station_key", "hour_start").alias("station_key"),
        F.min("hour_start").alias("hour_start"),
    )
    flows = F.col("departures") + F.col("arrivals")
    return by_local_hour.groupBy(*key).agg(
        *(F.sum(name).alias(name) for name in _SUMS),
        F.min("bikes_min").alias("bikes_min"),
        F.max("bikes_max").alias("bikes_max"),
        F.bit_count(F.bit_or("hour_bits")).alias("hours"),
        F.min_by("station_key", "hour_start").alias("station_key"),
        F.max(F.when(flows > 0, flows * _PLACE + (_PLACE - 1 - F.col("local_hour")))).alias("peak"),
    )


def finished(days: DataFrame, systems: DataFrame, table: Table) -> DataFrame:
    """From sums to the columns of the table. `systems` is all of `dim_system`."""
    zones = F.broadcast(systems.select("system_id", "timezone"))
    return shaped(
        days.join(zones, "system_id")
        .withColumns({f"seconds_{state}": F.col(f"{state}_ms") / 1000 for state in _STATES})
        .withColumns({
            "bikes_mean": F.when(F.col("open_ms") > 0, F.col("bike_ms") / F.col("open_ms")),
            "docks_mean": F.when(F.col("docks_given_ms") > 0, F.col("dock_ms") / F.col("docks_given_ms")),
            "peak_hour": F.lit(_PLACE - 1) - F.col("peak") % _PLACE,
            "is_complete": F.col("hours") == hours_in("local_date", "timezone"),
        }),
        table,
    )  # fmt: skip


def hours_in(local_date: str, zone: str) -> Column:
    """How many UTC hours begin in a date of a zone: 24, and 23 or 25 where the clock is set."""
    begins, ends = (midnight_s(local_date, zone, later) for later in (0, 1))
    return F.ceil(ends / HOUR_S) - F.ceil(begins / HOUR_S)
