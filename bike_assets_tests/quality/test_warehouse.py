from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bike_assets.lake.duck import ask, connect
from bike_assets.model.messages import Outcome
from bike_assets.model.readings import State
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, LIVE_SYSTEM_MINUTE
from bike_assets.model.warehouse import (
    DIM_DATE,
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    STATION_QUALITY,
    SYSTEM_SERVICE_DAY,
)
from bike_assets.quality.found import Found
from bike_assets.quality.warehouse import (
    days_add_up,
    every_fact_has_its_dimension,
    hole_in_the_day,
    hours_add_up,
    levels_fit_capacity,
    local_dates_fit_zone,
    looks_like_last_weeks,
    meets_service_level,
    minutes_equal_events,
    polls_match_station_hours,
    service_days_equal_polls,
    stream_equals_batch,
    system_days_add_up,
)
from bike_assets_tests.lake.rows import write, write_messages
from bike_assets_tests.model.builders import poll, station_status

Row = dict[str, Any]
Rule = Callable[..., Found]
MONDAY = date(2026, 6, 1)
MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FLOWS = {"departures": 2, "arrivals": 1, "bulk_out": 0, "bulk_in": None, "times_empty": 1, "times_full": 0}


def seconds(of_all: float, **given: float) -> Row:
    """The five states' seconds; what is not given is available."""
    states = {state: given.get(state, 0.0) for state in ("empty", "full", "closed", "unknown")}
    states["available"] = given.get("available", of_all - sum(states.values()))
    return {f"seconds_{state}": value for state, value in states.items()}


def hour(place: int = 0, **given: Any) -> Row:
    """A station's hour, `place` hours after Monday's midnight, in a city on UTC; open throughout, of 2 polls."""
    start = MIDNIGHT + place * HOUR
    return {
        "system_id": "oslo", "station_id": "1", "hour_start": start, "station_key": 1, "utc_date": start.date(),
        "local_date": start.date(), "local_hour": start.hour, **FLOWS, **seconds(3600), "bikes_mean": 5.0,
        "bikes_min": 4, "bikes_max": 6, "docks_mean": 10.0, "polls": 2,
    } | given  # fmt: skip


def sums(hours: int) -> Row:
    """So many such hours together."""
    flows = {name: value and value * hours for name, value in FLOWS.items()}
    return {**flows, **seconds(3600 * hours), "polls": 2 * hours, "is_complete": True}


def station_day(**given: Any) -> Row:
    return {"system_id": "oslo", "station_id": "1", "local_date": MONDAY, "station_key": 1, **sums(24)} | given


def system_day(**given: Any) -> Row:
    """A system's day, of one station."""
    return {"system_id": "oslo", "local_date": MONDAY, "stations": 1, **sums(24)} | given


def finding(**given: Any) -> Row:
    return {"system_id": "oslo", "station_id": "1", "local_date": MONDAY, "reason": "stuck"} | given


def in_lake(lake: Path, **tables: list[Row]) -> Path:
    """A lake of these tables, each named as its constant is in lower case."""
    named: dict[str, Table] = {
        "hours": FACT_STATION_HOUR, "station_days": FACT_STATION_DAY, "system_days": FACT_SYSTEM_DAY,
        "minutes": LIVE_SYSTEM_MINUTE, "systems": DIM_SYSTEM, "stations": DIM_STATION, "dates": DIM_DATE,
        "findings": STATION_QUALITY,
    }  # fmt: skip
    for name, rows in tables.items():
        write(lake, named[name], rows)
    return lake


def found_in(lake: Path, rule: Rule, *table: Table, first: date = MONDAY, last: date = MONDAY) -> Found:
    """What the rule finds, which by its query a person finds too, at a shell's prompt."""
    found = rule(connect(lake), *table, first, last)
    assert not set(found.query) & set('"$`!\\')
    assert len(ask(lake, found.query).rows) == found.bad
    return found


def counts(found: Found) -> tuple[int, int]:
    return found.checked, found.bad


# hours_add_up


def test_hours_of_3600_seconds_add_up(tmp_path: Path) -> None:
    split = hour(1, **seconds(3600, empty=1200.004, unknown=0.001))
    assert counts(found_in(in_lake(tmp_path, hours=[hour(), split]), hours_add_up)) == (2, 0)


