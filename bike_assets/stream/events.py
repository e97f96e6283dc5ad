"""Topics to `events.*`: one query, each of its batches exactly once in each table."""

import json
from collections import Counter
from collections.abc import Mapping
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.readwriter import DataStreamWriter

from bike_assets.lake.duck import connect
from bike_assets.lake.tables import ensure_table, table_path
from bike_assets.model.tables import EVENTS_REJECTIONS, EVENTS_TABLES, Table
from bike_assets.model.topics import REJECTIONS, TOPICS, Topic
from bike_assets.stream.messages import UNREADABLE, read_messages
from bike_assets.stream.progress import EVENTS

MAX_OFFSETS_PER_TRIGGER = 2_000_000

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
    checkpoint = checkpoint_path(lake)
    starting = "earliest"
    if not (checkpoint / "offsets").exists():
        starting = json.dumps(starting_offsets(lake, partitions))
    messages = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap_servers)
        .option("subscribe", ",".join(topic.name for topic in SOURCES))
        .option("kafka.isolation.level", "read_committed")
        .option("startingOffsets", starting)
        .option("maxOffsetsPerTrigger", MAX_OFFSETS_PER_TRIGGER)
        .load()
    )
    return (
        messages.writeStream.queryName(EVENTS)
        .option("checkpointLocation", str(checkpoint))
        .foreachBatch(lambda batch, batch_id: write_batch(batch, batch_id, lake, rows))
    )


def checkpoint_path(lake: Path) -> Path:
    return lake / "_checkpoints" / EVENTS


def write_batch(batch: DataFrame, batch_id: int, lake: Path, rows: Counter[str]) -> None:
    """Append one batch to each table that it has rows for; a batch that comes again is passed over."""
    app = _application(lake)
    batch.persist()
    try:
        present = {row["topic"]: row["count"] for row in batch.groupBy("topic").count().collect()}
        unreadable = []
        for topic in SOURCES:
            if topic.name not in present or topic.table is None:
                continue
            read = read_messages(batch, topic, topic.table)
            unreadable.append(read.unreadable)
            if topic is not REJECTIONS:
                _append(read.rows, topic.table, lake, app, batch_id)
            else:
                unreadable.append(read.rows)
        if unreadable:
            rejections = reduce(DataFrame.unionByName, unreadable)
            if not rejections.isEmpty():
                _append(rejections, EVENTS_REJECTIONS, lake, app, batch_id)
        rows.update({f"events/{topic}": count for topic, count in present.items()})
    finally:
        batch.unpersist()


def _append(rows: DataFrame, table: Table, lake: Path, app: str, batch_id: int) -> None:
    (
        rows.coalesce(1)
        .write.format("delta")
        .mode("append")
        .option("txnAppId", f"{table.name}/{app}")
        .option("txnVersion", batch_id)
        .save(str(table_path(lake, table)))
    )


def _application(lake: Path) -> str:
    """The query's id: it lives as long as the checkpoint, as batch ids do."""
    metadata = (checkpoint_path(lake) / "metadata").read_text()
    return str(json.loads(metadata)["id"])


def starting_offsets(lake: Path, partitions: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Behind the highest offset that each topic's table holds; -2, Kafka's earliest, where it has none.

    A message that could not be read stands in `events.rejections` under its topic's name.
    """
    highest = _highest_offsets(lake)
    return {
        topic.name: {
            str(partition): highest.get((topic.name, partition), -3) + 1
            for partition in range(partitions[topic.name])
        }
        for topic in SOURCES
    }


def _highest_offsets(lake: Path) -> dict[tuple[str, int], int]:
    con = connect(lake)
    highest: dict[tuple[str, int], int] = {}
    for topic in SOURCES:
        for partition, offset in con.execute(_offsets_of(topic), {"unreadable": f"{UNREADABLE}%"}).fetchall():
            key = (topic.name, partition)
            highest[key] = max(offset, highest.get(key, -1))
    return highest


def _offsets_of(topic: Topic) -> str:
    table = topic.table.name if topic.table else ""
    own = "WHERE reason NOT LIKE $unreadable" if topic is REJECTIONS else ""
    return f"""
        SELECT kafka_partition, max(kafka_offset) FROM (
            SELECT kafka_partition, kafka_offset FROM {table} {own}
            UNION ALL
            SELECT kafka_partition, kafka_offset FROM {EVENTS_REJECTIONS.name}
            WHERE reason LIKE $unreadable AND feed = '{topic.name}')
        GROUP BY ALL"""
