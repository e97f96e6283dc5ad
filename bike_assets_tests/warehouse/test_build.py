"""Days read from a lake, computed, and put in the place of what was there."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.lake.duck import connect
from bike_assets.lake.maintenance import retain
from bike_assets.lake.replaced import take_out
from bike_assets.lake.rows import Days, read_rows
from bike_assets.lake.tables import OpenTables, open_table, table_path
from bike_assets.model.errors import LakeBroken
from bike_assets.model.messages import EventKind, Poll, StationStatus
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, EVENTS_SYSTEM_INFORMATION
from bike_assets.model.warehouse import (
    DIM_DATE,
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    FACT_VEHICLE_SYSTEM_DAY,
    WAREHOUSE_TABLES,
)
from bike_assets.quality.warehouse import every_fact_has_its_dimension, local_dates_fit_zone
from bike_assets.warehouse import build as building
from bike_assets.warehouse import polls, presence, station_hour
from bike_assets.warehouse.build import Builder, build
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, poll, station_status, system_information

DAY = NOON.date()
ONE: Days = (DAY, DAY)
NEXT = DAY + timedelta(days=1)


def at_noon_of(day: date, *, minutes: int = 2) -> tuple[list[Poll], list[StationStatus]]:
    """Polls from noon on, each of which a bike is taken in."""
    polls, events = [], []
    for minute in range(minutes):
        at = NOON + (day - DAY) + timedelta(minutes=minute)
        polls.append(poll(fetched_at=at, stations=1, events=1))
        before = {"bikes_before": 9 - minute + 1, "docks_before": 7, "state_before": "available"} if minute else {}
        events.append(station_status(observed_at=at, kind=EventKind.CHANGE, bikes_available=9 - minute, **before))
    return polls, events


def recorded(lake: Path, *days: date, minutes: int = 2) -> None:
    for day in days:
        polls, events = at_noon_of(day, minutes=minutes)
        write_messages(lake, EVENTS_POLLS, *polls)
        write_messages(lake, EVENTS_STATION_STATUS, *events)


def built(spark: SparkSession, lake: Path, days: Days) -> int:
    """The hours of these days; how many there are then."""
    build(spark, lake, DIM_SYSTEM, days)
    return build(spark, lake, FACT_STATION_HOUR, days)


def hours(lake: Path) -> list[tuple[Any, ...]]:
    return connect(lake).sql(f"FROM {FACT_STATION_HOUR.name} ORDER BY ALL").fetchall()


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Two days of one station."""
    recorded(tmp_path, DAY, NEXT)
    return tmp_path


def test_a_day_built_again_is_the_same_and_leaves_other_days_alone(spark: SparkSession, lake: Path) -> None:
    assert built(spark, lake, (DAY, NEXT)) == 36, "12 hours from its first reading on, and the whole of the next day"
    both = hours(lake)
    assert built(spark, lake, ONE) == 12
    assert hours(lake) == both


OF_STATIONS = {table for table in WAREHOUSE_TABLES if "station" in table.name}
WITH_ROWS = set(WAREHOUSE_TABLES) - {FACT_VEHICLE_SYSTEM_DAY}
"""Of tables without a row, as nobody told of vehicles, Spark writes nothing."""


@pytest.mark.parametrize(
    ("few_rows", "by_spark"), [(-1, WITH_ROWS), (2, OF_STATIONS)], ids=["none is few", "a system's days are few"]
)
def test_what_spark_writes_is_what_is_written_without_it_as_what_has_few_rows_always_is(
    spark: SparkSession, lake: Path, monkeypatch: pytest.MonkeyPatch, few_rows: int, by_spark: set[Table]
) -> None:
    def all_built() -> list[Any]:
        counts = [build(spark, lake, table, (DAY, NEXT)) for table in WAREHOUSE_TABLES]
        con = connect(lake)
        return [counts, *(con.sql(f"FROM {table.name} ORDER BY ALL").fetchall() for table in WAREHOUSE_TABLES)]

    def commits(table: Table) -> list[Path]:
        return sorted((table_path(lake, table) / "_delta_log").glob("*.json"))

    by_hand = all_built()
    assert not any("Spark" in commit.read_text() for table in WAREHOUSE_TABLES for commit in commits(table))
    monkeypatch.setattr(building, "FEW_ROWS", few_rows)
    assert all_built() == by_hand
    assert {table for table in WAREHOUSE_TABLES if "Spark" in commits(table)[-1].read_text()} == by_spark
    assert ["Spark" in commit.read_text() for commit in commits(FACT_STATION_HOUR)] == [False, False, True]


def test_what_came_between_two_builds_of_a_run_is_in_the_second(spark: SparkSession, lake: Path) -> None:
    run = Builder(spark, OpenTables(lake))
    run.build(DIM_SYSTEM, ONE)
    assert run.build(FACT_STATION_HOUR, ONE) == run.build(FACT_STATION_HOUR, ONE) == 12
    _, events = at_noon_of(DAY)
    write_messages(lake, EVENTS_STATION_STATUS, *(msgspec.structs.replace(each, station_id="2") for each in events))
    assert run.build(FACT_STATION_HOUR, ONE) == 24


