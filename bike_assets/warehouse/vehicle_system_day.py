"""`warehouse.fact_vehicle_system_day`: a system's vehicles in its local days."""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.model.constants import MAX_GAP
from bike_assets.model.messages import EventKind
from bike_assets.model.warehouse import FACT_VEHICLE_SYSTEM_DAY
from bike_assets.warehouse.local_dates import latest, local_dates
from bike_assets.warehouse.shape import HOUR_MS, milliseconds, shaped

_GAP_MS = MAX_GAP // timedelta(milliseconds=1)
_DAY = timedelta(days=1)
_KEY = list(FACT_VEHICLE_SYSTEM_DAY.grain)
_HOURS = {"idle_hours": "available", "reserved_hours": "reserved", "disabled_hours": "disabled"}
"""Whose hours are summed in which column."""


def vehicle_system_days(
    status: DataFrame, totals: DataFrame, systems: DataFrame, first: date, last: date
) -> DataFrame:
    """Rows of `warehouse.fact_vehicle_system_day` of the local dates `first` to `last`, both included.

    In:  `status`, `totals`: `events.vehicle_status` and `events.vehicle_totals` of the UTC dates from the day before
         `first` to the day after `last`; `systems`: all of `dim_system`.
    Out: a row for each system and local date in which a good poll of vehicles lies. What a poll counted holds to the
         next; where that is further away than MAX_GAP, the time between is not known, and counts for nothing.
    """
    dates = F.broadcast(local_dates(systems, first, last))
    within = F.col("utc_date").between(first - _DAY, last + _DAY)
    polls = totals.where(within).withColumn("at", milliseconds("observed_at"))
    counted = _counted(polls, dates)
    seen = _ids_seen(status.where(within), dates, counted.select(*_KEY, "first_at"))
    known = F.col("known_ms")
    return shaped(
        counted.join(seen, _KEY, "left")
        .join(F.broadcast(latest(polls)), "local_date", "left")
        .withColumns({
            "ids_seen": F.coalesce("ids_seen", F.lit(0)),
            "vehicles_mean": F.when(known > 0, F.col("vehicle_ms") / known),
            **{name: F.col(f"{of}_ms") / HOUR_MS for name, of in _HOURS.items()},
            "known_hours": known / HOUR_MS,
            "is_complete": F.coalesce(F.col("latest") >= F.col("end"), F.lit(False)),
        }),
        FACT_VEHICLE_SYSTEM_DAY,
    )  # fmt: skip


def _counted(polls: DataFrame, dates: DataFrame) -> DataFrame:
    """Polls added up to days, with the instant of each day's first."""
    start, end, at, after = (F.col(name) for name in ("start", "end", "at", "after"))
    in_day = (at >= start) & (at < end)
    holds = F.greatest(F.least(after, end) - F.greatest(at, start), F.lit(0))
    known = F.when(after - at <= _GAP_MS, holds).otherwise(0)

    def held(count: str) -> Column:
        return F.sum(F.col(count) * F.col("known"))

    return (
        polls.withColumn("after", F.lead("at").over(Window.partitionBy("system_id").orderBy("at")))
        .join(dates, "system_id")
        .where(at.between(start - _GAP_MS, end))
        .withColumn("known", F.coalesce(known, F.lit(0)))
        .groupBy(*_KEY, "start", "end")
        .agg(
            F.sum("known").alias("known_ms"),
            held("vehicles").alias("vehicle_ms"),
            *(held(of).alias(f"{of}_ms") for of in _HOURS.values()),
            F.max(F.when(in_day, F.col("vehicles"))).alias("vehicles_max"),
            F.max(F.when(in_day, F.col("abandoned"))).alias("abandoned_max"),
            F.min(F.when(in_day, at)).alias("first_at"),
            F.count_if(in_day).alias("polls"),
        )
        .where("polls > 0")
    )


def _ids_seen(status: DataFrame, dates: DataFrame, firsts: DataFrame) -> DataFrame:
    """How many ids the good polls of a day listed: those with an event of being there in it, and those that the day's
    first good poll still listed. Where midnight is no full hour, that one may have no event of them; the hour before
    midnight has.
    """
    start, end, at = (F.col(name) for name in ("start", "end", "at"))
    is_there = F.col("kind") != EventKind.ABSENT.value
    at_first = F.max_by(F.when(at <= F.col("first_at"), is_there), F.when(at <= F.col("first_at"), at))
    return (
        status.select("system_id", "vehicle_id", "kind", milliseconds("observed_at").alias("at"))
        .join(dates, "system_id")
        .where((at >= start - HOUR_MS) & (at < end))
        .join(F.broadcast(firsts), _KEY)
        .groupBy(*_KEY, "vehicle_id")
        .agg((F.bool_or(is_there & (at >= start)) | F.coalesce(at_first, F.lit(False))).alias("is_seen"))
        .groupBy(*_KEY)
        .agg(F.count_if("is_seen").alias("ids_seen"))
    )