@pytest.mark.parametrize(
    "wrong",
    [seconds(3600.02), seconds(3599), seconds(3600, empty=-1.0), seconds(3600) | {"seconds_full": None}],
    ids=["too long", "too short", "one is negative", "one is null"],
)
def test_an_hour_that_does_not_add_up_is_found(tmp_path: Path, wrong: Row) -> None:
    found = found_in(in_lake(tmp_path, hours=[hour(), hour(1, **wrong)]), hours_add_up)
    assert counts(found) == (2, 1)
    assert found.first_bad[0]["hour_start"] == str(MIDNIGHT + HOUR)


# local_dates_fit_zone


def zoned(lake: Path, zone: str, *hours: Row) -> Found:
    """What is found of these hours where the system's zone is this by now."""
    systems = [{"system_id": "oslo", "timezone": zone}]
    return found_in(in_lake(lake, hours=list(hours), systems=systems), local_dates_fit_zone)


def test_hours_on_the_clock_of_their_zone_fit_it(tmp_path: Path) -> None:
    late = {"local_date": MONDAY + DAY, "local_hour": 1}
    assert counts(zoned(tmp_path, "Europe/Oslo", hour(0, local_hour=2), hour(23, **late), hour(23, **late))) == (3, 0)


def test_hours_that_were_built_before_their_zone_was_told_do_not_fit_it(tmp_path: Path) -> None:
    found = zoned(tmp_path, "Asia/Tokyo", hour(3), hour(20, local_date=MONDAY + DAY, local_hour=5))
    assert counts(found) == (2, 1)
    [bad] = found.first_bad
    assert (bad["hour_start"], bad["local_hour"], bad["local_start"]) == (
        "2026-06-01 03:00:00+00:00", 3, "2026-06-01 12:00:00")  # fmt: skip


@pytest.mark.parametrize(("polled_since", "bad"), [(-10, 1), (-2, 0)], ids=["kept", "going"])
def test_hours_of_the_day_before_that_are_in_an_old_zone_are_seen_where_they_can_be_built_again(
    tmp_path: Path, polled_since: int, bad: int
) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll(fetched_at=MIDNIGHT + polled_since * DAY))
    assert counts(zoned(tmp_path, "Asia/Tokyo", hour(-2))) == (0, bad)


def test_an_hour_with_another_date_fits_no_zone(tmp_path: Path) -> None:
    assert counts(zoned(tmp_path, "UTC", hour(3), hour(3, local_date=MONDAY - DAY))) == (2, 1)


def test_hours_of_a_system_without_a_zone_fit_none(tmp_path: Path) -> None:
    assert counts(found_in(in_lake(tmp_path, hours=[hour()]), local_dates_fit_zone)) == (1, 1)


# days_add_up, system_days_add_up

HOURS = [hour(place) for place in range(24)]


def test_a_day_of_its_hours_adds_up(tmp_path: Path) -> None:
    lake = in_lake(tmp_path, hours=[*HOURS, hour(24)], station_days=[station_day()])
    assert counts(found_in(lake, days_add_up)) == (1, 0)


@pytest.mark.parametrize(
    ("wrong", "differs"),
    [({"departures": 47}, "departures 47 of 48"), ({"bulk_out": None}, "bulk_out null of 0"),
     ({"bulk_in": 0}, "bulk_in 0 of null"), ({"polls": 49}, "polls 49 of 48"),
     ({"seconds_full": 0.02}, "seconds_full 0.02 of 0.0")],
)  # fmt: skip
def test_a_day_that_says_something_else_is_found(tmp_path: Path, wrong: Row, differs: str) -> None:
    lake = in_lake(tmp_path, hours=HOURS, station_days=[station_day(**wrong)])
    found = found_in(lake, days_add_up)
    assert counts(found) == (1, 1)
    assert found.first_bad[0]["differs"] == differs


def test_a_day_whose_hours_are_gone_or_that_is_missing_is_found(tmp_path: Path) -> None:
    others = [hour(place, station_id="2") for place in range(24)]
    found = found_in(in_lake(tmp_path, hours=others, station_days=[station_day()]), days_add_up)
    assert (found.bad, found.first_bad[1]["differs"]) == (2, "it is not there")
    assert "departures 48 of null" in found.first_bad[0]["differs"]


