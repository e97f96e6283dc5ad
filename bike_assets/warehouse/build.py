"""The warehouse's tables read, computed and written: the one place in `warehouse` that touches the lake.

A range of days replaces those days and nothing else, so it can be run again, in any order and by two at once.
"""

import random
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import structlog
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.lake.spark import read_table
from bike_assets.lake.tables import ensure_table, row_count, table_path
from bike_assets.model.errors import LakeBroken
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_STATION_INFORMATION,
    EVENTS_STATION_STATUS,
    EVENTS_SYSTEM_INFORMATION,
    EVENTS_TABLES,
)
from bike_assets.model.warehouse import (
    DIM_DATE,
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    STATION_QUALITY,
    SYSTEM_SERVICE_DAY,
    WAREHOUSE_TABLES,
)
from bike_assets.warehouse.dim_date import dates
from bike_assets.warehouse.dim_station import stations
from bike_assets.warehouse.dim_system import systems
from bike_assets.warehouse.station_day import station_days
from bike_assets.warehouse.station_hour import station_hours
from bike_assets.warehouse.station_quality import station_quality
from bike_assets.warehouse.system_day import system_days
from bike_assets.warehouse.system_service_day import system_service_days

log = structlog.get_logger()

DAY = timedelta(days=1)
_SPARKS = (PySparkException, Py4JJavaError)
"""What Spark raises; Delta's own exceptions come as Java's where the driver is this process's."""

TRIES = 6
"""How often a write is tried that another run's write to the same table got in the way of."""

EVENTS_A_TASK = 400_000
"""Of these a task of a shuffle has its share: 35 tasks for all the world's systems in a day."""

Days = tuple[date, date]
"""The first and the last of a range of days, both included."""


def build(spark: SparkSession, lake: Path, table: Table, days: Days | None) -> int:
    """Compute a table's days, or the whole of a dimension, and put them in the place of what was there.

    A dimension takes `days` too: it then looks for stations without a description in these days only, and keeps
    what it has. Returns how many rows the days, or the dimension, now have. Raises LakeBroken naming the table.
    """
    for each in (*EVENTS_TABLES, *WAREHOUSE_TABLES):
        ensure_table(lake, each)
    spark.conf.set("spark.sql.shuffle.partitions", str(_shuffle_partitions(lake, days)))
    try:
        _replace(lambda: _COMPUTED[table.name](_Lake(spark, lake), days), lake, table, days)
    except _SPARKS as err:
        raise LakeBroken(f"{table.name} could not be built: {_reason(err)}") from None
    return row_count(lake, table, days if table.partitioned_by else None)


def _shuffle_partitions(lake: Path, days: Days | None) -> int:
    """As many as the days' events need, so that a small city's day does not wait for empty tasks."""
    return 2 + row_count(lake, EVENTS_STATION_STATUS, days) // EVENTS_A_TASK


class _Lake:
    """The tables of a lake as frames."""

    def __init__(self, spark: SparkSession, path: Path) -> None:
        self.spark = spark
        self._path = path

    def all(self, table: Table) -> DataFrame:
        return read_table(self.spark, self._path, table)

    def days(self, table: Table, first: date, last: date) -> DataFrame:
        return self.all(table).where(F.col(table.partitioned_by[0]).between(first, last))

    def has(self, table: Table) -> bool:
        return row_count(self._path, table) > 0


def _dim_system(lake: _Lake, days: Days | None) -> DataFrame:
    return systems(lake.all(EVENTS_SYSTEM_INFORMATION), _seen(lake, DIM_SYSTEM, EVENTS_POLLS, days, ["system_id"]))


def _dim_station(lake: _Lake, days: Days | None) -> DataFrame:
    key = ["system_id", "station_id"]
    return stations(lake.all(EVENTS_STATION_INFORMATION), _seen(lake, DIM_STATION, EVENTS_STATION_STATUS, days, key))


def _seen(lake: _Lake, dimension: Table, events: Table, days: Days | None, key: list[str]) -> DataFrame:
    """Whoever stands in the events: of all time, or of these days beside those that the dimension knows."""
    if days is None or not lake.has(dimension):
        return lake.all(events).select(*key)
    first, last = days
    return lake.all(dimension).select(*key).unionByName(lake.days(events, first - DAY, last).select(*key))


