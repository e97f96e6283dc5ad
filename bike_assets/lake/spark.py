"""Spark over the lake: the one way a session is made, and tables as Spark's schemas."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from bike_assets.lake.tables import table_path
from bike_assets.model.schema import Column, ColumnType, Table

_TYPES: dict[ColumnType, DataType] = {
    "string": StringType(),
    "timestamp": TimestampType(),
    "date": DateType(),
    "int": IntegerType(),
    "bigint": LongType(),
    "double": DoubleType(),
    "boolean": BooleanType(),
}

# Spark looks for a cause in the text of an interrupted batch by a regular expression that recurses.
_STACK = "-Xss16m"
_LOGGING = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}"

_CONFIG = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # A batch of a city is some hundred rows: Spark's defaults for large data cost it ten times the time.
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.streaming.noDataProgressEventInterval": "1000",
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
}


@dataclass(frozen=True, slots=True)
class SparkHome:
    """What a session is made of: where it runs, its heap, its Java and its jars."""

    master: str
    memory: str
    java_home: Path
    jars: Sequence[Path]


def spark_session(home: SparkHome, app: str) -> SparkSession:
    """A session with Delta and Kafka; the process's environment is told which Java to take."""
    os.environ["JAVA_HOME"] = str(home.java_home)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["TZ"] = "UTC"  # what Spark hands to Python is naive, in the process's zone
    time.tzset()
    builder = SparkSession.builder.appName(app).master(home.master)
    for key, value in _CONFIG.items():
        builder = builder.config(key, value)
    return (
        builder.config("spark.driver.memory", home.memory)
        .config("spark.driver.extraJavaOptions", f"-Duser.timezone=UTC -XX:+UseSerialGC {_STACK} {_LOGGING}")
        .config("spark.jars", ",".join(map(str, home.jars)))
        .getOrCreate()
    )


def spark_schema(columns: Sequence[Column]) -> StructType:
    """The columns as Spark's schema, all nullable: what comes from outside may lack anything."""
    return StructType([StructField(column.name, _TYPES[column.type]) for column in columns])


def read_table(spark: SparkSession, lake: Path, table: Table) -> DataFrame:
    """The table at its newest version."""
    return spark.read.format("delta").load(str(table_path(lake, table)))
