"""Station-hours that have no event but belong to the facts: nobody looked, and a reading is at most 24 h old."""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.model.readings import State
from bike_assets.warehouse.polls import system_hour, system_number
from bike_assets.warehouse.shape import HOUR_S

_ALL_HOURS = (1 << 24) - 1
_SPREAD = (1, 2, 4, 8, 9)
"""Shifts that together reach from 0 to ABSENCE_MEMORY, 24 h, without a hole."""


def unwatched_hours(status: DataFrame, first: date, last: date) -> DataFrame:
    """The station-hours of the dates without an event, with a reading in one of the 24 hours before.

    In:  `events.station_status` of the dates from the day before `first` to `last`.
    Out: `system_hour, station_id`.
    """
    of_day = F.filter(F.sequence(F.lit(0), F.lit(23)), lambda n: F.col("missing").bitwiseAND(_bit(n)) != 0)
    return (
        _with_day_before(_days(status, first, last))
        .where(F.col("day").between(F.unix_date(F.lit(first)), F.unix_date(F.lit(last))))
        .withColumn("missing", _missing())
        .where(F.col("missing") != 0)
        .withColumn("hour_of_day", F.explode(of_day))
        .withColumn("hour", F.col("day").cast("bigint") * 24 + F.col("hour_of_day"))
        .select(system_hour(F.col("system_number")), "station_id")
    )


def _days(status: DataFrame, first: date, last: date) -> DataFrame:
    """A station's UTC days: the hours with an event and those with a reading, as the bits of two ints."""
    bit = _bit(F.floor(F.unix_seconds("observed_at") / HOUR_S) % 24)
    return (
        status.where(F.col("utc_date").between(first - timedelta(days=1), last))
        .groupBy(system_number(), "station_id", F.unix_date("utc_date").alias("day"))
        .agg(
            F.bit_or(bit).alias("events"),
            F.bit_or(F.when(F.col("state") != State.UNKNOWN.value, bit).otherwise(0)).alias("readings"),
        )
    )


def _with_day_before(days: DataFrame) -> DataFrame:
    """The same days and those after them; `readings` are 48 bits now, the day before in the lower 24."""
    here = F.struct("day", "events", F.shiftleft(F.col("readings").cast("bigint"), 24).alias("readings"))
    next_day = F.struct(
        (F.col("day") + 1).alias("day"), F.lit(0).alias("events"), F.col("readings").cast("bigint").alias("readings")
    )
    return (
        days.select("system_number", "station_id", F.explode(F.array(here, next_day)).alias("each"))
        .groupBy("system_number", "station_id", F.col("each.day").alias("day"))
        .agg(F.bit_or("each.events").alias("events"), F.bit_or("each.readings").alias("readings"))
    )


def _missing() -> Column:
    """The day's hours that ought to be there and have no event."""
    reached = F.col("readings")
    for hours in _SPREAD:
        reached = reached.bitwiseOR(F.shiftleft(reached, hours))
    wanted = F.shiftright(reached, 24).bitwiseAND(_ALL_HOURS).cast("int")
    return wanted.bitwiseAND(F.bitwise_not("events"))


def _bit(hour: Column) -> Column:
    return F.call_function("shiftleft", F.lit(1), hour.cast("int"))