def test_a_day_that_is_not_complete_may_wait_for_its_hours(tmp_path: Path) -> None:
    waiting = station_day(departures=0, is_complete=False)
    evening = [hour(place, station_id="2") for place in range(20, 24)]
    lake = in_lake(tmp_path, hours=[*HOURS, *evening], station_days=[waiting])
    assert counts(found_in(lake, days_add_up)) == (1, 0)


@pytest.mark.parametrize(("ahead", "hours"), [(-7, 24), (10, 24), (1, 23), (1, 25)])
def test_a_local_day_lies_in_the_utc_days_around_it(tmp_path: Path, ahead: int, hours: int) -> None:
    local = [hour(place - ahead, local_date=MONDAY) for place in range(hours)]
    lake = in_lake(tmp_path, hours=local, station_days=[station_day(**sums(hours))])
    assert counts(found_in(lake, days_add_up)) == (1, 0)


STATIONS = [station_day(), station_day(station_id="2", departures=10, is_complete=False)]


def test_a_systems_day_of_its_stations_adds_up(tmp_path: Path) -> None:
    both = {name: value and value * 2 for name, value in sums(24).items() if name != "is_complete"}
    lake = in_lake(tmp_path, station_days=STATIONS, system_days=[system_day(**both, stations=2) | {"departures": 58}])
    assert counts(found_in(lake, system_days_add_up)) == (1, 0)


def test_a_systems_day_of_other_stations_is_found(tmp_path: Path) -> None:
    found = found_in(in_lake(tmp_path, station_days=STATIONS, system_days=[system_day()]), system_days_add_up)
    assert counts(found) == (1, 1)
    assert found.first_bad[0]["differs"].startswith("departures 48 of 58, arrivals 24 of 48")
    assert found.first_bad[0]["differs"].endswith("stations 1 of 2")


def test_a_systems_missing_day_is_found(tmp_path: Path) -> None:
    lake = in_lake(tmp_path, station_days=STATIONS, system_days=[system_day(system_id="bergen", is_complete=False)])
    assert found_in(lake, system_days_add_up).first_bad == [
        {"system_id": "oslo", "local_date": str(MONDAY), "differs": "it is not there"}
    ]


def test_a_systems_day_may_be_missing_while_no_station_has_a_complete_one(tmp_path: Path) -> None:
    lake = in_lake(tmp_path, station_days=STATIONS[1:], system_days=[system_day(system_id="bergen", is_complete=False)])
    assert counts(found_in(lake, system_days_add_up)) == (1, 0)


# every_fact_has_its_dimension

MOVED_AT = MIDNIGHT + 2 * HOUR
DIMENSIONS: dict[str, list[Row]] = {
    "systems": [{"system_id": "oslo", "timezone": "UTC"}],
    "dates": [{"date": MONDAY}],
    "stations": [
        {"station_key": 1, "system_id": "oslo", "station_id": "1", "valid_from": EPOCH, "valid_to": MOVED_AT},
        {"station_key": 2, "system_id": "oslo", "station_id": "1", "valid_from": MOVED_AT, "capacity": 15},
        {"station_key": 3, "system_id": "oslo", "station_id": "2", "valid_from": EPOCH, "capacity": 5},
    ],
}


def test_facts_with_their_dimensions_are_whole(tmp_path: Path) -> None:
    lake = in_lake(tmp_path, **DIMENSIONS, hours=[hour(), hour(1), hour(2, station_key=2)],
                   station_days=[station_day()], system_days=[system_day()],
                   findings=[finding()])  # fmt: skip
    tables = {FACT_STATION_HOUR: 3, FACT_STATION_DAY: 1, FACT_SYSTEM_DAY: 1, STATION_QUALITY: 1}
    found = {table: counts(found_in(lake, every_fact_has_its_dimension, table)) for table in tables}
    assert found == {table: (checked, 0) for table, checked in tables.items()}


@pytest.mark.parametrize(
    ("fact", "wrong"),
    [(hour(station_key=9), "no station"), (hour(station_key=3), "another station"),
     (hour(2), "a description that did not hold"), (hour(1, station_key=2), "a description that did not hold"),
     (hour(local_date=MONDAY - DAY), "no local_date"), (hour(system_id="bergen"), "no system, another station"),
     (hour(station_key=None), "no station")],
)  # fmt: skip
def test_an_hour_without_its_dimension_is_found(tmp_path: Path, fact: Row, wrong: str) -> None:
    lake = in_lake(tmp_path, **DIMENSIONS, hours=[hour(3, station_key=2), fact])
    found = found_in(lake, every_fact_has_its_dimension, FACT_STATION_HOUR)
    assert (*counts(found), found.first_bad[0]["wrong"]) == (2, 1, wrong)


