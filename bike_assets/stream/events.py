"""Topics to `events.*`: one query, each of its batches exactly once in each table.

A batch of some seconds is written by this process (`lake.rows`): Spark computes its rows, but a commit of Delta's in
Spark takes longer than all the rest. A large one, as after an outage, Spark writes. Both commit alike.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import structlog
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.streaming.readwriter import DataStreamWriter

from bike_assets.lake.maintenance import gather
from bike_assets.lake.rows import append_rows
from bike_assets.lake.spark import read_table
from bike_assets.lake.tables import OpenTables, ensure_table, row_count, table_path
from bike_assets.model.errors import LakeBroken
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_REJECTIONS, EVENTS_TABLES
from bike_assets.model.topics import REJECTIONS, TOPICS, Topic
from bike_assets.stream.floors import floors
from bike_assets.stream.messages import UNREADABLE, is_tombstone, rows_of, unreadable_of, with_rows
from bike_assets.stream.progress import EVENTS

log = structlog.get_logger()

MAX_OFFSETS_PER_TRIGGER = 2_000_000
FEW_MESSAGES, FEW_BYTES = 400_000, 200_000_000
"""Up to so many are taken from Spark and written here; a rejected body can be large."""

FETCH_WAIT_MS = 10
"""Behind a transaction's last message stands its mark, which is none: to get past it, a task asks the broker for more,
and holds a core of Spark's for as long as the broker waits for more to come, by default 500 ms a partition."""

# Status before polls: a minute that a poll touches then nearly always finds its changes.
SOURCES = tuple(topic for topic in TOPICS if topic.table is not None)


def events_query(
    spark: SparkSession,
    lake: Path,
    bootstrap_servers: str,
    partitions: Mapping[str, int],
    rows: Counter[str],
) -> DataStreamWriter:
    """The query, not yet started. Its checkpoint says where to go on; the tables do where it is gone.

    `partitions`: how many each topic has. `rows` counts what each table gets.
    """
    for table in EVENTS_TABLES:
        ensure_table(lake, table)
    tables = OpenTables(lake)
    checkpoint = checkpoint_path(lake)
    starting = "earliest"
    # Spark makes the directory before it writes an offset into it, and may be killed in between.
    if not any(file.name.isdigit() for file in (checkpoint / "offsets").glob("*")):
        starting = json.dumps(starting_offsets(spark, lake, partitions))
    messages = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap_servers)
        .option("subscribe", ",".join(topic.name for topic in SOURCES))
        .option("kafka.isolation.level", "read_committed")
        .option("kafka.fetch.max.wait.ms", FETCH_WAIT_MS)
        .option("startingOffsets", starting)
        .option("maxOffsetsPerTrigger", MAX_OFFSETS_PER_TRIGGER)
        .load()
        .where(~is_tombstone())
    )
    return (
        messages.writeStream.queryName(EVENTS)
        .option("checkpointLocation", str(checkpoint))
        .foreachBatch(lambda batch, batch_id: write_batch(batch, batch_id, tables, rows))
    )


def checkpoint_path(lake: Path) -> Path:
    return lake / "_checkpoints" / EVENTS


def write_batch(batch: DataFrame, batch_id: int, tables: OpenTables, rows: Counter[str]) -> None:
    """Append one batch to each table that it has rows for; a batch that comes again is passed over."""
    app = _application(tables.lake)

    def append_few(rows: DataFrame, table: Table) -> None:
        append_rows(tables.newest(table), table, rows.toArrow(), f"{table.name}/{app}", batch_id)
        _gather(tables, table)

    def append_many(rows: DataFrame, table: Table) -> None:
        (
            rows.coalesce(1)
            .write.format("delta")
            .mode("append")
            .option("txnAppId", f"{table.name}/{app}")
            .option("txnVersion", batch_id)
            .save(str(table_path(tables.lake, table)))
        )

    messages = with_rows(batch, SOURCES).persist()
    try:
        counted = messages.groupBy("topic", "is_readable").agg(
            F.count("*").alias("messages"), F.sum("bytes").alias("bytes")
        ).collect()  # fmt: skip
        readable = {row["topic"]: row["messages"] for row in counted if row["is_readable"]}
        unreadable = sum(row["messages"] for row in counted if not row["is_readable"])
        is_small = unreadable + sum(readable.values()) <= FEW_MESSAGES
        append = append_few if is_small and sum(row["bytes"] or 0 for row in counted) <= FEW_BYTES else append_many
        for topic in SOURCES:
            if topic.table is not None and topic.name in readable and topic is not REJECTIONS:
                append(rows_of(messages, topic), topic.table)
                rows["/".join(topic.table.path)] += readable[topic.name]
        # One append a table and batch: what the poller rejected and what could not be read go together.
        if unreadable or REJECTIONS.name in readable:
            rejected = rows_of(messages, REJECTIONS).unionByName(unreadable_of(messages))
            append(rejected, EVENTS_REJECTIONS)
            rows["events/rejections"] += unreadable + readable.get(REJECTIONS.name, 0)
    finally:
        messages.unpersist()


def _gather(tables: OpenTables, table: Table) -> None:
    """A file that cannot be read stops nothing that is new: the night's compaction fails, and tells of it."""
    try:
        gather(tables.lake, tables.newest(table), table)
    except LakeBroken as err:
        log.warning("small files stay as they are", table=table.name, reason=str(err))


def _application(lake: Path) -> str:
    """The query's id: it lives as long as the checkpoint, as batch ids do."""
    metadata = (checkpoint_path(lake) / "metadata").read_text()
    return str(json.loads(metadata)["id"])


def starting_offsets(
    spark: SparkSession, lake: Path, partitions: Mapping[str, int]
) -> dict[str, dict[str, int]]:
    """Behind the highest offset that each topic's table holds; -2, Kafka's earliest, where it has none.

    A message that could not be read stands in `events.rejections` under its topic's name. What was replaced since
    stands in no table, and is behind the floor.
    """
    highest, floor = _highest_offsets(spark, lake), floors(lake)
    return {
        topic.name: {
            str(partition): max(
                highest.get((topic.name, partition), -3) + 1, floor.get(topic.name, {}).get(str(partition), -2)
            )
            for partition in range(partitions[topic.name])
        }
        for topic in SOURCES
    }


def _highest_offsets(spark: SparkSession, lake: Path) -> dict[tuple[str, int], int]:
    if not any(row_count(lake, table) for table in EVENTS_TABLES):
        return {}  # the first start of all: five cold reads of Spark would tell the same after 5 s
    return {
        (topic.name, row["kafka_partition"]): row["highest"]
        for topic in SOURCES
        for row in _offsets_of(spark, lake, topic).collect()
    }


def _offsets_of(spark: SparkSession, lake: Path, topic: Topic) -> DataFrame:
    """The highest offset of each partition of a topic, of what could be read and what could not."""
    rejections = read_table(spark, lake, EVENTS_REJECTIONS)
    is_unreadable = F.col("reason").startswith(UNREADABLE)
    unreadable = rejections.where(is_unreadable & (F.col("feed") == topic.name))
    readable = rejections.where(~is_unreadable)
    if topic.table is not None and topic is not REJECTIONS:
        readable = read_table(spark, lake, topic.table)
    place = ("kafka_partition", "kafka_offset")
    rows = readable.select(*place).unionByName(unreadable.select(*place))
    return rows.groupBy("kafka_partition").agg(F.max("kafka_offset").alias("highest"))
