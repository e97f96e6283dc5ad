"""The facts equal, row for row and in all columns, what an independent reading of full snapshots gives."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from pyspark.sql import SparkSession

from bike_assets_tests.oracle import warehouse as oracle
from bike_assets_tests.oracle.events import Line, Row, read_lines
from bike_assets_tests.oracle.made import MADE, recordings
from bike_assets_tests.oracle.test_oracle import BESANCON, OSLO
from bike_assets_tests.warehouse.frames import Warehouse, rows_of, warehouse

ZONES = ("Europe/Oslo", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Australia/Lord_Howe", "UTC")
REAL = {"jcdecaux:besancon": "Europe/Paris", "oslobysykkel": "Europe/Oslo"}
RECORDINGS_AT_RANDOM = 150
Key = tuple[Any, ...]


def of_many(recorded: Iterable[list[Line]]) -> tuple[list[Line], dict[str, str]]:
    """Recordings as one, each with systems of its own, and the zones of these: a single Spark job for all."""
    lines = [{**line, "system_id": f"{n}:{line['system_id']}"} for n, of_one in enumerate(recorded) for line in of_one]
    names = sorted({line["system_id"] for line in lines})
    return lines, {name: ZONES[n % len(ZONES)] for n, name in enumerate(names)}


def assert_equal(found: Warehouse, lines: list[Line], zones: Mapping[str, str]) -> None:
    """Every table; `valid_from` tells in the oracle's rows which description a fact points to."""
    stations = rows_of(found.stations)
    valid_from = {row["station_key"]: row["valid_from"] for row in stations}
    assert len(valid_from) == len(stations)
    without_key = [{name: value for name, value in row.items() if name != "station_key"} for row in stations]
    assert_same(without_key, oracle.dim_station(lines), ("system_id", "station_id", "valid_from"), lines)
    for frame, expected, grain in (
        (found.hours, oracle.fact_station_hour, ("system_id", "station_id", "hour_start")),
        (found.station_days, oracle.fact_station_day, ("system_id", "station_id", "local_date")),
        (found.system_days, oracle.fact_system_day, ("system_id", "local_date")),
        (found.service_days, oracle.system_service_day, ("system_id", "local_date")),
    ):
        assert_same([with_valid_from(row, valid_from) for row in rows_of(frame)], expected(lines, zones), grain, lines)


def with_valid_from(row: Row, valid_from: Mapping[int, datetime]) -> Row:
    if "station_key" not in row:
        return row
    rest = {name: value for name, value in row.items() if name != "station_key"}
    return {**rest, "valid_from": valid_from[row["station_key"]]}


def assert_same(found: list[Row], expected: list[Row], grain: tuple[str, ...], lines: list[Line]) -> None:
    """The same keys, each once, and the same values; a difference is shown with the lines of its system."""
    have, want = by_key(found, grain), by_key(expected, grain)
    assert len(have) == len(found)
    wrong = next((key for key in sorted({*have, *want}) if not is_same(have.get(key), want.get(key))), None)
    if wrong is not None:
        told = [line for line in lines if line["system_id"] == wrong[0]][:40]
        pytest.fail(f"{wrong}:\n{have.get(wrong)} is not\n{want.get(wrong)}, of\n{told}")


def by_key(rows: list[Row], grain: tuple[str, ...]) -> dict[Key, Row]:
    return {tuple(row[name] for name in grain): row for row in rows}


def is_same(have: Row | None, want: Row | None) -> bool:
    if have is None or want is None or have.keys() != want.keys():
        return False
    return all(have[name] == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value)
               for name, value in want.items())  # fmt: skip


@cache
def real() -> list[Line]:
    return [*read_lines(BESANCON), *read_lines(OSLO)]


@pytest.fixture(scope="module")
def recorded(spark: SparkSession) -> Warehouse:
    return warehouse(spark, real(), REAL)


def test_the_real_recordings_equal_the_oracle(recorded: Warehouse) -> None:
    assert_equal(recorded, real(), REAL)


def test_the_real_recordings_have_the_figures_that_are_known(recorded: Warehouse) -> None:
    def figures(system_id: str) -> list[float]:
        rows = [row for row in rows_of(recorded.hours) if row["system_id"] == system_id and row["polls"]]
        hours = [round(sum(row[f"seconds_{state}"] for row in rows) / 3600, 2) for state in ("empty", "full", "closed")]
        return [sum(row["departures"] for row in rows), sum(row["arrivals"] for row in rows), *hours]

    assert figures("jcdecaux:besancon") == [285, 288, 13.65, 9.78, 0.92]
    assert figures("oslobysykkel")[:4] == [1205, 1198, 1946.78, 302.88]


def test_oslos_intervals_over_30_minutes_are_unknown(recorded: Warehouse) -> None:
    polls = sorted(datetime.fromisoformat(line["fetched_at"]) for line in real()
                   if line["feed"] == "gbfs.station_status")  # fmt: skip
    unseen = polls[0] - datetime(2024, 11, 30, tzinfo=UTC) + (datetime(2024, 12, 1, tzinfo=UTC) - polls[-1])
    rows = [row for row in rows_of(recorded.hours) if row["system_id"] == "oslobysykkel"]
    unknown = sum(row["seconds_unknown"] for row in rows if row["utc_date"].day == 30)
    assert unknown / 3600 == pytest.approx(499.23 + 255 * unseen.total_seconds() / 3600, abs=0.005)


def test_what_is_made_by_hand_equals_the_oracle(spark: SparkSession) -> None:
    lines, zones = of_many(MADE.values())
    assert_equal(warehouse(spark, lines, zones), lines, zones)


def test_anything_equals_the_oracle(spark: SparkSession) -> None:
    found: list[list[Line]] = []

    @settings(max_examples=RECORDINGS_AT_RANDOM, deadline=None, database=None, phases=[Phase.generate])
    @given(recordings())
    def collect(lines: list[Line]) -> None:
        found.append(lines)

    collect()
    lines, zones = of_many(found)
    assert_equal(warehouse(spark, lines, zones), lines, zones)