def _dim_date(lake: _Lake, days: Days | None) -> DataFrame:
    """Whole years: from the first to the last that any day was asked of."""
    known = lake.all(DIM_DATE).agg(F.min("date"), F.max("date")).first()
    asked = [day for day in (*(days or ()), *(known or ())) if day is not None] or [date(1970, 1, 1)]
    return dates(lake.spark, min(asked).replace(month=1, day=1), max(asked).replace(month=12, day=31))


def _station_hours(lake: _Lake, days: Days | None) -> DataFrame:
    first, last = _asked(days)
    return station_hours(
        lake.days(EVENTS_STATION_STATUS, first - DAY, last), lake.days(EVENTS_POLLS, first - DAY, last + DAY),
        lake.all(DIM_SYSTEM), lake.all(DIM_STATION), first, last,
    )  # fmt: skip


def _station_days(lake: _Lake, days: Days | None) -> DataFrame:
    return station_days(_hours_around(lake, days), lake.all(DIM_SYSTEM), *_asked(days))


def _system_days(lake: _Lake, days: Days | None) -> DataFrame:
    return system_days(_hours_around(lake, days), lake.all(DIM_SYSTEM), *_asked(days))


def _system_service_days(lake: _Lake, days: Days | None) -> DataFrame:
    first, last = _asked(days)
    return system_service_days(lake.days(EVENTS_POLLS, first - DAY, last + DAY), lake.all(DIM_SYSTEM), first, last)


def _hours_around(lake: _Lake, days: Days | None) -> DataFrame:
    first, last = _asked(days)
    return lake.days(FACT_STATION_HOUR, first - DAY, last + DAY)


def _station_quality(lake: _Lake, days: Days | None) -> DataFrame:
    first, last = _asked(days)
    return station_quality(
        lake.days(EVENTS_STATION_STATUS, first - DAY, last + DAY), lake.days(FACT_STATION_DAY, first, last),
        lake.all(DIM_SYSTEM), lake.all(DIM_STATION), first, last,
    )  # fmt: skip


def _asked(days: Days | None) -> Days:
    if days is None:
        raise ValueError("a fact is built for days")
    return days


_COMPUTED: dict[str, Callable[[_Lake, Days | None], DataFrame]] = {
    DIM_SYSTEM.name: _dim_system,
    DIM_STATION.name: _dim_station,
    DIM_DATE.name: _dim_date,
    FACT_STATION_HOUR.name: _station_hours,
    FACT_STATION_DAY.name: _station_days,
    FACT_SYSTEM_DAY.name: _system_days,
    SYSTEM_SERVICE_DAY.name: _system_service_days,
    STATION_QUALITY.name: _station_quality,
}


def _replace(compute: Callable[[], DataFrame], lake: Path, table: Table, days: Days | None) -> None:
    options = {}
    if table.partitioned_by:
        first, last = _asked(days)
        day = table.partitioned_by[0]
        options["replaceWhere"] = f"{day} >= DATE'{first}' AND {day} <= DATE'{last}'"
    for tries in range(TRIES):
        try:
            # A frame keeps to the versions of its tables that it was made of: each try makes its own.
            compute().write.format("delta").mode("overwrite").options(**options).save(str(table_path(lake, table)))
        except _SPARKS as err:
            if tries == TRIES - 1 or "DELTA_CONCURRENT" not in str(err):
                raise
            log.warning("written by another run too, taken again", table=table.name)
            time.sleep(random.uniform(0.2, 1.0) * (tries + 1))  # noqa: S311
        else:
            return


def _reason(err: Exception) -> str:
    """Where a file is named, the line that names it, else the first: what follows is Spark's plan."""
    lines = (str(err).strip() or type(err).__name__).splitlines()
    named = [line for line in lines if "FAILED_READ_FILE" in line]
    # Java's exceptions begin with what was called, and say what it was in their second line.
    told = named or [line for line in lines if line.startswith(": ")] or lines
    return told[0].removeprefix(": ").strip()[:500]

