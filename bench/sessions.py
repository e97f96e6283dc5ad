"""A session of Spark as a small machine has it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from bike_assets.lake.driver import SparkHome
from bike_assets.lake.spark import spark_session
from bike_assets.local.jars import ensure_jars
from bike_assets.local.java import java_home
from bike_assets_tests.conftest import HOME


def spark_home() -> SparkHome:
    """Two cores and 3 GB of heap."""
    java = java_home(None, HOME)
    return SparkHome("local[2]", "3g", java, ensure_jars(HOME, java).spark)


@contextmanager
def session() -> Iterator[SparkSession]:
    """A classic session; its JVM lives on and is the next one's."""
    os.environ["PYSPARK_PYTHON"] = sys.executable  # for the workers of a pandas function
    spark = spark_session(spark_home(), "bench")
    try:
        yield spark
    finally:
        spark.stop()
