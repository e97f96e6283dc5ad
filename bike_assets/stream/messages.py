"""Kafka messages as rows of their table. Pure: frames in, frames out."""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  Spark's own convention

from bike_assets.lake.spark import spark_schema
from bike_assets.model.tables import EVENTS_REJECTIONS, Table
from bike_assets.model.topics import Topic

UNREADABLE = "unreadable_message"
"""How the reason of a rejection begins that the stream wrote, for a message that is not its topic's."""

_KAFKA_COLUMNS = ("utc_date", "kafka_partition", "kafka_offset")


class Read(NamedTuple):
    """The rows of a topic's table, and what could not be read, as rows of `events.rejections`."""

    rows: DataFrame
    unreadable: DataFrame


def read_messages(messages: DataFrame, topic: Topic, table: Table) -> Read:
    """Parse the messages of one topic.

    In:  Kafka's columns `topic, partition, offset, timestamp, value`.
    Out: the table's columns in its order. `from_json` gives nulls where it cannot read: a message
    that it marks, or in which a required field is null, is unreadable, never a row of nulls.
    """
    own = [column for column in table.columns if column.name not in _KAFKA_COLUMNS]
    schema = spark_schema(own).add("_corrupt", "string")
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_corrupt"}
    text = F.col("value").cast("string")
    parsed = messages.where(F.col("topic") == topic.name).withColumn("row", F.from_json(text, schema, options))
    required = [F.col(f"row.{column.name}").isNotNull() for column in own if not column.nullable]
    is_readable = F.col("row").isNotNull() & F.col("row._corrupt").isNull()
    for has_value in required:
        is_readable &= has_value
    readable = F.coalesce(is_readable, F.lit(False))
    rows = parsed.where(readable).select("row.*", "partition", "offset").drop("_corrupt")
    return Read(_placed(rows, table), _rejections(parsed.where(~readable), topic, text))


def _placed(rows: DataFrame, table: Table) -> DataFrame:
    instant = next(name for name in reversed(table.grain) if name.endswith("_at"))
    return rows.withColumns(
        {
            "utc_date": F.to_date(instant),
            "kafka_partition": F.col("partition"),
            "kafka_offset": F.col("offset"),
        }
    ).select(*(column.name for column in table.columns))


def _rejections(messages: DataFrame, topic: Topic, text: Column) -> DataFrame:
    place = F.format_string("%s: topic %s, partition %d, offset %d", F.lit(UNREADABLE), F.lit(topic.name),
                            F.col("partition"), F.col("offset"))
    return messages.select(
        F.split(F.coalesce(F.col("key").cast("string"), F.lit("")), "/")[0].alias("system_id"),
        F.lit(topic.name).alias("feed"),
        F.col("timestamp").alias("fetched_at"),
        F.lit(-1).alias("row_index"),
        place.alias("reason"),
        F.substring(text, 1, 10_000).alias("payload"),
        F.to_date("timestamp").alias("utc_date"),
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
    ).select(*(column.name for column in EVENTS_REJECTIONS.columns))
