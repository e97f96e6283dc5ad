"""One Spark session for all tests of the warehouse: a start costs some seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from bike_assets.lake.spark import SparkHome, spark_session
from bike_assets.local.jars import Jars


@pytest.fixture(scope="session")
def spark(java: Path, jars: Jars) -> Iterator[SparkSession]:
    session = spark_session(SparkHome("local[2]", "1g", java, jars.spark), "tests")
    yield session
    session.stop()
