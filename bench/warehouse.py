"""The warehouse's hours of a day: the world's by Spark and by DuckDB, and a city's from its answers to the facts."""

from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.sql import SparkSession

from bench import city
from bench.by_duckdb import Sums, is_same, sums_of_file, sums_of_table, write_hours
from bench.report import result, say
from bench.sessions import session
from bench.spent import Spent, peak_gb, warm
from bench.world import DAY, World, write_world
from bike_assets.model.warehouse import DIM_SYSTEM, FACT_STATION_HOUR
from bike_assets.warehouse.build import build

SHARES = (1 / 14, 4 / 14, 1.0)
"""Of the world's systems."""

BUILDS_BEFORE = (10, 3, 3)
"""Of each share: the driver is resident, and after so many days its JVM has compiled what is hot."""

WALL_WANTED_S, MEMORY_WANTED_GB, TIMES_DUCKDB_WANTED = 40.0, 4.0, 2.5


def run(whole: float = 1.0) -> None:
    """The world's day and parts of it; then a city's."""
    with session() as spark:
        for share, before in zip(SHARES, BUILDS_BEFORE, strict=True):
            with TemporaryDirectory(prefix="bike-bench-") as directory:
                _world(spark, Path(directory), share * whole, before)
    city.run()


def _world(spark: SparkSession, lake: Path, share: float, before: int) -> None:
    say(f"warehouse: making {share:.1%} of the world's day")
    world = write_world(lake, share)
    build(spark, lake, DIM_SYSTEM, (DAY, DAY))
    say(f"warehouse: {world.events:,} events")
    ours = warm(lambda: build(spark, lake, FACT_STATION_HOUR, (DAY, DAY)), before)
    memory = peak_gb("SparkSubmit")
    file = lake / "hours.parquet"
    theirs = warm(lambda: write_hours(lake, DAY, file))
    _tell(world, ours, theirs, memory, sums_of_table(lake, DAY), sums_of_file(file))


def _tell(world: World, ours: Spent, theirs: Spent, memory: float, by_spark: Sums, by_duckdb: Sums) -> None:
    times = ours.cpu_s / theirs.cpu_s
    is_met = ours.wall_s <= WALL_WANTED_S and memory <= MEMORY_WANTED_GB and times <= TIMES_DUCKDB_WANTED
    result(
        "warehouse",
        case="world",
        **world._asdict(),
        wall_s=round(ours.wall_s, 1),
        wall_s_wanted=WALL_WANTED_S,
        cpu_s=round(ours.cpu_s, 1),
        cpu_s_a_million_events=round(ours.cpu_s / world.events * 1e6, 2),
        memory_peak_gb=round(memory, 2),
        memory_gb_wanted=MEMORY_WANTED_GB,
        duckdb_wall_s=round(theirs.wall_s, 1),
        duckdb_cpu_s=round(theirs.cpu_s, 1),
        times_duckdb_cpu=round(times, 2),
        times_wanted=TIMES_DUCKDB_WANTED,
        is_met=is_met,
        is_same=is_same(by_spark, by_duckdb),
        departures=by_spark.departures,
        arrivals=by_spark.arrivals,
    )
