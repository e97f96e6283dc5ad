"""Each measure of a station-hour by hand. All cases are systems of one recording, so that one Spark job does them."""

from datetime import date, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS
from bike_assets.model.warehouse import DIM_STATION, DIM_SYSTEM
from bike_assets.warehouse.station_hour import station_hours
from bike_assets_tests.oracle.events import Line, Row, poll_rows, station_status_rows
from bike_assets_tests.oracle.made import City, Station, instant
from bike_assets_tests.warehouse.frames import Rows, frame, rows_of, warehouse

GBFS = City("gbfs")
SECONDS = ("seconds_empty", "seconds_full", "seconds_available", "seconds_closed", "seconds_unknown")
NAMES = {"1": "Square"}


def told(**bikes_at: Any) -> list[Line]:
    """Polls of station 1 of March 30: `_1105=3` says 3 bikes (or that station, or None: gone) at 11:05."""
    lines = []
    for at, bikes in bikes_at.items():
        station = Station(bikes, 20 - bikes) if isinstance(bikes, int) else bikes
        shown = {"9": Station()} | ({} if station is None else {"1": station})
        lines.append(GBFS.poll(f"30 {at[1:3]}:{at[3:5]}:00", shown))
    return lines


CASES: dict[str, list[Line]] = {
    "seen all along": told(_1050=3, _1110=3, _1130=0, _1145=4, _1210=4),
    "changed over a gap": told(_1050=3, _1100=3, _1105=7, _1145=2, _1210=2),
    "unchanged over a gap": told(_1050=3, _1100=3, _1105=7, _1145=7, _1210=7),
    "docks only changed over a gap": told(_1050=3, _1105=Station(7, 3), _1145=Station(7, 2), _1210=Station(7, 2)),
    "closed over a gap": told(_1050=3, _1105=7, _1145=Station(7, 3, shut="is_renting"), _1210=3),
    "last poll at 11:20": told(_1050=3, _1110=4, _1120=9),
    "a reading that holds for no known time": told(_1050=3, _1110=9, _1150=2, _1225=2),
    "first poll at 11:20": told(_1120=9, _1150=9, _1210=9),
    "a step of 5 in 10 minutes": told(_1100=9, _1110=4, _1115=10),
    "a step of 5 in 11 minutes": told(_1100=9, _1111=4),
    "a step of 4 in 10 minutes": told(_1100=9, _1110=5),
    "no step in 10 minutes": told(_1100=9, _1110=9),
    "short steps only while closed": told(_1100=9, _1110=Station(9, 1, shut="is_renting"), _1120=9),
    "open again for one short step": told(_1100=Station(9, 1, shut="is_renting"), _1110=9, _1120=9),
    "a short step that ends in the next hour": told(_1055=9, _1104=9),
    "gone and back": told(_1050=3, _1110=3, _1120=None, _1130=None, _1140=0, _1150=0),
    "docks given for half the time": told(_1050=Station(3, None), _1100=Station(3, None), _1130=Station(3, 6),
                                          _1150=Station(3, 6), _1210=Station(3, 6)),
    "entries": told(_1050=3, _1105=0, _1110=3, _1115=Station(0, 0), _1120=Station(20, 0), _1125=Station(20, 0),
                    _1130=Station(0, 0, shut="is_returning"), _1135=0, _1140=None, _1145=0),
    "a poll at the hour's start": told(_1040=3, _1100=3, _1130=2, _1200=2),
    "named": [GBFS.information("30 10:00:00", NAMES), GBFS.information("30 11:30:00", {"1": "New Square"}),
              *told(_1050=3, _1110=3, _1210=3)],
}  # fmt: skip
LINES = [{**line, "system_id": case} for case, lines in CASES.items() for line in lines]


@pytest.fixture(scope="module")
def hours(spark: SparkSession) -> dict[tuple[str, int], Row]:
    """By case and hour, what is told of station 1."""
    rows = rows_of(warehouse(spark, LINES, dict.fromkeys(CASES, "Asia/Kolkata")).hours)
    return {(row["system_id"], row["hour_start"].hour): row for row in rows if row["station_id"] == "1"}


