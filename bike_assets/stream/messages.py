"""Kafka messages as rows of their table. Pure: frames in, frames out."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  Spark's own convention

from bike_assets.lake.spark import spark_schema
from bike_assets.model import schema
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_REJECTIONS
from bike_assets.model.topics import TOPICS, Topic

UNREADABLE = "unreadable_message"
"""How the reason of a rejection begins that the stream wrote, for a message that is not its topic's."""

PAYLOAD_CHARACTERS = 10_000
_KAFKA_COLUMNS = ("utc_date", "kafka_partition", "kafka_offset")
_CORRUPT = "_corrupt"
_PERSONAL = [topic.name for topic in TOPICS if topic.is_personal]
"""What is written into these may be a person's, whoever wrote it: nothing of it is kept that cannot be forgotten."""


def is_tombstone() -> Column:
    """A message that forgets its key in a compacted topic: it says nothing of any instant, and is no row."""
    compacted = [topic.name for topic in TOPICS if topic.is_compacted]
    return F.col("topic").isin(compacted) & F.col("value").isNull()


def with_rows(messages: DataFrame, topics: Sequence[Topic]) -> DataFrame:
    """Read each message once: as a row of its topic's table, if it is one.

    In:  Kafka's columns `topic, partition, offset, timestamp, key, value`, of these topics.
    Out: the same with `bytes`, the value's length; a column of each topic's name with the row, null in the others'
         messages; and `is_readable`. The value is left only where that is false.
    `from_json` gives nulls where it cannot read: a message that it marks as corrupt, or in which a
    required field is null, is unreadable, and must never become a row of nulls.
    """
    own = {topic.name: F.col("topic") == topic.name for topic in topics}
    parsed = {topic.name: F.when(own[topic.name], _parsed(_table(topic))) for topic in topics}
    is_readable = F.lit(False)
    for topic in topics:
        is_readable = F.when(own[topic.name], _holds(F.col(topic.name), _table(topic))).otherwise(is_readable)
    return (
        messages.withColumns(parsed)
        .withColumns({"is_readable": is_readable, "bytes": F.length("value")})
        .withColumn("value", F.when(~F.col("is_readable"), F.col("value")))
    )


def rows_of(messages: DataFrame, topic: Topic) -> DataFrame:
    """The readable messages of one topic as rows of its table, in the order of its columns."""
    table = _table(topic)
    return (
        messages.where((F.col("topic") == topic.name) & F.col("is_readable"))
        .select(
            f"{topic.name}.*", F.col("partition").alias("kafka_partition"), F.col("offset").alias("kafka_offset")
        )
        .withColumn("utc_date", F.to_date(table.dated_by))
        .select(*(column.name for column in table.columns))
    )


def unreadable_of(messages: DataFrame) -> DataFrame:
    """The unreadable messages as rows of `events.rejections`, with the place where they stood."""
    place = F.format_string(
        "%s: topic %s, partition %d, offset %d",
        F.lit(UNREADABLE), F.col("topic"), F.col("partition"), F.col("offset"),
    )  # fmt: skip
    return messages.where(~F.col("is_readable")).select(
        F.split(F.coalesce(F.col("key").cast("string"), F.lit("")), "/")[0].alias("system_id"),
        F.col("topic").alias("feed"),
        F.col("timestamp").alias("fetched_at"),
        F.lit(-1).alias("row_index"),
        place.alias("reason"),
        F.when(~F.col("topic").isin(_PERSONAL), F.substring(_text(), 1, PAYLOAD_CHARACTERS)).alias("payload"),
        F.to_date("timestamp").alias("utc_date"),
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
    ).select(*(column.name for column in EVENTS_REJECTIONS.columns))


def _table(topic: Topic) -> Table:
    if topic.table is None:
        raise ValueError(f"{topic.name} goes to no table")
    return topic.table


def _own_columns(table: Table) -> list[schema.Column]:
    return [column for column in table.columns if column.name not in _KAFKA_COLUMNS]


def _text() -> Column:
    return F.col("value").cast("string")


def _parsed(table: Table) -> Column:
    schema = spark_schema(_own_columns(table)).add(_CORRUPT, "string")
    return F.from_json(_text(), schema, {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _CORRUPT})


def _holds(row: Column, table: Table) -> Column:
    """Whether a parsed row is whole."""
    whole = row.isNotNull() & row[_CORRUPT].isNull()
    for column in _own_columns(table):
        if not column.nullable:
            whole &= row[column.name].isNotNull()
    return F.coalesce(whole, F.lit(False))
