"""Committed `events.*` to `live.system_minute`: touched minutes are computed again and replaced."""

from collections import Counter
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.streaming.readwriter import DataStreamWriter

from bike_assets.lake.spark import read_table
from bike_assets.lake.tables import ensure_table, table_path
from bike_assets.model.readings import State
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, LIVE_SYSTEM_MINUTE
from bike_assets.stream.progress import LIVE

KEY = list(LIVE_SYSTEM_MINUTE.grain)
_LEVELS = ("stations", "empty", "full", "closed", "bikes_available", "docks_available", "ebikes_available")


def is_good() -> Column:
    """A good poll of stations: only these say anything of them."""
    return (F.col("feed") == "station_status") & F.col("outcome").isin("ok", "not_modified")


def is_open(state: str) -> Column:
    """Whether the column holds the state of an open station; false where it is null."""
    known = F.col(state).isin(State.EMPTY.value, State.FULL.value, State.AVAILABLE.value)
    return F.coalesce(known, F.lit(False))


def with_flows(status: DataFrame) -> DataFrame:
    """Add `departures` and `arrivals`: bikes gone and come since the reading before.

    In:  events of stations, one row per (system_id, station_id, observed_at), in any order.
    Out: the same rows; 0 where the station was not open both times, or was absent before.
    """
    step = F.col("bikes_available") - F.col("bikes_before")
    ridden = is_open("state") & is_open("state_before")
    return status.withColumns(
        {
            "departures": F.when(ridden, F.greatest(-step, F.lit(0))).otherwise(0),
            "arrivals": F.when(ridden, F.greatest(step, F.lit(0))).otherwise(0),
        }
    )


def system_minutes(status: DataFrame, polls: DataFrame) -> DataFrame:
    """Rows of `live.system_minute` for all minutes in which the given polls lie.

    In:  `events.station_status` and `events.polls` of whole minutes.
    Out: levels at the minute's last good poll, flows summed over its events.
    """
    levels = [*_LEVELS, "bikes_with_docks"]
    last = (
        polls.where(is_good())
        .withColumn("minute", F.date_trunc("minute", "fetched_at"))
        .groupBy(*KEY)
        .agg(F.max_by(F.struct(*levels), "fetched_at").alias("last"))
        .select(*KEY, "last.*")
    )
    flows = (
        with_flows(status)
        .withColumn("minute", F.date_trunc("minute", "observed_at"))
        .groupBy(*KEY)
        .agg(*(F.sum(name).cast("int").alias(name) for name in ("departures", "arrivals")))
    )
    places = F.col("bikes_with_docks") + F.col("docks_available")
    return (
        last.join(flows, KEY, "left")
        .fillna(0, ["departures", "arrivals"])
        .withColumn("saturation", F.when(places > 0, F.col("bikes_with_docks") / places))
        .select(*(column.name for column in LIVE_SYSTEM_MINUTE.columns))
    )


def live_query(spark: SparkSession, lake: Path, rows: Counter[str]) -> DataStreamWriter:
    """The query, not yet started. Without its checkpoint it computes every minute once more."""
    ensure_table(lake, LIVE_SYSTEM_MINUTE)
    return (
        _touched(spark, lake)
        .writeStream.queryName(LIVE)
        .option("checkpointLocation", str(lake / "_checkpoints" / LIVE))
        .foreachBatch(lambda batch, _: replace_minutes(batch, lake, rows))
    )


def _touched(spark: SparkSession, lake: Path) -> DataFrame:
    """Minutes with new rows. Both tables are watched: one batch's rows come into them one by one."""

    def minutes(path: Path, instant: str) -> DataFrame:
        rows = spark.readStream.format("delta").load(str(path))
        return rows.select("system_id", F.date_trunc("minute", instant).alias("minute"), "utc_date")

    return minutes(table_path(lake, EVENTS_STATION_STATUS), "observed_at").unionByName(
        minutes(table_path(lake, EVENTS_POLLS), "fetched_at")
    )


def replace_minutes(touched: DataFrame, lake: Path, counted: Counter[str]) -> None:
    """Compute the touched minutes from the committed events and put them in the place of the old ones."""
    spark = touched.sparkSession
    touched = touched.distinct().persist()
    try:
        bounds = touched.groupBy("utc_date").agg(
            F.min("minute").alias("low"), F.max("minute").alias("high"), F.count("*").alias("minutes")
        )
        days = bounds.collect()
        if not days:
            return
        status = _within(read_table(spark, lake, EVENTS_STATION_STATUS), "observed_at", days)
        polls = _within(read_table(spark, lake, EVENTS_POLLS), "fetched_at", days)
        rows = system_minutes(status, polls).join(touched.select(*KEY), KEY, "left_semi")
        low, high = min(day["low"] for day in days), max(day["high"] for day in days)
        target = DeltaTable.forPath(spark, str(table_path(lake, LIVE_SYSTEM_MINUTE)))
        same = (F.col("old.system_id") == F.col("new.system_id")) & (F.col("old.minute") == F.col("new.minute"))
        (
            target.alias("old")
            .merge(rows.alias("new"), same & F.col("old.minute").between(low, high))
            .whenMatchedUpdateAll()
            .whenNotMatchedInsertAll()
            .execute()
        )
        counted["live/system_minute"] += sum(day["minutes"] for day in days)
    finally:
        touched.unpersist()


def _within(rows: DataFrame, instant: str, days: list[Row]) -> DataFrame:
    """Only the touched part of each touched day: whole partitions and most files are passed over."""
    wanted = F.lit(False)
    for day in days:
        until = F.lit(day["high"]) + F.expr("INTERVAL 1 MINUTE")
        wanted |= (
            (F.col("utc_date") == day["utc_date"]) & (F.col(instant) >= day["low"]) & (F.col(instant) < until)
        )
    return rows.where(wanted)
