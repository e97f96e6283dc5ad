"""`warehouse.system_service_day`: how well a system was seen in its local days."""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.lake.conditions import is_good
from bike_assets.model.constants import MAX_GAP, STILL_ASKED
from bike_assets.model.messages import Outcome
from bike_assets.model.warehouse import SYSTEM_SERVICE_DAY
from bike_assets.warehouse.local_dates import latest, local_dates
from bike_assets.warehouse.shape import shaped

_GAP_MS = MAX_GAP // timedelta(milliseconds=1)
_STILL_ASKED_MS = STILL_ASKED // timedelta(milliseconds=1)
_OUTCOMES = [f"polls_{each.value}" for each in Outcome]
_DAY = timedelta(days=1)
ASKED_BEFORE = STILL_ASKED + _DAY
"""So long before a local date begin the UTC dates in which a fetch makes it silent, wherever it is."""


def system_service_days(
    polls: DataFrame, asked: DataFrame, systems: DataFrame, first: date, last: date
) -> DataFrame:
    """Rows of `warehouse.system_service_day` of the local dates `first` to `last`, both included.

    In:  `polls`: `events.polls` of the UTC dates from the day before `first` to the day after `last`;
         `asked`: `system_id, fetched_at` of fetches of `station_status` in the UTC dates from ASKED_BEFORE `first` to
         `last`, of each date the first and the last or more; `systems`: all of `dim_system`.
    Out: a row for each system and local date with a fetch of `station_status` in it, or in STILL_ASKED before it
         began: then it is silent, and nothing was seen of it. `good_share` is the share of the date's 23, 24 or 25
         hours that lies between two good polls in a row not further apart than MAX_GAP; `longest_gap_s` is the
         longest stretch of the date without a good poll: from midnight to the first, between two, from the last to
         midnight. `is_complete`: on the next UTC date some system was polled
         after the date's end.
    """
    fetches = polls.where(
        (F.col("feed") == "station_status") & F.col("utc_date").between(first - _DAY, last + _DAY)
    ).select("system_id", "outcome", "utc_date", is_good().alias("is_good"), F.unix_millis("fetched_at").alias("at"))
    dates = F.broadcast(local_dates(systems, first, last))
    start, end = F.col("start"), F.col("end")
    seen = _seen(fetches.join(dates, "system_id"), start, end)
    silent = _silent(asked.join(dates, "system_id"), start).join(seen, ["system_id", "local_date"], "left_anti")
    return shaped(
        seen.unionByName(silent, allowMissingColumns=True)
        .join(F.broadcast(latest(fetches)), "local_date", "left")
        .fillna(0, ["good", "polls", *_OUTCOMES])
        .withColumns({
            "good_share": F.col("good") / (end - start),
            "longest_gap_s": F.greatest(
                F.coalesce("between", F.lit(0)), end - F.coalesce("last_seen", start)) / 1000,
            "is_complete": F.coalesce(F.col("latest") >= end, F.lit(False)),
        }),
        SYSTEM_SERVICE_DAY,
    )  # fmt: skip


def _seen(fetches: DataFrame, start: Column, end: Column) -> DataFrame:
    """Systems' local dates with a fetch: how many, and what of the date lies between good polls, in ms."""
    at, before = F.col("at"), F.col("before")
    earlier = (
        Window.partitionBy("system_id", "local_date").orderBy("at").rowsBetween(Window.unboundedPreceding, -1)
    )
    in_day = (at >= start) & (at < end)
    seen = F.least(F.greatest(at, start), end)
    seen_before = F.least(F.greatest(F.coalesce(before, start), start), end)
    return (
        fetches.where(at.between(start - _GAP_MS, end + _GAP_MS))
        .withColumn("before", F.last(F.when(F.col("is_good"), at), ignorenulls=True).over(earlier))
        .groupBy("system_id", "local_date", "start", "end")
        .agg(
            F.sum(F.when(F.col("is_good") & (at - before <= _GAP_MS), seen - seen_before).otherwise(0)).alias("good"),
            F.max(F.when(F.col("is_good"), seen - seen_before)).alias("between"),
            F.max(F.when(F.col("is_good"), seen)).alias("last_seen"),
            F.count_if(in_day).alias("polls"),
            *(F.count_if(in_day & (F.col("outcome") == each.value)).alias(f"polls_{each.value}") for each in Outcome),
        )
        .where("polls > 0")
    )


def _silent(asked: DataFrame, start: Column) -> DataFrame:
    """Systems' local dates that began not later than STILL_ASKED after a fetch."""
    at = F.unix_millis("fetched_at")
    return (
        asked.where((at < start) & (at >= start - _STILL_ASKED_MS))
        .select("system_id", "local_date", "start", "end")
        .distinct()
    )
