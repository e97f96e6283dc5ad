"""The warehouse's tables read, computed and written: the one place in `warehouse` that touches the lake.

A range of days replaces those days and nothing else, so it can be run again, in any order and by two at once.

What is small is read and written by this process (`lake.rows`), and Spark only computes: a job of Delta's for each
table to look which files it has, and some for each commit, take longer than a small city's day. What is large Spark
reads and writes. The rows are the same.
"""

import random
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pyarrow.compute as pc
import structlog
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from filelock import FileLock
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.lake.duck import connect
from bike_assets.lake.rows import Days, read_rows, replace_rows
from bike_assets.lake.spark import SPARKS, frame, is_conflict, is_lost, read_table, taken
from bike_assets.lake.tables import OpenTables, ensure_table, open_table, rows_in, table_path
from bike_assets.model.errors import LakeBroken, SparkLost
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_STATION_INFORMATION,
    EVENTS_STATION_STATUS,
    EVENTS_SYSTEM_INFORMATION,
    EVENTS_TABLES,
    EVENTS_VEHICLE_STATUS,
    EVENTS_VEHICLE_TOTALS,
)
from bike_assets.model.warehouse import (
    DIM_DATE,
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    FACT_VEHICLE_SYSTEM_DAY,
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
from bike_assets.warehouse.system_service_day import ASKED_BEFORE, system_service_days
from bike_assets.warehouse.vehicle_system_day import vehicle_system_days

log = structlog.get_logger()

DAY = timedelta(days=1)
TRIES = 6
"""How often a write is tried that another run's write to the same table got in the way of."""

EVENTS_A_TASK = 400_000
"""Of these a task of a shuffle has its share: 35 tasks for all the world's systems in a day."""

BROADCAST_BYTES = "10m"
"""A side of a join that is smaller goes to each task of the other's: Spark's own default."""

FEW_ROWS = 100_000
"""Up to so many rows are handed to Spark and taken from it; a demo's day has 8,000 events."""

_Frames = dict[tuple[str, Days | None], tuple[int, DataFrame]]


def build(spark: SparkSession, lake: Path, table: Table, days: Days | None) -> int:
    """Build one table, as `Builder.build` does."""
    return Builder(spark, OpenTables(lake)).build(table, days)


class Builder:
    """Builds a lake's tables, one after the other: what several are made of is read, and handed to Spark, once."""

    def __init__(self, spark: SparkSession, tables: OpenTables) -> None:
        self.spark = spark
        self._tables = tables
        self._frames: _Frames = {}

    def build(self, table: Table, days: Days | None) -> int:
        """Compute a table's days, or the whole of a dimension, and put them in the place of what was there.

        A dimension takes `days` too: it then looks for stations without a description in these days only, and keeps
        what it has. Returns how many rows the days, or the dimension, now have. Raises LakeBroken and SparkLost naming
        the table.
        """
        for each in (*EVENTS_TABLES, *WAREHOUSE_TABLES):
            ensure_table(self._tables.lake, each)
        try:
            return self._replaced(table, days)
        except (*SPARKS, CommitFailedError, LakeBroken) as err:
            if is_lost(err):
                raise SparkLost(f"{table.name} is not built yet: the Spark driver went away.") from None
            raise LakeBroken(f"{table.name} could not be built: {_reason(err)}") from None

    def _replaced(self, table: Table, days: Days | None) -> int:
        """Compute and write, again where another run's write got in the way; how many rows there are now."""
        for tries in range(TRIES):
            # Each try looks at the tables anew: another run has written since, from newer events perhaps.
            lake = _Lake(self.spark, self._tables, self._frames)
            try:
                is_small = self._tuned(lake, table, days) or _has_few_rows(lake, table, days)
                return _by_hand(lake, table, days) if is_small else _by_spark(lake, table, days)
            except (*SPARKS, CommitFailedError) as err:
                if tries == TRIES - 1 or not (isinstance(err, CommitFailedError) or is_conflict(err)):
                    raise
                log.warning("written by another run too, taken again", table=table.name)
                time.sleep(random.uniform(0.2, 1.0) * (tries + 1))  # noqa: S311
        raise AssertionError("the last try returns or raises")

    def _tuned(self, lake: "_Lake", table: Table, days: Days | None) -> bool:
        """Set the session for the events of the days and those around them; whether they are few.

        Each time: who asks for the session again puts its settings back.
        """
        around = None if days is None else (days[0] - DAY, days[1] + DAY)
        events = lake.rows(EVENTS_VEHICLE_STATUS if table is FACT_VEHICLE_SYSTEM_DAY else EVENTS_STATION_STATUS, around)
        is_small = events <= FEW_ROWS
        # As many tasks as the events need; and planning anew after each stage takes longer than a small one, as does a
        # job that sends a side of a join to where the other is already.
        tasks = 1 if is_small else 2 + events // EVENTS_A_TASK
        self.spark.conf.set("spark.sql.shuffle.partitions", str(tasks))
        self.spark.conf.set("spark.sql.adaptive.enabled", str(not is_small).lower())
        self.spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1" if is_small else BROADCAST_BYTES)
        return is_small


class _Lake:
    """The tables of a lake as frames; those of few rows stay at one version, whatever is written meanwhile.

    `frames` has those that were handed to Spark before, with the version of their table, and gets the others.
    """

    def __init__(self, spark: SparkSession, tables: OpenTables, frames: _Frames) -> None:
        self.spark = spark
        self.path = tables.lake
        self._tables = tables
        self._frames = frames
        self._opened: dict[str, DeltaTable] = {}

    def opened(self, table: Table) -> DeltaTable:
        if table.name not in self._opened:
            self._opened[table.name] = self._tables.newest(table)
        return self._opened[table.name]

    def rows(self, table: Table, days: Days | None = None) -> int:
        return rows_in(self.opened(table), table, days)

    def all(self, table: Table) -> DataFrame:
        few = self._few(table, None)
        return read_table(self.spark, self.path, table) if few is None else few

    def days(self, table: Table, first: date, last: date) -> DataFrame:
        few = self._few(table, (first, last))
        if few is not None:
            return few
        return read_table(self.spark, self.path, table).where(F.col(table.partitioned_by[0]).between(first, last))

    def _few(self, table: Table, days: Days | None) -> DataFrame | None:
        """The rows, handed to Spark; None where they are many."""
        if self.rows(table, days) > FEW_ROWS:
            return None
        version = self.opened(table).version()
        known = self._frames.get((table.name, days))
        if known is None or known[0] != version:
            known = version, frame(self.spark, table, read_rows(self.opened(table), table, days))
            self._frames[table.name, days] = known
        return known[1]

    def has(self, table: Table) -> bool:
        return self.rows(table) > 0


def _dim_system(lake: _Lake, days: Days | None) -> DataFrame:
    return systems(lake.all(EVENTS_SYSTEM_INFORMATION), _seen(lake, DIM_SYSTEM, EVENTS_POLLS, days, ["system_id"]))


def _dim_station(lake: _Lake, days: Days | None) -> DataFrame:
    key = ["system_id", "station_id"]
    return stations(lake.all(EVENTS_STATION_INFORMATION), _seen(lake, DIM_STATION, EVENTS_STATION_STATUS, days, key))


def _seen(lake: _Lake, dimension: Table, events: Table, days: Days | None, key: list[str]) -> DataFrame:
    """Whoever the dimension knows, and whoever stands in the events: of all time, or of these days where it has rows.

    What it knows stays in it whatever is built, for facts refer to it whose events retention has deleted.
    """
    if days is None or not lake.has(dimension):
        stands = lake.all(events)
    else:
        first, last = days
        stands = lake.days(events, first - DAY, last)
    return lake.all(dimension).select(*key).unionByName(stands.select(*key))


def _dim_date(lake: _Lake, days: Days | None) -> DataFrame:
    """Whole years: from the first to the last that any day was asked of."""
    known = pc.min_max(read_rows(lake.opened(DIM_DATE), DIM_DATE)["date"]).as_py()
    asked = [day for day in (*(days or ()), *known.values()) if day is not None] or [date(1970, 1, 1)]
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
    return system_service_days(
        lake.days(EVENTS_POLLS, first - DAY, last + DAY), _asked_for(lake, first - ASKED_BEFORE, last),
        lake.all(DIM_SYSTEM), first, last,
    )  # fmt: skip


def _asked_for(lake: _Lake, first: date, last: date) -> DataFrame:
    """The first and the last fetch of `station_status` of each system and UTC date: by DuckDB, for they are few of
    the many rows of a week, and Spark would read all of these."""
    with connect(lake.path, [EVENTS_POLLS]) as con:
        rows = con.sql(
            "SELECT system_id, unnest([min(fetched_at), max(fetched_at)]) AS fetched_at FROM events.polls "
            "WHERE utc_date BETWEEN $1 AND $2 AND feed = 'station_status' GROUP BY system_id, utc_date",
            params=[first, last],
        ).to_arrow_table()  # fmt: skip
    return frame(lake.spark, EVENTS_POLLS, rows).select("system_id", "fetched_at")


def _vehicle_system_days(lake: _Lake, days: Days | None) -> DataFrame:
    first, last = _asked(days)
    return vehicle_system_days(
        lake.days(EVENTS_VEHICLE_STATUS, first - DAY, last + DAY),
        lake.days(EVENTS_VEHICLE_TOTALS, first - DAY, last + DAY),
        lake.all(DIM_SYSTEM), first, last,
    )  # fmt: skip


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
    FACT_VEHICLE_SYSTEM_DAY.name: _vehicle_system_days,
    STATION_QUALITY.name: _station_quality,
}