def test_a_day_without_its_dimension_is_found(tmp_path: Path) -> None:
    lake = in_lake(tmp_path, **DIMENSIONS, station_days=[station_day(station_key=9)],
                   system_days=[system_day(system_id="bergen")])  # fmt: skip
    assert found_in(lake, every_fact_has_its_dimension, FACT_STATION_DAY).first_bad[0]["wrong"] == "no station"
    assert found_in(lake, every_fact_has_its_dimension, FACT_SYSTEM_DAY).first_bad[0]["wrong"] == "no system"


# polls_match_station_hours


def polled(lake: Path, *hours: Row, **of_second: Any) -> Path:
    """Monday's first hour with two good polls of two stations, and some that say nothing of it."""
    at = MIDNIGHT + timedelta(minutes=10)
    write_messages(
        lake, EVENTS_POLLS, poll(fetched_at=at, stations=2),
        poll(**{"fetched_at": at + timedelta(minutes=30), "outcome": Outcome.NOT_MODIFIED, "stations": 2} | of_second),
        poll(fetched_at=at, feed="station_information", stations=None),
        poll(fetched_at=at + timedelta(minutes=20), outcome=Outcome.STALE, stations=None),
    )  # fmt: skip
    return in_lake(lake, hours=list(hours))


def test_hours_that_count_the_polls_match(tmp_path: Path) -> None:
    unseen = [hour(1, polls=0), hour(station_id="3", polls=0)]
    lake = polled(tmp_path, hour(), hour(station_id="2"), *unseen)
    assert counts(found_in(lake, polls_match_station_hours)) == (2, 0)


def test_a_station_that_one_of_the_polls_did_not_show_matches(tmp_path: Path) -> None:
    lake = polled(tmp_path, hour(), hour(station_id="2", polls=1), stations=1)
    assert counts(found_in(lake, polls_match_station_hours)) == (1, 0)


@pytest.mark.parametrize(
    "hours",
    [[hour()], [hour(), hour(station_id="2", polls=0)], [hour(polls=3), hour(station_id="2", polls=1)],
     [hour(), hour(station_id="2", polls=1)], [hour(), hour(station_id="2"), hour(station_id="3")], [],
     [hour(), hour(station_id="2"), hour(1)]],
    ids=["a station is lost", "a station is unseen", "more polls than there were", "a reading is lost",
         "a station too many", "none", "polls where there were none"],
)  # fmt: skip
def test_hours_that_do_not_match_the_polls_are_found(tmp_path: Path, hours: list[Row]) -> None:
    assert found_in(polled(tmp_path, *hours), polls_match_station_hours).bad == 1


def test_fewer_stations_than_one_poll_showed_are_found_though_their_readings_add_up(tmp_path: Path) -> None:
    lake = polled(tmp_path, *(hour(station_id=each) for each in "123"), stations=4)
    assert counts(found_in(lake, polls_match_station_hours)) == (1, 1)


# levels_fit_capacity


def test_levels_up_to_the_capacity_fit(tmp_path: Path) -> None:
    of_unknown_size = hour(bikes_max=99)
    lake = in_lake(tmp_path, **DIMENSIONS, hours=[hour(2, station_key=2), hour(3, station_key=2), of_unknown_size])
    assert counts(found_in(lake, levels_fit_capacity)) == (1, 0)


@pytest.mark.parametrize("levels", [{"bikes_max": 16}, {"docks_mean": 10.1}, {"docks_mean": None, "bikes_max": 16}])
def test_more_than_fits_is_told_once_a_station(tmp_path: Path, levels: Row) -> None:
    hours = [hour(2, station_key=2), hour(3, station_key=2, **levels), hour(4, station_key=2, **levels)]
    found = found_in(in_lake(tmp_path, **DIMENSIONS, hours=hours), levels_fit_capacity)
    assert counts(found) == (1, 1)
    assert (found.first_bad[0]["station_id"], found.first_bad[0]["capacity"]) == ("1", 15)


# stream_equals_batch


def minute(place: int, **given: Any) -> Row:
    """A minute, `place` minutes after Monday's midnight."""
    return {"system_id": "oslo", "minute": MIDNIGHT + timedelta(minutes=place), "departures": 0, "arrivals": 0} | given


