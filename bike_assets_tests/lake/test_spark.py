"""How the lake's Spark is set up."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bike_assets.lake.driver import SparkHome
from bike_assets.lake.spark import spark_config

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_sparks_way_to_a_local_disk_is_the_one_that_starts_no_process(spark: "SparkSession") -> None:
    assert spark._jvm is not None
    there = spark._jvm.java.net.URI("file:///")
    disk = spark._jvm.org.apache.hadoop.fs.FileSystem.get(there, spark.sparkContext._jsc.hadoopConfiguration())
    assert disk.getRawFileSystem().toString() == "NakedLocalFS"


def test_a_cluster_takes_its_own_file_systems() -> None:
    home = SparkHome("local[2]", "1g", Path("java"), [Path("hadoop-bare-naked-local-fs-0.1.0.jar")])
    assert "spark.hadoop.fs.file.impl" in spark_config(home, "tests")
    assert "spark.hadoop.fs.file.impl" not in spark_config(replace(home, master="spark://head:7077"), "tests")
