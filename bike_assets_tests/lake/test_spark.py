"""How the lake's Spark is set up."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from pyspark.sql import functions as F  # noqa: N812

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


def test_numbers_of_hours_have_no_ranges_in_files_and_the_real_ones_no_dictionary(
    spark: "SparkSession", tmp_path: Path
) -> None:
    same = {"station_id": F.lit("7"), "departures": F.lit(2), "bikes_mean": F.lit(0.5), "station_key": F.lit(7_000)}
    many = spark.range(1_000).coalesce(1).select(*(value.alias(name) for name, value in same.items()))
    many.write.parquet(str(tmp_path / "hours"))
    (file,) = (tmp_path / "hours").glob("*.parquet")
    columns = pq.ParquetFile(file).metadata.row_group(0).to_dict()["columns"]
    told = {each["path_in_schema"]: (each["is_stats_set"], each["has_dictionary_page"]) for each in columns}
    assert told == {
        "station_id": (True, True),
        "departures": (False, True),
        "bikes_mean": (False, False),
        "station_key": (False, False),
    }