MINUTES = [minute(10, departures=3), minute(40, departures=1, arrivals=2)]
BOTH = [hour(), hour(station_id="2")]


def test_the_same_flows_on_both_sides_are_equal(tmp_path: Path) -> None:
    lake = in_lake(polled(tmp_path, *BOTH, hour(1, polls=0, departures=0, arrivals=0)), minutes=MINUTES)
    assert counts(found_in(lake, stream_equals_batch)) == (2, 0)


def test_a_system_without_stations_has_minutes_and_no_hours(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll(fetched_at=MIDNIGHT, stations=0))
    assert counts(found_in(in_lake(tmp_path, minutes=[minute(0)]), stream_equals_batch)) == (1, 0)


@pytest.mark.parametrize(
    ("hours", "minutes"),
    [([hour(), hour(station_id="2", departures=3)], MINUTES), ([hour(), hour(station_id="2", arrivals=0)], MINUTES),
     ([], MINUTES), (BOTH, []), ([], [minute(10)]), ([hour(departures=0, arrivals=0)], []),
     (BOTH, [*MINUTES, minute(70)]), ([*BOTH, hour(1)], MINUTES)],
    ids=["departures", "arrivals", "no hours", "no minutes", "no hours of nothing", "no minutes of nothing",
         "a minute without a poll", "an hour of flows without a poll"],
)  # fmt: skip
def test_what_differs_between_stream_and_batch_is_found(tmp_path: Path, hours: list[Row], minutes: list[Row]) -> None:
    lake = in_lake(polled(tmp_path, *hours), minutes=minutes)
    assert found_in(lake, stream_equals_batch).bad == 1


# looks_like_last_weeks


def weeks_before(*departures: int, **given: Any) -> list[Row]:
    """The same weekday, the week before first; each day has 24 arrivals."""
    return [system_day(local_date=MONDAY - 7 * week * DAY, departures=flows, **given)
            for week, flows in enumerate(departures, 1)]  # fmt: skip


USUAL = weeks_before(77, 37, 67, 47)  # with the arrivals 81 in the mean


@pytest.mark.parametrize(("departures", "bad"), [(3, 0), (2, 1), (219, 0), (220, 1)])
def test_a_day_unlike_its_weekday_is_told(tmp_path: Path, departures: int, bad: int) -> None:
    lake = in_lake(tmp_path, system_days=[*USUAL, system_day(departures=departures)])
    found = found_in(lake, looks_like_last_weeks)
    assert counts(found) == (1, bad)
    assert [row["usual"] for row in found.first_bad] == [81.0] * bad


@pytest.mark.parametrize(
    "before",
    [weeks_before(900), weeks_before(900, 900, is_complete=False),
     [*weeks_before(900), system_day(local_date=MONDAY - 35 * DAY, departures=900)],
     [system_day(local_date=MONDAY - days * DAY, departures=900) for days in (1, 2, 8)]],
    ids=["one week", "weeks that are not complete", "a fifth week", "other weekdays"],
)  # fmt: skip
def test_too_little_to_compare_with_is_not_checked(tmp_path: Path, before: list[Row]) -> None:
    lake = in_lake(tmp_path, system_days=[*before, system_day()])
    assert counts(found_in(lake, looks_like_last_weeks)) == (0, 0)


def test_today_is_not_compared_yet(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    weeks = [row | {"local_date": row["local_date"] + (today - MONDAY)} for row in USUAL]
    lake = in_lake(tmp_path, system_days=[*weeks, system_day(local_date=today, departures=0, arrivals=0)])
    assert counts(found_in(lake, looks_like_last_weeks, first=today, last=today)) == (0, 0)


def test_a_day_that_is_not_complete_is_not_checked(tmp_path: Path) -> None:
    lake = in_lake(tmp_path, system_days=[*USUAL, system_day(departures=0, arrivals=0, is_complete=False)])
    assert counts(found_in(lake, looks_like_last_weeks)) == (0, 0)


def test_a_system_that_is_there_no_more_is_told(tmp_path: Path) -> None:
    found = found_in(in_lake(tmp_path, system_days=USUAL), looks_like_last_weeks)
    assert (*counts(found), found.first_bad[0]["flows"]) == (1, 1, 0)


# hole_in_the_day


@pytest.mark.parametrize(("unknown", "bad"), [(0.0, 0), (8_640.0, 0), (8_641.0, 1), (86_400.0, 1)])
def test_a_day_of_which_a_tenth_is_unknown_has_a_hole(tmp_path: Path, unknown: float, bad: int) -> None:
    lake = in_lake(tmp_path, system_days=[system_day(**seconds(86_400, unknown=unknown))])
    assert counts(found_in(lake, hole_in_the_day)) == (1, bad)


def test_a_hole_is_told_in_hours_of_a_station(tmp_path: Path) -> None:
    hole = system_day(stations=2, **seconds(2 * 86_400, unknown=2 * 6 * 3600))
    shown = found_in(in_lake(tmp_path, system_days=[hole]), hole_in_the_day).first_bad[0]
    assert (shown["hours_unknown"], shown["share_unknown"]) == (6.0, 0.25)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])  # 14 h before UTC, and 11 h after it