def test_a_run_reads_what_its_tables_are_made_of_once(
    spark: SparkSession, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, Days | None]] = []

    def noted(delta: DeltaTable, table: Table, days: Days | None = None) -> pa.Table:
        read.append((table.name, days))
        return read_rows(delta, table, days)

    monkeypatch.setattr(building, "read_rows", noted)
    run = Builder(spark, OpenTables(lake))
    for table in (DIM_SYSTEM, DIM_STATION, FACT_STATION_HOUR, FACT_STATION_DAY, FACT_SYSTEM_DAY):
        run.build(table, ONE)
    hours_and_zones = {(FACT_STATION_HOUR.name, (DAY - timedelta(days=1), NEXT)), (DIM_SYSTEM.name, None)}
    assert hours_and_zones <= set(read)
    again = [each for each in read if read.count(each) > 1]
    # Each dimension reads itself before it is written, and is another one then.
    assert set(again) <= {(DIM_SYSTEM.name, None), (DIM_STATION.name, None)}
    assert len(again) <= 4


def test_a_session_whose_settings_were_put_back_is_set_again(spark: SparkSession, lake: Path) -> None:
    run = Builder(spark, OpenTables(lake))
    for _ in range(2):
        spark.conf.set("spark.sql.shuffle.partitions", "7")
        run.build(DIM_SYSTEM, ONE)
        assert spark.conf.get("spark.sql.shuffle.partitions") == "1"


def test_two_runs_of_one_day_at_once_leave_it_once(spark: SparkSession, lake: Path) -> None:
    build(spark, lake, DIM_SYSTEM, ONE)
    with ThreadPoolExecutor(3) as pool:
        counts = list(pool.map(lambda _: build(spark, lake, FACT_STATION_HOUR, (DAY, NEXT)), range(3)))
    assert counts == [36, 36, 36]
    assert len(hours(lake)) == 36


def test_later_rows_are_in_the_next_build(spark: SparkSession, lake: Path) -> None:
    def departures() -> list[tuple[int]]:
        return connect(lake).sql("SELECT sum(departures) FROM warehouse.fact_station_hour").fetchall()

    built(spark, lake, ONE)
    before = departures()
    polls, events = at_noon_of(DAY, minutes=5)
    write_messages(lake, EVENTS_POLLS, *polls[2:])
    write_messages(lake, EVENTS_STATION_STATUS, *events[2:])
    built(spark, lake, ONE)
    assert (before, departures()) == ([(1,)], [(4,)])


def test_two_systems_whose_hours_have_one_number_do_not_pass_for_right(
    spark: SparkSession, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_messages(lake, EVENTS_POLLS, poll(system_id="other", stations=1, events=1))
    write_messages(lake, EVENTS_STATION_STATUS, station_status(system_id="other", station_id="of the other"))
    tables = (DIM_SYSTEM, DIM_STATION, DIM_DATE, FACT_STATION_HOUR)

    def unknown_stations() -> int:
        for table in tables:
            build(spark, lake, table, ONE)
        with connect(lake) as con:
            return every_fact_has_its_dimension(con, FACT_STATION_HOUR, *ONE).bad

    assert unknown_stations() == 0
    for module in (polls, presence, station_hour):
        monkeypatch.setattr(module, "system_number", lambda: F.lit(7).cast("bigint").alias("system_number"))
    assert unknown_stations() > 0


def test_a_day_without_data_is_empty(spark: SparkSession, lake: Path) -> None:
    long_ago = date(2020, 2, 29)
    assert built(spark, lake, (long_ago, long_ago)) == 0


def test_a_day_whose_events_a_replacement_took_away_is_empty_when_it_is_built_again(
    spark: SparkSession, lake: Path
) -> None:
    built(spark, lake, (DAY, NEXT))
    take_out(lake, {"oslo": NOON})
    assert built(spark, lake, (DAY, NEXT)) == 0
    assert hours(lake) == []


def test_days_are_on_the_clock_of_a_zone_that_is_given_later_once_they_are_built_again(
    spark: SparkSession, lake: Path
) -> None:
    def misfits() -> int:
        return local_dates_fit_zone(connect(lake), DAY, NEXT).bad

    built(spark, lake, (DAY, NEXT))
    write_messages(lake, EVENTS_SYSTEM_INFORMATION, system_information(timezone="Asia/Tokyo"))
    build(spark, lake, DIM_SYSTEM, None)
    assert misfits() == 36
    built(spark, lake, (DAY, NEXT))
    assert misfits() == 0


def test_a_dimension_that_is_built_whole_keeps_whom_retention_left_no_event(spark: SparkSession, lake: Path) -> None:
    def known() -> list[Any]:
        con = connect(lake)
        return [con.sql(f"FROM {table.name} ORDER BY ALL").fetchall() for table in (DIM_SYSTEM, DIM_STATION)]

    def whole() -> list[Any]:
        for table in (DIM_SYSTEM, DIM_STATION):
            build(spark, lake, table, None)
        return known()

    before = whole()
    assert [len(rows) for rows in before] == [1, 1]
    for table in (EVENTS_POLLS, EVENTS_STATION_STATUS):
        retain(lake, table, 0, NEXT + timedelta(days=1))
    assert whole() == before


def test_a_broken_file_is_named_and_the_last_good_version_stays(spark: SparkSession, lake: Path) -> None:
    def good_rows() -> int:
        return len(open_table(lake, FACT_STATION_HOUR).to_pyarrow_table())

    built(spark, lake, ONE)
    assert good_rows() == 12
    for file in table_path(lake, EVENTS_STATION_STATUS).rglob("*.parquet"):
        file.write_bytes(b"no parquet")
    with pytest.raises(LakeBroken, match=r"warehouse\.fact_station_hour could not be built: .*parquet"):
        build(spark, lake, FACT_STATION_HOUR, ONE)
    assert good_rows() == 12
