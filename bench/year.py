"""A year of a demo's days: built in one run; then one day more and a query over all, beside a week's."""

import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from bench.report import result, say
from bench.sessions import session
from bench.spent import Spent, spent
from bench.world import DAY, SYSTEMS, write_world
from bike_assets.lake.duck import ask
from bike_assets.lake.maintenance import compact
from bike_assets.lake.rows import read_rows
from bike_assets.lake.tables import arrow_schema, ensure_table, open_table, table_path
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, EVENTS_SYSTEM_INFORMATION, EVENTS_TABLES
from bike_assets.model.warehouse import WAREHOUSE_TABLES
from bike_assets.warehouse.build import build

DAYS, WEEK = 365, 7
SHARE = 2 / SYSTEMS
REPEATS = 5
BUILD_WANTED_S, GROWTH_WANTED = 120.0, 1.2
QUERY = "SELECT system_id, local_hour, sum(departures) FROM warehouse.fact_station_hour WHERE {days} GROUP BY ALL"
ONE = timedelta(days=1)
KEPT = {"delta.deletedFileRetentionDuration": "interval 1 week", "delta.logRetentionDuration": "interval 30 days"}
"""How long a table's log keeps what it has no more, where the table does not say so."""


def run(days: int = DAYS) -> None:
    """A week, then the year, each in a lake of its own; the week goes first and warms the session."""
    with session() as spark, TemporaryDirectory(prefix="bike-bench-") as directory:
        say("year: making the days")
        template = Path(directory) / "template"
        write_world(template, SHARE)
        week = _measured(spark, template, Path(directory) / "week", WEEK)
        year = _measured(spark, template, Path(directory) / "year", days)
    events, stations = year["events"], year["stations"]
    growth = {name: round(year[name] / week[name], 2) for name in ("one_more_day_s", "query_s")}
    result(
        "year",
        days=days,
        stations=stations,
        events=events,
        build_s=round(year["build_s"], 1),
        build_s_wanted=BUILD_WANTED_S,
        compaction_s=round(year["compaction_s"], 1),
        **{f"{name.removesuffix('_s')}_after_a_{span}_s": round(found[name], 3)
           for name in growth for span, found in (("week", week), ("year", year))},
        **{f"{name.removesuffix('_s')}_growth": times for name, times in growth.items()},
        growth_wanted=GROWTH_WANTED,
        query_of_all_days_s=round(year["query_all_s"], 3),
        load_average=round(os.getloadavg()[0], 1),
        is_met=year["build_s"] <= BUILD_WANTED_S and max(growth.values()) <= GROWTH_WANTED,
    )  # fmt: skip


def _measured(spark: SparkSession, template: Path, lake: Path, days: int) -> dict[str, float]:
    """A lake of so many days and one more: the days built in one run; after a night's compaction, and the week that
    lets old entries of the log go, the last day again and a query, medians."""
    last = DAY + (days - 1) * ONE
    events = write_days(template, lake, DAY, days + 1)
    say(f"year: {days} days, {events:,} events")
    whole = spent(lambda: _build(spark, lake, DAY, last))
    night = spent(lambda: _compact(lake, DAY, last))
    _let_go(lake)
    more = _median([spent(lambda: _build(spark, lake, last + ONE, last + ONE)) for _ in range(REPEATS)])
    # The same week of the year is asked for: what lies beside it must not make it slower.
    asked = QUERY.format(days=f"utc_date BETWEEN DATE '{last - (WEEK - 1) * ONE}' AND DATE '{last}'")
    query = _median([spent(lambda: ask(lake, asked)) for _ in range(REPEATS)])
    query_all = _median([spent(lambda: ask(lake, QUERY.format(days="true"))) for _ in range(REPEATS)])
    stations = ask(lake, "SELECT count(DISTINCT (system_id, station_id)) FROM warehouse.dim_station").rows[0][0]
    return {"events": events, "stations": stations, "build_s": whole.wall_s, "compaction_s": night.wall_s,
            "one_more_day_s": more, "query_s": query, "query_all_s": query_all}  # fmt: skip


def _build(spark: SparkSession, lake: Path, first: date, last: date) -> None:
    for table in WAREHOUSE_TABLES:
        build(spark, lake, table, (first, last))


def _compact(lake: Path, first: date, last: date) -> None:
    """What the first night does: a build in one run leaves some files a day."""
    for table in WAREHOUSE_TABLES:
        compact(lake, table, [first + n * ONE for n in range((last - first).days + 1)])


def _let_go(lake: Path) -> None:
    """What is old in the logs goes, as it does a week later: of days that were built one by one, few entries are
    younger than that, of a year built at once, all."""
    for table in WAREHOUSE_TABLES:
        open_table(lake, table).alter.set_table_properties(dict.fromkeys(KEPT, "interval 0 days"))
        delta = open_table(lake, table)
        delta.create_checkpoint()
        delta.cleanup_metadata()
        delta.alter.set_table_properties(KEPT | dict(table.properties))


def _median(costs: list[Spent]) -> float:
    return sorted(each.wall_s for each in costs)[len(costs) // 2]


def write_days(template: Path, lake: Path, first: date, days: int) -> int:
    """The template's day so many times from `first` on, as days lie once compacted; a day before them, and of polls
    also one after. How many events the days have."""
    for table in EVENTS_TABLES:
        ensure_table(lake, table)
    write_deltalake(
        str(table_path(lake, EVENTS_SYSTEM_INFORMATION)),
        read_rows(open_table(template, EVENTS_SYSTEM_INFORMATION), EVENTS_SYSTEM_INFORMATION),
        mode="append",
    )
    events = 0
    for table in (EVENTS_STATION_STATUS, EVENTS_POLLS):
        rows = read_rows(open_table(template, table), table, (DAY, DAY))
        events += days * len(rows) if table is EVENTS_STATION_STATUS else 0
        for later in _later(rows, table, (first - DAY).days, days):
            write_deltalake(str(table_path(lake, table)), later, mode="append")
    return events


def _later(rows: pa.Table, table: Table, first: int, days: int) -> Iterator[pa.Table]:
    for number in range(-1, days + (table is EVENTS_POLLS)):
        columns = [_moved(rows[field.name], field.type, first + number) for field in arrow_schema(table)]
        yield pa.table(columns, schema=arrow_schema(table))


def _moved(column: pa.ChunkedArray, kind: pa.DataType, days: int) -> pa.ChunkedArray:
    if pa.types.is_timestamp(kind):
        return pc.add(column, pa.scalar(timedelta(days=days), pa.duration("us")))
    if pa.types.is_date(kind):
        return pa.chunked_array([pa.repeat(pa.scalar(DAY + days * ONE, kind), len(column))])
    return column