def test_today_has_no_hole_yet_wherever_a_system_is(tmp_path: Path, zone: str) -> None:
    today = datetime.now(ZoneInfo(zone)).date()
    days = [system_day(local_date=day, **seconds(86_400, unknown=80_000.0)) for day in (today - DAY, today)]
    lake = in_lake(tmp_path, system_days=days, systems=[{"system_id": "oslo", "timezone": zone}])
    found = found_in(lake, hole_in_the_day, first=today - DAY, last=today)
    assert [row["local_date"] for row in found.first_bad] == [f"{today - DAY}"]
    assert counts(found) == (1, 1)


# All of them

RULES = (hours_add_up, days_add_up, system_days_add_up, polls_match_station_hours, levels_fit_capacity,
         stream_equals_batch, looks_like_last_weeks, hole_in_the_day)  # fmt: skip
FACTS = (FACT_STATION_HOUR, FACT_STATION_DAY, FACT_SYSTEM_DAY, STATION_QUALITY)
CASES: list[tuple[Any, ...]] = [*((rule,) for rule in RULES),
                                *((every_fact_has_its_dimension, table) for table in FACTS)]  # fmt: skip


def name_of(each: Any) -> str:
    return " ".join(getattr(part, "__name__", getattr(part, "name", "")) for part in each)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_where_there_is_nothing_nothing_was_checked(tmp_path: Path, case: tuple[Any, ...]) -> None:
    assert counts(found_in(tmp_path, *case)) == (0, 0)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_days_other_than_those_asked_for_are_not_looked_at(tmp_path: Path, case: tuple[Any, ...]) -> None:
    lake = polled(tmp_path, hour(seconds_empty=-1.0, bikes_max=99, station_key=2, polls=9))
    in_lake(lake, **(DIMENSIONS | {"dates": []}), minutes=[minute(10, departures=9)],
            station_days=[station_day(departures=9)],
            system_days=[system_day(arrivals=9, **seconds(86_400, unknown=86_400)), *weeks_before(900, 900)],
            findings=[finding(system_id="bergen")])  # fmt: skip
    of_monday = found_in(lake, *case)
    assert of_monday.checked > 0
    assert of_monday.bad > 0
    for day in (MONDAY - DAY, MONDAY + DAY):
        assert counts(found_in(lake, *case, first=day, last=day)) == (0, 0)


def service(day: date, system_id: str = "oslo", **given: Any) -> Row:
    """How well a system was seen in a day that is over."""
    outcomes = {f"polls_{each.value}": 0 for each in Outcome}
    return {"system_id": system_id, "local_date": day, "good_share": 0.96, "longest_gap_s": 60.0, "polls": 1440,
            **outcomes, "is_complete": True} | given  # fmt: skip


def seen_less(lake: Path, levels: dict[str, float], *rows: Row) -> list[tuple[Any, ...]]:
    write(lake, SYSTEM_SERVICE_DAY, rows)
    found = found_in(lake, partial(meets_service_level, levels=levels, usual=0.95), last=MONDAY + DAY)
    return [(bad["system_id"], bad["local_date"], bad["good_share"], bad["wanted"]) for bad in found.first_bad]


def test_a_system_that_was_seen_less_than_is_wanted_is_told_with_both_shares(tmp_path: Path) -> None:
    rows = service(MONDAY), service(MONDAY, "l'est"), service(MONDAY, "roma", good_share=0.9)
    assert seen_less(tmp_path, {"l'est": 0.99}, *rows) == [
        ("l'est", str(MONDAY), 0.96, 0.99), ("roma", str(MONDAY), 0.9, 0.95)]