Hours = dict[tuple[str, int], Row]


def values(hours: Hours, case: str, *names: str, hour: int = 11) -> tuple[Any, ...]:
    return tuple(hours[case, hour][name] for name in names)


@pytest.mark.parametrize(("case", "minutes"), [
    ("seen all along", [15, 0, 45, 0, 0]),
    ("changed over a gap", [0, 0, 20, 0, 40]),
    ("unchanged over a gap", [0, 0, 20, 0, 40]),
    ("closed over a gap", [0, 0, 5, 15, 40]),
    ("last poll at 11:20", [0, 0, 20, 0, 40]),
    ("first poll at 11:20", [0, 0, 40, 0, 20]),
    ("gone and back", [10, 0, 20, 0, 30]),
    ("a reading that holds for no known time", [0, 0, 10, 0, 50]),
    ("a poll at the hour's start", [0, 0, 60, 0, 0]),
])  # fmt: skip
def test_an_hour_is_shared_among_the_states(hours: Hours, case: str, minutes: list[int]) -> None:
    assert values(hours, case, *SECONDS) == tuple(60 * each for each in minutes)


def test_flows_are_counted_over_gaps_and_not_over_closures_and_absences(hours: Hours) -> None:
    assert values(hours, "seen all along", "departures", "arrivals") == (3, 4)
    assert values(hours, "changed over a gap", "departures", "arrivals") == (5, 4)
    assert values(hours, "closed over a gap", "departures", "arrivals") == (0, 4)
    assert values(hours, "gone and back", "departures", "arrivals") == (0, 0)


def test_flows_stand_in_the_hour_of_the_later_poll(hours: Hours) -> None:
    assert values(hours, "first poll at 11:20", "departures", "arrivals") == (0, 0)
    assert values(hours, "closed over a gap", "departures", "arrivals", hour=12) == (0, 0)
    assert values(hours, "closed over a gap", "departures", hour=10) == (0,)


@pytest.mark.parametrize(("case", "out", "into"), [
    ("a step of 5 in 10 minutes", 5, 6),
    ("a step of 5 in 11 minutes", None, None),
    ("a step of 4 in 10 minutes", 0, 0),
    ("no step in 10 minutes", 0, 0),
    ("short steps only while closed", None, None),
    ("open again for one short step", 0, 0),
    ("a short step that ends in the next hour", 0, 0),
])  # fmt: skip
def test_bulk_moves_are_large_steps_in_short_intervals(hours: Hours, case: str, out: Any, into: Any) -> None:
    assert values(hours, case, "bulk_out", "bulk_in") == (out, into)


def test_a_short_step_belongs_to_the_hour_in_which_it_ends(hours: Hours) -> None:
    assert values(hours, "a short step that ends in the next hour", "bulk_out", "bulk_in", hour=10) == (None, None)


@pytest.mark.parametrize(("case", "least", "most"), [
    ("seen all along", 0, 4),
    ("changed over a gap", 2, 3),  # the 7 at the gap's begin held for no known time
    ("unchanged over a gap", 3, 7),
    ("docks only changed over a gap", 3, 7),
    ("closed over a gap", 3, 3),
    ("last poll at 11:20", 3, 4),  # the 9 too
    ("a reading that holds for no known time", 3, 3),
    ("first poll at 11:20", 9, 9),
])  # fmt: skip
def test_the_fewest_and_the_most_bikes_are_those_that_held_for_known_time(
    hours: Hours, case: str, least: int, most: int
) -> None:
    assert values(hours, case, "bikes_min", "bikes_max") == (least, most)


