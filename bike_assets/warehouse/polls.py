"""What a system's polls tell of each of its UTC hours: when it was looked at, and what nobody saw."""

from datetime import UTC, date, datetime, time, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.lake.conditions import is_good
from bike_assets.model.constants import BULK_INTERVAL, MAX_GAP
from bike_assets.warehouse.shape import HOUR_MS, hour_of, local_date, local_hour, local_seconds, start_of

_DAY = timedelta(days=1)
_EPOCH = date(1970, 1, 1)
_NO_GAP = -1


def midnight(day: date) -> datetime:
    """The first instant of a UTC date."""
    return datetime.combine(day, time(), UTC)


def hours_between(first: date, last: date) -> Column:
    """The UTC hours of these dates, both included, counted from 1970: an array."""
    low, high = ((day - _EPOCH).days * 24 for day in (first, last + _DAY))
    return F.sequence(F.lit(low).cast("bigint"), F.lit(high - 1).cast("bigint"))


def system_hours(systems: DataFrame, first: date, last: date) -> DataFrame:
    """Every system in every UTC hour of the dates.

    Out: `system_id, hour` (counted from 1970), `system_hour`, `local_date, local_hour` of its start in the system's
         zone.
    """
    local = local_seconds(start_of("hour"), F.col("timezone"))
    return (
        systems.select("system_id", "timezone", F.explode(hours_between(first, last)).alias("hour"))
        .select("system_id", "hour", system_hour(system_number()),
                local_date(local).alias("local_date"), local_hour(local).alias("local_hour"))
    )  # fmt: skip


def system_number() -> Column:
    """A system as a number, which many rows are sooner grouped by than by a text: a hash of its id."""
    return F.xxhash64("system_id").alias("system_number")


def system_hour(system: Column) -> Column:
    """A system's UTC hour as one number, of its number and the hour, for many rows to be grouped and joined by.

    A hash, as `station_key` is: of the 23,000 a day of all the world's systems two are the same in one of 10^11 days.
    Both then have the stations of both, which a blocking check finds (docs/decisions/0032).
    """
    return F.xxhash64(system, "hour").alias("system_hour")


def watched_hours(polls: DataFrame, first: date, last: date) -> DataFrame:
    """One row per system and UTC hour with a good poll: all that its events need to know of its polls.

    In:  `events.polls` of the dates from the day before `first` to the day after `last`.
    Out: `system_hour`, and, in ms since the hour's start:
         `first_ms`: the first good poll; `lead_ms`: how much before it is known, all or nothing;
         `known_to_ms`: up to where is known what the last good poll showed, its own instant or the hour's end;
         `gap_from_ms, gap_to_ms`: the one interval over MAX_GAP that fits into an hour, -1 where there is none;
         `polls_ms`: all good polls in order; and for each of them in `steps_to` and `steps_before` how many
         polls up to it, itself included or not, came within BULK_INTERVAL of the one before;
         `polls, steps`: how many polls and how many such steps the hour has.
    """
    return (
        _intervals(polls, first, last)
        .groupBy("system_number", "hour")
        .agg(
            F.sort_array(F.collect_list(F.struct("at_ms", "steps_to", "steps_before"))).alias("each"),
            F.min("at_ms").alias("first_ms"),
            F.max(F.when(F.col("is_known_before") & (F.col("hour_before") < F.col("hour")), F.col("at_ms"))
                  .otherwise(0)).alias("lead_ms"),
            F.max(F.when(F.col("is_known_after") & (F.col("hour_after") > F.col("hour")), HOUR_MS)
                  .otherwise(F.col("at_ms"))).alias("known_to_ms"),
            F.max(F.when(_is_inner_gap(), F.col("at_ms")).otherwise(_NO_GAP)).alias("gap_from_ms"),
            F.max(F.when(_is_inner_gap(), F.col("after_ms")).otherwise(_NO_GAP)).alias("gap_to_ms"),
            F.count("*").cast("int").alias("polls"),
            F.max("steps_to").alias("steps"),
        )
        .select(system_hour(F.col("system_number")),
                "first_ms", "lead_ms", "known_to_ms", "gap_from_ms", "gap_to_ms", "polls", "steps",
                F.col("each.at_ms").alias("polls_ms"), "each.steps_to", "each.steps_before")
    )  # fmt: skip


def _is_inner_gap() -> Column:
    return ~F.col("is_known_after") & (F.col("hour_after") == F.col("hour"))


def _intervals(polls: DataFrame, first: date, last: date) -> DataFrame:
    """Good polls of the dates with the intervals that end and begin at them; what is further off than MAX_GAP
    from the dates makes no difference."""
    near = F.col("utc_date").between(first - _DAY, last + _DAY) & F.col("fetched_at").between(
        F.lit(midnight(first) - MAX_GAP), F.lit(midnight(last + _DAY) + MAX_GAP)
    )
    in_time = Window.partitionBy("system_number").orderBy("at")
    so_far = Window.partitionBy("system_number", "hour").orderBy("at")
    at, before, after = F.col("at"), F.col("before"), F.col("after")
    return (
        polls.where(is_good() & near)
        .select(system_number(), F.unix_millis("fetched_at").alias("at"))
        .withColumns({"before": F.lag("at").over(in_time), "after": F.lead("at").over(in_time), "hour": hour_of(at)})
        .where(F.col("at").between(_ms(midnight(first)), _ms(midnight(last + _DAY)) - 1))
        .select(
            "system_number", "hour", "at",
            _within(at - before, MAX_GAP).alias("is_known_before"), hour_of(before).alias("hour_before"),
            _within(after - at, MAX_GAP).alias("is_known_after"), hour_of(after).alias("hour_after"),
            _within(at - before, BULK_INTERVAL).cast("int").alias("is_step"),
            (at - F.col("hour") * HOUR_MS).cast("int").alias("at_ms"),
            # Where the next one lies in the hour is asked of it, and 25 days away is no int any more.
            F.when(after.isNotNull(), F.least(after - F.col("hour") * HOUR_MS, F.lit(2 * HOUR_MS))).cast("int")
             .alias("after_ms"),
        )
        .withColumn("steps_to", F.sum("is_step").over(so_far).cast("int"))
        .withColumn("steps_before", F.col("steps_to") - F.col("is_step"))
    )  # fmt: skip


def _within(interval: Column, longest: timedelta) -> Column:
    """Whether an interval in ms is known and not longer; false where there is none."""
    return F.coalesce(interval <= longest // timedelta(milliseconds=1), F.lit(False))


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