def test_systems_with_a_level_of_their_own_come_first_and_are_known(tmp_path: Path) -> None:
    """So that whether one of them is among the first shown tells whether one is among all."""
    others = [service(MONDAY, f"city-{n:02}", good_share=0.1) for n in range(30)]
    write(tmp_path, SYSTEM_SERVICE_DAY, [*others, service(MONDAY, "roma")])
    found = found_in(tmp_path, partial(meets_service_level, levels={"roma": 0.99}, usual=0.95))
    assert [bad["is_own_level"] for bad in found.first_bad] == [True, *[False] * 19]


def test_a_day_that_is_not_over_is_not_judged(tmp_path: Path) -> None:
    assert seen_less(tmp_path, {}, service(MONDAY), service(MONDAY + DAY, good_share=0.1, is_complete=False)) == []


SILENT = service(MONDAY, "roma", good_share=0.0, polls=0, is_complete=False)


@pytest.mark.parametrize("rows", [[], [SILENT, service(MONDAY + DAY)]], ids=["no row", "a silent one"])
def test_a_system_that_nobody_asked_all_day_was_not_seen(tmp_path: Path, rows: list[Row]) -> None:
    before = service(MONDAY - DAY), service(MONDAY - DAY, "roma"), service(MONDAY)
    write(tmp_path, SYSTEM_SERVICE_DAY, [*before, *rows])
    found = found_in(tmp_path, partial(meets_service_level, levels={}, usual=0.95))
    assert [(bad["system_id"], bad["good_share"]) for bad in found.first_bad] == [("roma", 0)]


def test_a_day_in_which_nobody_asked_yet_is_not_judged(tmp_path: Path) -> None:
    assert seen_less(tmp_path, {}, service(MONDAY), SILENT) == []


# service_days_equal_polls


def asked(lake: Path, *rows: Row, day: date = MONDAY) -> Found:
    """What is found of these rows where oslo was asked twice on Monday, at noon and 20 minutes later."""
    for minutes in (0, 20):
        write_messages(lake, EVENTS_POLLS, poll(fetched_at=MIDNIGHT + DAY / 2 + timedelta(minutes=minutes)))
    write(lake, DIM_SYSTEM, [{"system_id": "oslo", "timezone": "UTC"}])
    write(lake, SYSTEM_SERVICE_DAY, rows)
    return found_in(lake, service_days_equal_polls, first=day, last=day)


OF_MONDAY: Row = {"good_share": 20 / 1440, "longest_gap_s": 12 * 3600.0, "polls": 2, "polls_ok": 2,
                  "is_complete": False}  # fmt: skip


def test_a_day_that_is_what_its_fetches_come_to_is_equal(tmp_path: Path) -> None:
    assert counts(asked(tmp_path, service(MONDAY, **OF_MONDAY))) == (1, 0)


@pytest.mark.parametrize("change", [{"good_share": 0.02}, {"longest_gap_s": 42_000.0}, {"polls": 3}, {"polls_stale": 1},
                                    {"is_complete": True}], ids=str)  # fmt: skip
def test_a_day_of_which_a_column_is_wrong_is_told_with_it(tmp_path: Path, change: Row) -> None:
    (bad,) = asked(tmp_path, service(MONDAY, **OF_MONDAY | change)).first_bad
    assert bad["differs"] == next(iter(change))


@pytest.mark.parametrize(("day", "bad"), [(MONDAY - DAY, 0), (MONDAY, 1), (MONDAY + 7 * DAY, 1), (MONDAY + 8 * DAY, 0)])
def test_a_day_with_a_fetch_in_it_or_in_the_week_before_must_be_there(tmp_path: Path, day: date, bad: int) -> None:
    assert counts(asked(tmp_path, day=day)) == (bad, bad)


def test_a_day_that_nobody_asked_for_must_not_be_there(tmp_path: Path) -> None:
    (bad,) = asked(tmp_path, service(MONDAY, **OF_MONDAY), service(MONDAY, "bergen")).first_bad
    assert (bad["system_id"], bad["differs"]) == ("bergen", "nobody asked")


# minutes_equal_events


LEVELS = {"stations": 2, "empty": 0, "full": 0, "closed": 0, "bikes_available": 8, "docks_available": 24,
          "ebikes_available": None, "saturation": 0.25}  # fmt: skip


