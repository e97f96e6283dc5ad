"""Committed `events.*` to `live.*`: touched minutes are computed again and replaced."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import structlog
from deltalake.exceptions import CommitFailedError
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.streaming.readwriter import DataStreamWriter

from bike_assets.lake.conditions import is_good, is_open
from bike_assets.lake.rows import read_spans, replace_spans, rows_near
from bike_assets.lake.spark import SPARKS, frame, is_conflict, read_table
from bike_assets.lake.tables import OpenTables, ensure_table, table_path
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_STATION_STATUS,
    EVENTS_VEHICLE_TOTALS,
    LIVE_SYSTEM_MINUTE,
    LIVE_VEHICLES_SYSTEM_MINUTE,
)
from bike_assets.stream.progress import LIVE

log = structlog.get_logger()

KEY = list(LIVE_SYSTEM_MINUTE.grain)
MINUTE = timedelta(minutes=1)
JOINED = timedelta(hours=2)
FEW_ROWS, FEW_MINUTES = 100_000, 10_000
"""From files of so many events and polls, and into files of so many minutes, no job of Delta's is needed. deltalake
rewrites the minutes beside those that it replaces into one file with them; Spark splits them off."""

TRIES = 3
"""How often a write is tried that a compaction got in the way of."""

Stretch = tuple[datetime, datetime]
_LEVELS = ("stations", "empty", "full", "closed", "bikes_available", "docks_available", "ebikes_available")


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


def vehicle_minutes(totals: DataFrame) -> DataFrame:
    """Rows of `live.vehicles_system_minute` for all minutes in which the given totals lie.

    In:  `events.vehicle_totals` of whole minutes.
    Out: those of the minute's last good poll.
    """
    levels = [column.name for column in LIVE_VEHICLES_SYSTEM_MINUTE.columns if column.name not in KEY]
    return (
        totals.withColumn("minute", F.date_trunc("minute", "observed_at"))
        .groupBy(*KEY)
        .agg(F.max_by(F.struct(*levels), "observed_at").alias("last"))
        .select(*KEY, "last.*")
    )


class Live(NamedTuple):
    """A table of minutes: what it is computed from, with the instants that lie in them, and how."""

    table: Table
    made_of: Mapping[Table, str]
    compute: Callable[..., DataFrame]


LIVES = (
    Live(LIVE_SYSTEM_MINUTE, {EVENTS_STATION_STATUS: "observed_at", EVENTS_POLLS: "fetched_at"},
         system_minutes),
    Live(LIVE_VEHICLES_SYSTEM_MINUTE, {EVENTS_VEHICLE_TOTALS: "observed_at"}, vehicle_minutes),
)  # fmt: skip


def live_query(spark: SparkSession, lake: Path, rows: Counter[str]) -> DataStreamWriter:
    """The query, not yet started. Without its checkpoint it computes every minute once more."""
    for each in LIVES:
        ensure_table(lake, each.table)
    tables = OpenTables(lake)
    checkpoint = lake / "_checkpoints" / LIVE
    _forget_other_tables(checkpoint)
    return (
        _touched(spark, lake)
        .writeStream.queryName(LIVE)
        .option("checkpointLocation", str(checkpoint))
        .foreachBatch(lambda batch, _: replace_minutes(batch, tables, rows))
    )


def _forget_other_tables(checkpoint: Path) -> None:
    """Remove a checkpoint that was made when fewer tables were watched: Spark refuses to go on from it."""
    offsets = [file for file in (checkpoint / "offsets").glob("*") if file.name.isdigit()]
    if not offsets:
        return
    newest = max(offsets, key=lambda file: int(file.name))
    _version, _metadata, *watched = newest.read_text().splitlines()
    if len(watched) != sum(len(each.made_of) for each in LIVES):
        log.info("other tables are watched than before: every minute is computed once more", tables=len(watched))
        shutil.rmtree(checkpoint)


def _touched(spark: SparkSession, lake: Path) -> DataFrame:
    """Minutes with new rows, and whose. All tables are watched: one batch's rows come into them one by one."""

    def minutes(of: Live, table: Table, instant: str) -> DataFrame:
        # What retention removes is no news: its minutes stay as they were. What a replay replaces is removed there too,
        # and comes anew.
        rows = spark.readStream.format("delta").option("skipChangeCommits", "true")
        return rows.load(str(table_path(lake, table))).select(
            F.lit(of.table.name).alias("live"), "system_id", F.date_trunc("minute", instant).alias("minute")
        )

    return reduce(
        DataFrame.unionByName,
        (minutes(of, table, instant) for of in LIVES for table, instant in of.made_of.items()),
    )