def _has_few_rows(lake: _Lake, table: Table, days: Days | None) -> bool:
    """Whether the table gets few rows of however many events: one a date, a system, or a system and date."""
    if any(column.name == "station_id" for column in table.columns):
        return False
    first, last = days if days is not None and table.partitioned_by else (date.min, date.min)
    return lake.rows(DIM_SYSTEM) * ((last - first).days + 1) <= FEW_ROWS


def _by_hand(lake: _Lake, table: Table, days: Days | None) -> int:
    """Few rows: taken from Spark and written here."""
    before = lake.opened(table)  # a write after this one is another's, and a conflict
    rows = taken(_COMPUTED[table.name](lake, days), table)
    with _turn(lake.path, table):
        replace_rows(before, table, rows, days)
    return len(rows)


def _by_spark(lake: _Lake, table: Table, days: Days | None) -> int:
    options = {}
    if table.partitioned_by:
        first, last = _asked(days)
        day = table.partitioned_by[0]
        options["replaceWhere"] = f"{day} >= DATE'{first}' AND {day} <= DATE'{last}'"
    with _turn(lake.path, table):
        rows = _COMPUTED[table.name](lake, days)
        rows.write.format("delta").mode("overwrite").options(**options).save(str(table_path(lake.path, table)))
    return rows_in(open_table(lake.path, table), table, days)


def _turn(lake: Path, table: Table) -> FileLock:
    """Held by who writes: Spark's commit on a disk is a look and a rename, and one between them would be lost."""
    return FileLock(lake / "_locks" / f"{table.name}.lock")


def _reason(err: Exception) -> str:
    """Where a file is named, the line that names it, else the first: what follows is Spark's plan."""
    lines = (str(err).strip() or type(err).__name__).splitlines()
    named = [line for line in lines if "FAILED_READ_FILE" in line]
    # Java's exceptions begin with what was called, and say what it was in their second line.
    told = named or [line for line in lines if line.startswith(": ")] or lines
    return told[0].removeprefix(": ").strip()[:500]