def a_minutes_events(lake: Path) -> Path:
    """Two polls in one minute; in the second a bike went, at another station two came, and one was closed before."""
    for second in (10, 50):
        at = MIDNIGHT + timedelta(seconds=second)
        write_messages(lake, EVENTS_POLLS, poll(
            system_id="oslo", fetched_at=at, stations=2, empty=0, full=0, closed=0, bikes_available=8 + second,
            docks_available=24, ebikes_available=None, bikes_with_docks=8))  # fmt: skip
    changes = [(5, 4, "available"), (1, 3, "available"), (9, 2, "closed")]
    write_messages(lake, EVENTS_STATION_STATUS, *(
        station_status(system_id="oslo", station_id=str(number), observed_at=MIDNIGHT + timedelta(seconds=50),
                       bikes_before=before, bikes_available=now, state=State.AVAILABLE, state_before=State(was))
        for number, (before, now, was) in enumerate(changes)))  # fmt: skip
    return lake


def test_a_minute_that_is_what_its_events_make_of_it_is_equal(tmp_path: Path) -> None:
    made = minute(0, **LEVELS | {"bikes_available": 58}, departures=1, arrivals=2)
    assert counts(found_in(in_lake(a_minutes_events(tmp_path), minutes=[made]), minutes_equal_events)) == (1, 0)


@pytest.mark.parametrize("change", [{"departures": 2}, {"arrivals": 0}, {"bikes_available": 18}, {"saturation": None},
                                    {"ebikes_available": 0}, {"closed": 1}], ids=str)  # fmt: skip
def test_a_minute_of_which_a_column_is_wrong_is_told_with_it(tmp_path: Path, change: Row) -> None:
    made = minute(0, **LEVELS | {"bikes_available": 58, "departures": 1, "arrivals": 2} | change)
    (bad,) = found_in(in_lake(a_minutes_events(tmp_path), minutes=[made]), minutes_equal_events).first_bad
    assert bad["differs"] == next(iter(change))


def test_a_minute_too_few_and_one_too_many_are_told(tmp_path: Path) -> None:
    lake = in_lake(a_minutes_events(tmp_path), minutes=[minute(1, **LEVELS)])
    found = found_in(lake, minutes_equal_events)
    assert [bad["differs"] for bad in found.first_bad] == ["it is not there", "no good poll"]


@pytest.mark.parametrize(("is_complete", "last", "bad"), [
    (False, MONDAY, 0), (False, MONDAY + DAY, 1), (True, MONDAY, 1),
], ids=["that went on", "that a later run looks at", "that was over"])  # fmt: skip
def test_only_a_day_west_of_utc_that_went_on_when_it_was_built_may_lack_what_was_fetched_since(
    tmp_path: Path, is_complete: bool, last: date, bad: int
) -> None:
    evening = poll(fetched_at=MIDNIGHT + DAY + HOUR)
    write_messages(tmp_path, EVENTS_POLLS, poll(fetched_at=MIDNIGHT + DAY / 2), evening)
    write(tmp_path, DIM_SYSTEM, [{"system_id": "oslo", "timezone": "America/New_York"}])
    built_before = service(MONDAY, good_share=0.0, longest_gap_s=16 * 3600.0, polls=1, polls_ok=1)
    write(tmp_path, SYSTEM_SERVICE_DAY, [built_before | {"is_complete": is_complete}])
    found = found_in(tmp_path, service_days_equal_polls, first=MONDAY, last=last)
    assert sum(row["local_date"] == str(MONDAY) for row in found.first_bad) == bad


@pytest.mark.parametrize(("hours", "is_there"), [((1, 2, 3), False), ((1, 2, 5), True), ((5, 6, 7), True)])
def test_a_week_after_fetches_of_which_some_are_in_it_the_day_must_be_there(
    tmp_path: Path, hours: tuple[int, ...], is_there: bool
) -> None:
    for each in hours:  # the week before that day begins at four, in UTC
        write_messages(tmp_path, EVENTS_POLLS, poll(fetched_at=MIDNIGHT + each * HOUR))
    write(tmp_path, DIM_SYSTEM, [{"system_id": "oslo", "timezone": "America/New_York"}])
    day = MONDAY + 7 * DAY
    assert counts(found_in(tmp_path, service_days_equal_polls, first=day, last=day)) == (is_there, is_there)