def replace_minutes(touched: DataFrame, tables: OpenTables, counted: Counter[str]) -> None:
    """Compute the touched stretches of time from the committed events and put them in the place of the old.

    In:  `touched`: `live`, a table's name, `system_id`, `minute`.
    All systems of a stretch are computed, touched or not: it is mostly a minute or two behind now, and
    so nothing has to be joined.
    """
    hours = touched.groupBy("live", F.date_trunc("hour", "minute").alias("hour")).agg(
        F.min("minute").alias("low"), F.max("minute").alias("high"), F.count_distinct(*KEY).alias("minutes")
    )
    found = hours.collect()
    for live in LIVES:
        own = [row for row in found if row["live"] == live.table.name]
        if own:
            parts = stretches([(row["low"], row["high"]) for row in own])
            _replace_patiently(touched.sparkSession, tables, live, parts)
        # A table that gets nothing, for want of vehicles, is told of too: it is as new as the others.
        counted["/".join(live.table.path)] += sum(row["minutes"] for row in own)


def compute_minutes(spark: SparkSession, lake: Path, of: Mapping[str, datetime]) -> None:
    """Compute the minute in which each system's instant lies, in every table, though no row of it is new.

    For a minute out of which some rows were taken, and the others stay.
    """
    minutes = [(live.table.name, system_id, at.replace(second=0, microsecond=0)) for live in LIVES
               for system_id, at in of.items()]  # fmt: skip
    touched = spark.createDataFrame(minutes, "live string, system_id string, minute timestamp")
    replace_minutes(touched, OpenTables(lake), Counter())


def _replace_patiently(spark: SparkSession, tables: OpenTables, live: Live, parts: list[Stretch]) -> None:
    for tries in range(TRIES):
        try:
            _replace(spark, tables, live, parts)
            return
        except (*SPARKS, CommitFailedError) as err:
            # The night's compaction was quicker. It moved rows and changed none, so the same minutes are computed.
            if tries == TRIES - 1 or not (isinstance(err, CommitFailedError) or is_conflict(err)):
                raise
            log.warning("compacted meanwhile, taken again", table=live.table.name)


def _replace(spark: SparkSession, tables: OpenTables, live: Live, parts: list[Stretch]) -> None:
    """By this process where the rows are few, as they are while nothing is behind; by Spark where they are many."""
    minutes = tables.newest(live.table)  # a write after this one is another's, and a conflict
    # Spark's instants are naive here.
    spans = [(low.replace(tzinfo=UTC), high.replace(tzinfo=UTC) + MINUTE) for low, high in parts]
    frames = []
    for table, instant in live.made_of.items():
        rows = read_spans(tables.newest(table), table, instant, spans, FEW_ROWS)
        if rows is None or rows_near(minutes, "minute", spans) > FEW_MINUTES:
            _replace_many(spark, tables.lake, live, parts)
            return
        frames.append(frame(spark, table, rows))
    replace_spans(minutes, live.table, live.compute(*frames).toArrow(), "minute", spans)


def _replace_many(spark: SparkSession, lake: Path, live: Live, parts: list[Stretch]) -> None:
    frames = (
        read_table(spark, lake, table).where(_within(instant, parts)) for table, instant in live.made_of.items()
    )
    (
        live.compute(*frames)
        .coalesce(1)
        .write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", _condition(parts))
        .save(str(table_path(lake, live.table)))
    )


def stretches(touched: Iterable[Stretch]) -> list[Stretch]:
    """The touched stretches of time joined where less than JOINED lies between: few, each (first, last) minute."""
    joined: list[Stretch] = []
    for low, high in sorted(touched):
        if joined and low - joined[-1][1] <= JOINED:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return joined


def _within(instant: str, parts: Iterable[Stretch]) -> Column:
    """Only the touched stretches: whole partitions and most files are passed over."""
    wanted = F.lit(False)
    for low, high in parts:
        day, at = F.col("utc_date"), F.col(instant)
        wanted |= day.between(low.date(), high.date()) & (at >= low) & (at < high + MINUTE)
    return wanted


def _condition(parts: Iterable[Stretch]) -> str:
    """The same stretches in the form in which Delta takes what is to be replaced."""
    return " OR ".join(
        f"(minute >= TIMESTAMP '{low} UTC' AND minute <= TIMESTAMP '{high} UTC')" for low, high in parts
    )
