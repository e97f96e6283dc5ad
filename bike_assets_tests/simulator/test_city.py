"""A city is the same for the same seed and clock, loses no bike, and has the habits of real ones."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bike_assets.simulator.city import REPORT_MS, City, Habits, SimStation
from bike_assets.simulator.seeds import generated_city
from bike_assets_tests.simulator.builders import MORNING, QUIET, after, city, station

DAY = timedelta(days=1)
HECTIC = Habits(riders_per_hour=600, vans_per_hour=60, closures_per_hour=20, vanishings_per_hour=20)
instants = st.lists(st.timedeltas(timedelta(0), timedelta(hours=6)), max_size=12).map(sorted)
seeds = st.integers(0, 1000)


def hectic_city(seed: int) -> City:
    """Everything at once, over few stations, so that the rare things happen often."""
    made = generated_city(8, seed, MORNING, (60.0, 10.0)).stations
    return City("hectic", "Hectic", made, seed, MORNING, "Europe/Oslo", HECTIC)


def state(of: City) -> Any:
    return of.now_ms, [astuple(each) for each in of.stations], of.under_way


def bikes(of: City) -> tuple[int, int]:
    """All bikes, and how many of them are electric, standing or under way."""
    standing, riding = of.stations, of.under_way
    return (
        sum(each.bikes for each in standing) + sum(each.bikes for each in riding),
        sum(each.ebikes for each in standing) + sum(each.ebikes for each in riding),
    )


def every(step: timedelta, of: City, until: datetime) -> Iterator[list[SimStation]]:
    at = MORNING
    while at < until:
        at += step
        of.advance(at)
        yield of.stations


@given(seeds, instants)
@settings(max_examples=25, deadline=None)
def test_one_step_and_many_lead_to_the_same_state(seed: int, stops: list[timedelta]) -> None:
    in_one, in_many = hectic_city(seed), hectic_city(seed)
    for stop in stops:
        in_many.advance(MORNING + stop)
    in_one.advance(after(hours=6))
    in_many.advance(after(hours=6))
    assert state(in_one) == state(in_many)


@given(seeds, instants)
@settings(max_examples=40, deadline=None)
def test_no_bike_is_lost_and_none_stands_where_there_is_no_dock(seed: int, stops: list[timedelta]) -> None:
    town = hectic_city(seed)
    at_first = bikes(town)
    for stop in stops:
        town.advance(MORNING + stop)
        assert bikes(town) == at_first
        for each in town.stations:
            assert 0 <= each.ebikes <= each.bikes <= each.capacity - each.docks_blocked


def test_another_seed_is_another_day() -> None:
    one, other = (City("x", "X", hectic_city(1).stations, seed, MORNING, "UTC", HECTIC) for seed in (1, 2))
    one.advance(after(hours=1))
    other.advance(after(hours=1))
    assert state(one) != state(other)


def test_an_instant_in_the_past_changes_nothing() -> None:
    town = hectic_city(3)
    town.advance(after(hours=2))
    before = state(town)
    town.advance(after(hours=1))
    assert state(town) == before


def test_a_rider_who_finds_no_bike_gives_up() -> None:
    town = city([station("1", bikes=0), station("2", bikes=0)], Habits(1000, 0, 0, 0))
    town.advance(after(hours=5))
    assert not town.under_way
    assert [each.changed_ms for each in town.stations] == [0, 0]


def test_a_rider_who_finds_no_dock_goes_to_the_nearest_that_has_one() -> None:
    wanted = station("1", capacity=1000, docks_blocked=1000, bikes=0)
    near, far = (station(number, capacity=100, bikes=0) for number in ("2", "12"))
    start = station("20", capacity=1000, bikes=1000)
    town = city([wanted, far, near, start], Habits(200, 0, 0, 0))
    town.advance(after(hours=2))
    levels = {each.station_id: each.bikes for each in town.stations}
    assert levels["1"] == 0
    assert levels["2"] > 3 * levels["12"]


def test_riders_wait_where_the_whole_city_is_full() -> None:
    town = city([station("1", bikes=10), station("2", bikes=10)], Habits(100, 0, 0, 0))
    town.advance(after(hours=3))
    assert bikes(town) == (20, 0)


def test_in_the_morning_bikes_flow_to_the_centre_and_in_the_evening_out_again() -> None:
    town = generated_city(100, 5, datetime(2026, 3, 3, 5, tzinfo=UTC), (0.0, 0.0), timezone="UTC")
    by_distance = sorted(range(100), key=lambda i: town.stations[i].lat ** 2 + town.stations[i].lon ** 2)

    def central() -> float:
        return fmean(town.stations[i].bikes for i in by_distance[:30])

    at_five = central()
    town.advance(after(hours=5))
    at_ten = central()
    town.advance(after(hours=14))
    at_seven = central()
    assert at_ten > 1.2 * at_five
    assert at_seven < 0.8 * at_ten


def departures(town: City, hours: int) -> list[int]:
    """By hour: how often a station had fewer bikes than some seconds before."""
    seen = [each.bikes for each in town.stations]
    counts = [0] * hours
    for step, now in enumerate(every(timedelta(seconds=10), town, after(hours=hours))):
        counts[step // 360] += sum(each.bikes < was for each, was in zip(now, seen, strict=True))
        seen = [each.bikes for each in now]
    return counts


@pytest.mark.parametrize(("timezone", "rush_utc"), [("Europe/Oslo", {6, 7}), ("America/New_York", {12, 13})])
def test_the_rush_hour_is_that_of_the_citys_own_clock(timezone: str, rush_utc: set[int]) -> None:
    # More bikes than riders want, so that what is ridden is what was wanted.
    large = [station(str(n), capacity=2000, bikes=1000) for n in range(1, 9)]
    town = City("town", "Town", large, 1, MORNING, timezone, Habits(200, 0, 0, 0))
    ridden = departures(town, 10)
    busiest = max(range(10), key=lambda hour: ridden[hour])
    assert 5 + busiest in rush_utc
    assert max(ridden) > 1.3 * fmean(ridden)


def test_a_van_takes_five_to_twelve_bikes_from_the_fullest_to_the_emptiest_within_a_minute() -> None:
    places = [station("1", capacity=30, bikes=30), station("2", capacity=30, bikes=0), station("3")]
    town = city(places, Habits(0, 1, 0, 0))
    levels = [tuple(each.bikes for each in now) for now in every(timedelta(seconds=5), town, after(hours=6))]
    left = next(i for i, each in enumerate(levels) if each[0] < 30)
    moved = 30 - levels[left][0]
    assert 5 <= moved <= 12
    assert levels[left + 12] == (30 - moved, moved, 5)


def test_stations_close_for_a_while_and_nobody_rides_there_meanwhile() -> None:
    town = city([station(str(n)) for n in range(1, 7)], Habits(600, 0, 10, 0))
    minutes_closed: Counter[str] = Counter()
    longest = 0
    held: dict[str, int] = {}
    for now in every(timedelta(minutes=1), town, after(hours=8)):
        for each in now:
            if each.is_open:
                held.pop(each.station_id, None)
                minutes_closed.pop(each.station_id, None)
            else:
                minutes_closed[each.station_id] += 1
                longest = max(longest, minutes_closed[each.station_id])
                assert held.setdefault(each.station_id, each.bikes) == each.bikes
    assert 10 <= longest <= 90


def test_a_station_that_was_closed_at_the_start_opens_again() -> None:
    town = city([station("1", is_open=False), station("2")])
    town.advance(after(hours=2))
    assert town.stations[0].is_open


def test_stations_vanish_from_the_feed_and_come_back() -> None:
    town = city([station(str(n)) for n in range(1, 7)], Habits(0, 0, 0, 4))
    shown = [sum(each.is_in_feed for each in now) for now in every(timedelta(minutes=1), town, after(hours=12))]
    assert min(shown) < 6
    assert any(now > was for was, now in pairwise(shown))


def test_the_newest_report_never_goes_back() -> None:
    town = hectic_city(4)
    newest = [
        max(each.reported_ms(town.now_ms) for each in now if each.is_in_feed)
        for now in every(timedelta(seconds=20), town, after(hours=12))
    ]
    assert newest == sorted(newest)


def test_a_station_reports_every_ten_minutes_and_at_each_change() -> None:
    town = city([station("1"), station("2")])
    seen = set()
    for now in every(timedelta(seconds=30), town, after(hours=1)):
        seen.add(now[0].reported_ms(town.now_ms))
        assert 0 <= town.now_ms - now[0].reported_ms(town.now_ms) < REPORT_MS
    assert len(seen) in (6, 7)
    town.ride_now()
    assert town.stations[0].reported_ms(town.now_ms) == town.now_ms


def test_a_ride_now_moves_one_bike_at_the_citys_instant() -> None:
    town = city([station("1", bikes=9), station("2", bikes=1), station("3")])
    town.advance(after(seconds=7))
    ride = town.ride_now()
    assert ride is not None
    assert (ride.at, ride.origin.station_id, ride.goal.station_id) == (after(seconds=7), "1", "2")
    assert [each.bikes for each in town.stations] == [8, 2, 5]


def test_there_is_no_ride_where_there_is_no_bike() -> None:
    assert city([station("1", bikes=0), station("2", bikes=0)]).ride_now() is None


@pytest.mark.parametrize(
    "impossible",
    [
        [station("1"), station("1")],
        [station("1")],
        [station("1", bikes=11), station("2")],
        [station("1", bikes=-1), station("2")],
        [station("1", ebikes=6), station("2")],
    ],
)
def test_stations_that_cannot_be_are_refused(impossible: list[SimStation]) -> None:
    with pytest.raises(ValueError, match="station"):
        City("town", "Town", impossible, 1, MORNING, "UTC", QUIET)