def test_means_are_over_open_and_known_time(hours: Hours) -> None:
    assert values(hours, "seen all along", "bikes_mean", "docks_mean") == (
        (30 * 3 + 15 * 0 + 15 * 4) / 60, (30 * 17 + 15 * 20 + 15 * 16) / 60)  # fmt: skip
    assert values(hours, "closed over a gap", "bikes_mean") == (3,)
    assert values(hours, "docks given for half the time", "bikes_mean", "docks_mean") == (3, 6)
    assert values(hours, "a reading that holds for no known time", "bikes_mean", hour=13) == (None,)


def test_entries_are_from_another_state_that_is_not_unknown(hours: Hours) -> None:
    # 11:05, 11:15 and, from closed, 11:35 empty; 11:20 full; 11:45 after an absence is none.
    assert values(hours, "entries", "times_empty", "times_full") == (3, 1)


def test_polls_are_the_good_ones_that_show_the_station(hours: Hours) -> None:
    assert values(hours, "gone and back", "polls") == (3,)
    assert values(hours, "seen all along", "polls") == (3,)


def test_an_hour_in_which_nobody_looked_is_unknown_and_has_no_flows(hours: Hours) -> None:
    assert values(hours, "last poll at 11:20", *SECONDS, hour=15) == (0, 0, 0, 0, 3600)
    assert values(hours, "last poll at 11:20", "departures", "times_empty", "polls", hour=15) == (0, 0, 0)
    assert values(hours, "last poll at 11:20", "bulk_out", "bikes_mean", "bikes_min", "docks_mean", hour=15) == (
        None, None, None, None)  # fmt: skip


def test_a_station_has_no_row_before_its_first_reading(hours: Hours) -> None:
    assert min(hour for case, hour in hours if case == "first poll at 11:20") == 11


def test_the_local_hour_is_that_of_the_hours_start_in_the_systems_zone(hours: Hours) -> None:
    assert values(hours, "seen all along", "utc_date", "local_date", "local_hour") == (
        date(2024, 3, 30), date(2024, 3, 30), 16)  # fmt: skip
    assert values(hours, "seen all along", "utc_date", "local_date", "local_hour", hour=19) == (
        date(2024, 3, 30), date(2024, 3, 31), 0)  # fmt: skip


def test_the_station_key_is_that_of_the_description_at_the_hours_start(hours: Hours) -> None:
    before, begun, after = (hours["named", hour]["station_key"] for hour in (10, 11, 12))
    assert before == begun != after


def test_days_together_are_what_they_are_one_by_one(spark: SparkSession) -> None:
    """A backfill is one job; and of the day before only what the rule of the 24 hours needs is looked at."""
    lines = [GBFS.poll(instant("28 10:07:00") + timedelta(minutes=25 * n), {"1": Station(n % 5, n % 3)} if n % 90 < 60
                       else {"9": Station()}) for n in range(200)]  # fmt: skip
    status, polls = station_status_rows(lines), poll_rows(lines)
    first, last = polls[0]["fetched_at"].date(), polls[-1]["fetched_at"].date()

    def hours_of(low: date, high: date) -> Rows:
        day = timedelta(days=1)
        near = [each for each in status if low - day <= each["observed_at"].date() <= high]
        asked = [each for each in polls if low - day <= each["fetched_at"].date() <= high + day]
        systems = [{"system_id": GBFS.system_id, "timezone": "UTC"}]
        return rows_of(station_hours(
            frame(spark, EVENTS_STATION_STATUS, near), frame(spark, EVENTS_POLLS, asked),
            frame(spark, DIM_SYSTEM, systems), frame(spark, DIM_STATION, []), low, high,
        ).orderBy("hour_start", "station_id"))  # fmt: skip

    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    assert len(days) == 4
    assert [row for day in days for row in hours_of(day, day)] == hours_of(first, last)


def test_without_events_there_are_no_rows(spark: SparkSession) -> None:
    status, polls = frame(spark, EVENTS_STATION_STATUS, []), frame(spark, EVENTS_POLLS, [])
    day = date(2024, 3, 30)
    found = station_hours(status, polls, frame(spark, DIM_SYSTEM, []), frame(spark, DIM_STATION, []), day, day)
    assert found.collect() == []
