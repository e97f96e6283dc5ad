"""Spark over the lake: the one way a session is made, and tables as Spark's schemas."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.errors.exceptions.connect import SparkConnectGrpcException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.connect.dataframe import DataFrame as ConnectDataFrame
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from bike_assets.lake.driver import Serving, SparkHome
from bike_assets.lake.tables import table_path
from bike_assets.model.schema import Column, ColumnType, Table
from bike_assets.model.warehouse import FACT_STATION_HOUR

_TYPES: dict[ColumnType, DataType] = {
    "string": StringType(),
    "timestamp": TimestampType(),
    "date": DateType(),
    "int": IntegerType(),
    "bigint": LongType(),
    "double": DoubleType(),
    "boolean": BooleanType(),
    "decimal(12,2)": DecimalType(12, 2),
    "decimal(28,2)": DecimalType(28, 2),
}

# Spark looks for a cause in the text of an interrupted batch by a regular expression that recurses.
_STACK = "-Xss16m"
# Only what runs very often is worth the optimising compiler: half of a small batch's CPU was its work.
_COMPILER = (
    "-XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000 "
    "-XX:Tier4CompileThreshold=150000 -XX:Tier4BackEdgeThreshold=400000"
)
_LOGGING = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}"

_CONFIG = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Without its pages too, a driver remembers the last thousand jobs and plans for them: a tenth of its heap.
    "spark.ui.retainedJobs": "10",
    "spark.ui.retainedStages": "10",
    "spark.sql.ui.retainedExecutions": "10",
    "spark.connect.ui.retainedSessions": "1",
    "spark.connect.ui.retainedStatements": "10",
    # A batch of a city is some hundred rows: Spark's defaults for large data cost it ten times the time.
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    # A day's seven tables are more compiled code than Spark's 100 places: each run would compile all of it again.
    "spark.sql.codegen.cache.maxEntries": "2000",
    # A small map before the large one is full of others' keys where groups are many, and each row is looked up twice.
    "spark.sql.codegen.aggregate.map.twolevel.enabled": "false",
    # Rows of one date are written as they come; by default all are sorted by their partition before.
    "spark.sql.maxConcurrentOutputFileWriters": "1",
    # Where in Python a column was named is found out at each call, for messages that name it.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    # A batch is kept for moments: to look how its columns could be packed takes longer than to write and read them.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    "spark.sql.streaming.noDataProgressEventInterval": "1000",
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
}

SPARKS = (PySparkException, Py4JJavaError)
"""What Spark raises; Delta's own exceptions come as Java's where the driver is this process's."""

STREAM_POOL = "stream"
_SERVING = {
    "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
    "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.scheduler.mode": "FAIR",
    "spark.scheduler.allocation.file": Path(__file__).with_name("pools.xml").as_uri(),
}


def spark_session(home: SparkHome, app: str, serving: Serving | None = None) -> SparkSession:
    """A session with Delta and Kafka; the process's environment is told which Java to take.

    With `serving` its driver is shared: jobs of others run beside the stream's, which has a pool of its own.
    """
    prepare_environment(home)
    config = spark_config(home, app)
    if serving is not None:
        # By the environment: a setting would stand on the driver's command line, for all to read.
        os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"] = serving.token
        config |= _SERVING | {"spark.connect.grpc.binding.port": str(serving.port)}
    builder = SparkSession.builder
    for key, value in config.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def prepare_environment(home: SparkHome) -> None:
    """What a driver takes from the environment of the process that starts it."""
    os.environ["JAVA_HOME"] = str(home.java_home)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["TZ"] = "UTC"  # what Spark hands to Python is naive, in the process's zone
    time.tzset()


def spark_config(home: SparkHome, app: str) -> dict[str, str]:
    """Every setting of a driver."""
    of_jars = _on_disk(home) if home.master.startswith("local") else {"spark.jars": ",".join(map(str, home.jars))}
    return _CONFIG | _of_numbers() | of_jars | {
        "spark.app.name": app,
        "spark.master": home.master,
        "spark.driver.memory": home.memory,
        "spark.driver.extraJavaOptions": f"-Duser.timezone=UTC -XX:+UseSerialGC {_STACK} {_COMPILER} {_LOGGING}",
    }


def _on_disk(home: SparkHome) -> dict[str, str]:
    """Hadoop's way to a local disk starts a `chmod` for each file, six processes for one of Delta's: this one none.

    The jars stand on the class path of the JVM's start: Spark looks at files before it has loaded `spark.jars`, of
    which it makes a copy each time.
    """
    return {"spark.driver.extraClassPath": ":".join(str(jar.resolve()) for jar in home.jars),
            "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem"}


def _of_numbers() -> dict[str, str]:
    """How Parquet writes the numbers of `fact_station_hour`, the table of most rows that Spark writes.

    Nobody looks for a row by them, so no file has their least and greatest value. Of real numbers and hashes most
    differ: a dictionary of them is made, found too large and given up. Parquet is told by a column's name alone, so
    that the same holds of columns of these names in smaller tables.
    """
    numbers = [each for each in FACT_STATION_HOUR.columns if each.type in ("int", "bigint", "double")]
    return {
        **{f"spark.hadoop.parquet.column.statistics.enabled#{each.name}": "false" for each in numbers},
        **{f"spark.hadoop.parquet.enable.dictionary#{each.name}": "false" for each in numbers if each.type != "int"},
    }


def spark_schema(columns: Sequence[Column]) -> StructType:
    """The columns as Spark's schema, all nullable: what comes from outside may lack anything."""
    return StructType([StructField(column.name, _TYPES[column.type]) for column in columns])


def frame(spark: SparkSession, table: Table, rows: pa.Table) -> DataFrame:
    """Few rows of a table handed to Spark, in one partition: what is computed of them is one task, and no exchange."""
    if rows:
        return spark.createDataFrame(rows).coalesce(1)
    # Spark takes no table of Arrow's without rows, and makes a frame of an empty list by a Python of its own.
    columns = (F.lit(None).cast(_TYPES[column.type]).alias(column.name) for column in table.columns)
    return spark.range(0).select(*columns).coalesce(1)


def taken(rows: DataFrame, table: Table) -> pa.Table:
    """Few rows, of the table's columns, taken from Spark.

    Spark Connect's `toArrow` first has the driver analyse the whole plan to learn its schema, which is the table's.
    """
    if isinstance(rows, ConnectDataFrame):
        rows._cached_schema = spark_schema(table.columns)  # noqa: SLF001 - where PySpark keeps what it was told
    return rows.toArrow()


def read_table(spark: SparkSession, lake: Path, table: Table) -> DataFrame:
    """The table at its newest version."""
    return spark.read.format("delta").load(str(table_path(lake, table)))


def is_conflict(err: Exception) -> bool:
    """Whether another writer of a Delta table was quicker: the same work can be done again."""
    return "DELTA_CONCURRENT" in str(err)


def is_lost(err: Exception) -> bool:
    """Whether the resident driver is gone, or another answers in its place. What it says of the work is a subclass."""
    return type(err) is SparkConnectGrpcException
