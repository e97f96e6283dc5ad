"""What a feed changed without a word is found by the fields of its bodies, and nothing else is taken for it."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bike_assets.ingest.memory import SystemMemory, recall
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.recordings import read_recording
from bike_assets.ingest.records import take
from bike_assets.lake.duck import ask, connect
from bike_assets.model import topics
from bike_assets.model.answers import Answer
from bike_assets.model.messages import FeedField, SystemState
from bike_assets.model.tables import EVENTS_FEED_FIELDS, EVENTS_POLLS
from bike_assets.quality.drift import feeds_do_not_drift
from bike_assets.quality.found import Found
from bike_assets.simulator import faults, jcdecaux
from bike_assets.simulator import gbfs as simulated_gbfs
from bike_assets.simulator.city import City, Habits
from bike_assets.simulator.seeds import city_from_recording
from bike_assets.sources.shapes import shape_of
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, poll
from bike_assets_tests.simulator.builders import MORNING, QUIET, city, station
from bike_assets_tests.sources.builders import (
    NOON_S,
    NOON_TEXT,
    RECORDINGS,
    body_of,
    gbfs,
    jcdecaux_row,
    status_row,
    v3_status_row,
)

Change = Callable[[dict[str, Any]], object]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONDAY = NOON.date()
HOURS = 30
"""So many hourly bodies come before a drift, and as many half after it."""

DESCRIBED = {"station_id": "a", "name": "A", "lat": 59.91, "lon": 10.73, "capacity": 20}
VEHICLE = {"vehicle_id": "v", "lat": 59.91, "lon": 10.73, "current_fuel_percent": 0.6, "current_range_meters": 14_000}
TYPE = {"vehicle_type_id": "bike", "form_factor": "bicycle", "propulsion_type": "human"}


def of_stations(row: dict[str, Any]) -> bytes:
    return gbfs({"stations": [row | {"station_id": str(n)} for n in range(5)]})


def of_stations_v3(row: dict[str, Any]) -> bytes:
    return gbfs({"stations": [row | {"station_id": str(n)} for n in range(5)]}, version="3.0", last_updated=NOON_TEXT)


def of_vehicles(row: dict[str, Any]) -> bytes:
    return gbfs({"vehicles": [row | {"vehicle_id": str(n)} for n in range(5)]}, version="3.0", last_updated=NOON_TEXT)


def of_types(row: dict[str, Any]) -> bytes:
    return gbfs({"vehicle_types": [row]})


def of_contract(row: dict[str, Any]) -> bytes:
    return body_of([row | {"number": n} for n in range(5)])


def told(lake: Path, feed: str, bodies: Iterable[bytes], system_id: str = "oslo") -> None:
    """The fields of a body an hour from NOON on, as the poller tells them."""
    fields = [each for n, body in enumerate(bodies) for each in shape_of(body, system_id, feed, NOON + n * HOUR)]
    assert fields
    write_messages(lake, EVENTS_FEED_FIELDS, *fields)


def drifted(lake: Path, first: date | None = None, last: date | None = None) -> Found:
    return feeds_do_not_drift(connect(lake), first, last)


def shown(found: Found) -> set[tuple[str, str, str, str]]:
    return {(row["path"], row["drift"], row["before"], row["now"]) for row in found.first_bad}


def set_to(**values: Any) -> Change:
    return lambda row: row.update(values)


def without(*names: str) -> Change:
    return lambda row: [row.pop(name) for name in names]


def swapped(row: dict[str, Any]) -> None:
    row["lat"], row["lon"] = row["lon"], row["lat"]


ROW, PLACE, CAR = "data.stations[]", "data.stations[]", "data.vehicles[]"
DRIFTS: dict[str, tuple[Callable[[dict[str, Any]], bytes], dict[str, Any], Change, set[tuple[str, str, str, str]]]] = {
    "a field that disappears": (
        of_stations, status_row(), without("is_returning"),
        {(f"{ROW}.is_returning", "gone", "given by 100 %", "given by 0 %")}),
    "a field that becomes null": (
        of_stations, status_row(), set_to(last_reported=None),
        {(f"{ROW}.last_reported", "gone", "given by 100 %", "given by 0 %")}),
    "a field that gets another name": (
        of_contract, jcdecaux_row(), lambda row: row.update(available=row.pop("available_bikes")),
        {("[].available_bikes", "gone", "given by 100 %", "given by 0 %")}),
    "an object that disappears is told once, not with all that was in it": (
        of_contract, jcdecaux_row(), without("position"), {("[].position", "gone", "given by 100 %", "given by 0 %")}),
    "a new enum value": (
        of_contract, jcdecaux_row(), set_to(status="HOVERING"), {("[].status", "word", "OPEN", "HOVERING")}),
    "a new enum value of a type": (
        of_types, TYPE, set_to(propulsion_type="steam"),
        {("data.vehicle_types[].propulsion_type", "word", "human", "steam")}),
    "times from seconds to milliseconds": (
        of_stations, status_row(), set_to(last_reported=NOON_S * 1000),
        {(f"{ROW}.last_reported", "unit", f"median {NOON_S}", f"median {NOON_S}000")}),
    "times from milliseconds to seconds": (
        of_contract, jcdecaux_row(), set_to(last_update=NOON_S),
        {("[].last_update", "unit", f"median {NOON_S}000", f"median {NOON_S}")}),
    "times from numbers to texts": (
        of_stations, status_row(), set_to(last_reported=NOON_TEXT),
        {(f"{ROW}.last_reported", "type", "number", "time")}),
    "times that lose their zone": (
        of_stations_v3, v3_status_row(), set_to(last_reported="2026-06-01 12:00:00"),
        {(f"{ROW}.last_reported", "type", "time", "text")}),
    "numbers that become texts": (
        of_stations, status_row(), set_to(num_docks_available="9"),
        {(f"{ROW}.num_docks_available", "type", "number", "text")}),
    "a battery from 0-1 to 0-100": (
        of_vehicles, VEHICLE, set_to(current_fuel_percent=60),
        {(f"{CAR}.current_fuel_percent", "unit", "median 0.6", "median 60")}),
    "a distance from m to km": (
        of_vehicles, VEHICLE, set_to(current_range_meters=14),
        {(f"{CAR}.current_range_meters", "unit", "median 14000", "median 14")}),
    "a latitude and a longitude that are swapped": (
        of_stations, DESCRIBED, swapped,
        {(f"{PLACE}.lat", "swapped", "median 59.91", "median 10.73"),
         (f"{PLACE}.lon", "swapped", "median 10.73", "median 59.91")}),
    "a capacity of another scale": (
        of_stations, DESCRIBED, set_to(capacity=200), {(f"{PLACE}.capacity", "unit", "median 20", "median 200")}),
}  # fmt: skip
"""How a body is made of a row, the row, what becomes of it, and what is told."""


@pytest.mark.parametrize("name", DRIFTS)
def test_each_drift_is_told_with_its_first_and_last_occurrence(name: str, tmp_path: Path) -> None:
    body, row, change, expected = DRIFTS[name]
    before, now = body(row), dict(row)
    change(now)
    told(tmp_path, "a_feed", [before] * HOURS + [body(now)] * 3 + [before] * 2)
    told(tmp_path, "a_feed", [before] * (HOURS + 5), "bergen")
    polls = [poll(feed="a_feed", fetched_at=NOON + n * HOUR / 2) for n in range(2 * HOURS + 10)]
    write_messages(tmp_path, EVENTS_POLLS, *polls)
    found = drifted(tmp_path)
    assert shown(found) == expected
    for row in found.first_bad:
        assert (row["system_id"], row["feed"], row["bodies"], row["polls"]) == ("oslo", "a_feed", 3, 5)
        instants = [datetime.fromisoformat(row[each]) for each in ("before_at", "first_at", "last_at")]
        assert instants == [NOON + (HOURS + n) * HOUR for n in (-1, 0, 2)]
    assert (found.checked > 0, found.bad) == (True, len(expected))
    assert len(ask(tmp_path, found.query).rows) == found.bad


# what is no drift


BUSY = Habits(riders_per_hour=60, vans_per_hour=2, closures_per_hour=1, vanishings_per_hour=1)
KINDS = ("jcdecaux v1", "jcdecaux v3", "gbfs 1.0", "gbfs 2.3", "gbfs 3.0")
FEEDS = ("gbfs", "system_information", "vehicle_types", "station_information", "station_status")
FAULTY = sorted(faults.FAULTS - faults.ANSWERS.keys() - {faults.FROZEN})
"""An answer of which no body comes has no field, and one that is repeated has the same."""


def town(habits: Habits = QUIET) -> City:
    return city([station(str(n), bikes=n % 8, ebikes=min(n % 3, n % 8), capacity=8 + n) for n in range(1, 25)], habits)


def bodies(kind: str, town: City, fault: str = "") -> Iterator[tuple[str, bytes]]:
    """All files of a version, by their feed."""
    family, version = kind.split()
    if family == "jcdecaux":
        rows = faults.of_rows(fault, jcdecaux.stations(town, version))
        yield f"jcdecaux.{version}.stations", faults.of_body(fault, faults.as_meant(jcdecaux.body(rows)))
        return
    for name in FEEDS:
        body = simulated_gbfs.feed(town, name, "http://127.0.0.1:1", 60, version)
        if body is not None:
            yield f"gbfs.{name}", faults.of_body(fault, faults.of_feed(fault, body))


def hours(memory: SystemMemory, kind: str, town: City, count: int, fault: str = "") -> list[FeedField]:
    """What the poller tells of so many hours from the town's now on, in which it asks three times an hour."""
    found = []
    for _ in range(3 * count):
        at = MORNING + timedelta(milliseconds=town.now_ms - int(MORNING.timestamp() * 1000)) + HOUR / 3
        town.advance(at)
        for order, (feed, body) in enumerate(bodies(kind, town, fault)):
            found += fields_of(memory, answer_of(feed, body, at + timedelta(milliseconds=order)))
    return found


def answer_of(feed: str, body: bytes, at: datetime) -> Answer:
    return Answer("town", feed, at, "request", http_status=200, body=body, seconds=0.1)


def fields_of(memory: SystemMemory, answer: Answer) -> list[FeedField]:
    """The fields that the poller writes of an answer."""
    records = take(memory, answer, Profile(timezone="UTC")).records
    return [msgspec.json.decode(record.value or b"", type=FeedField)
            for record in records if record.topic is topics.FEED_FIELDS]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_three_days_of_a_busy_city_hold_no_drift(kind: str, tmp_path: Path) -> None:
    fields = hours(SystemMemory("town"), kind, town(BUSY), 72)
    assert len({field.fetched_at for field in fields if field.feed == "station_status"}) in {72, 73}
    write_messages(tmp_path, EVENTS_FEED_FIELDS, *fields)
    assert drifted(tmp_path).first_bad == []


@pytest.mark.parametrize("recording", sorted(RECORDINGS.glob("*.xz")), ids=lambda path: path.name)
def test_the_real_recordings_hold_no_drift(recording: Path, tmp_path: Path) -> None:
    memory = SystemMemory("any")
    fields = [field for answer in read_recording(recording) for field in fields_of(memory, answer)]
    assert len({field.fetched_at for field in fields}) > 12
    write_messages(tmp_path, EVENTS_FEED_FIELDS, *fields)
    found = drifted(tmp_path)
    assert (found.checked, found.first_bad) == (len(fields), [])


@pytest.mark.parametrize("recording", sorted(RECORDINGS.glob("*.xz")), ids=lambda path: path.name)
def test_the_demos_cities_go_on_as_they_were_recorded(recording: Path, tmp_path: Path) -> None:
    answers = list(read_recording(recording))
    memory, last_at = SystemMemory("any"), answers[-1].fetched_at
    fields = [field for answer in answers for field in fields_of(memory, answer)]
    going_on = city_from_recording(recording, 1, last_at)
    kind = "jcdecaux v1" if "jcdecaux" in recording.name else "gbfs 2.3"
    for hour in range(1, 7):
        going_on.advance(last_at + hour * HOUR)
        for feed, body in bodies(kind, going_on):
            fields += fields_of(memory, answer_of(feed, body, last_at + hour * HOUR))
    write_messages(tmp_path, EVENTS_FEED_FIELDS, *fields)
    assert len({field.fetched_at for field in fields if field.fetched_at > last_at}) == 6
    assert drifted(tmp_path).first_bad == []


IN_TEXT = ("jcdecaux v3", "gbfs 3.0")
DRIFTING: dict[str, dict[str, str]] = {
    "unknown_enum": dict.fromkeys(("jcdecaux v1", "jcdecaux v3", "gbfs 2.3", "gbfs 3.0"), "word"),
    "feed_time_null": dict.fromkeys(KINDS, "gone"),
    "feed_time_negative": dict.fromkeys(KINDS, "unit") | dict.fromkeys(IN_TEXT, "type"),
    "feed_time_in_seconds": {"jcdecaux v1": "unit"} | dict.fromkeys(IN_TEXT, "type"),
    "feed_time_in_milliseconds": dict.fromkeys(("gbfs 1.0", "gbfs 2.3"), "unit") | dict.fromkeys(IN_TEXT, "type"),
    "feed_time_as_text": dict.fromkeys(KINDS, "type"),
}
"""Faults of the simulator that change what a feed is like, and as what they are told, by kind."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTY)
def test_no_fault_is_taken_for_a_drift_that_is_none(fault: str, kind: str, tmp_path: Path) -> None:
    memory, place = SystemMemory("town"), town()
    fields = hours(memory, kind, place, 6)
    began_at = MORNING + 6 * HOUR
    fields += hours(memory, kind, place, 2, fault)
    write_messages(tmp_path, EVENTS_FEED_FIELDS, *fields)
    found = drifted(tmp_path)
    expected = DRIFTING.get(fault, {}).get(kind)
    assert {row["drift"] for row in found.first_bad} == ({expected} if expected else set()), found.first_bad
    for row in found.first_bad:
        late = datetime.fromisoformat(row["first_at"]) - began_at
        assert timedelta() < late < HOUR + timedelta(seconds=1), "an hour's first body tells"


# which bodies, which days


def test_the_first_two_bodies_of_a_feed_are_compared_with_nothing(tmp_path: Path) -> None:
    good, other = of_stations(status_row()), of_stations(status_row(last_reported=NOON_S * 1000))
    told(tmp_path, "a_feed", [good, other, good])
    assert drifted(tmp_path).bad == 0


def test_what_comes_back_each_night_is_no_drift_where_most_bodies_have_it(tmp_path: Path) -> None:
    """A reading at night that is much smaller than by day: a count has no unit."""
    day, night = of_stations(status_row()), of_stations(status_row(num_bikes_available=90, num_docks_available=1))
    told(tmp_path, "a_feed", ([day] * 16 + [night] * 8) * 3)
    assert drifted(tmp_path).bad == 0


def test_of_days_only_their_drifts_are_told_and_with_their_true_beginning(tmp_path: Path) -> None:
    before, after = of_stations(DESCRIBED), of_stations(DESCRIBED | {"capacity": 200})
    told(tmp_path, "a_feed", [before] * 60 + [after] * 60)
    began = NOON + 60 * HOUR
    for days, bodies in ((0, 0), (1, 0), (2, 0), (3, 24), (4, 48), (5, 60), (6, 0)):
        day = MONDAY + days * DAY
        found = drifted(tmp_path, day, day)
        assert [datetime.fromisoformat(row["first_at"]) for row in found.first_bad] == [began] * (bodies > 0)
        assert [row["bodies"] for row in found.first_bad] == [bodies] * (bodies > 0)
        assert len(ask(tmp_path, found.query).rows) == found.bad


def test_after_a_week_it_is_how_the_feed_is(tmp_path: Path) -> None:
    before, after = of_stations(DESCRIBED), of_stations(DESCRIBED | {"capacity": 200})
    told(tmp_path, "a_feed", [before] * 200 + [after] * 450)
    told_on = [day for day in range(28) if drifted(tmp_path, MONDAY + day * DAY, MONDAY + day * DAY).bad]
    assert told_on == list(range(8, 16))
    assert drifted(tmp_path).bad == 1


def test_a_word_that_another_feed_of_the_system_named_is_not_new(tmp_path: Path) -> None:
    types = gbfs({"vehicle_types": [TYPE, TYPE | {"vehicle_type_id": "cargo"}]})
    only, both = ({"vehicle_types_available": [{"vehicle_type_id": each, "count": 1} for each in ids]}
                  for ids in (["bike"], ["bike", "cargo"]))  # fmt: skip
    told(tmp_path, "vehicle_types", [types] * 20)
    told(tmp_path, "station_status", [of_stations(status_row(**only))] * 10 + [of_stations(status_row(**both))] * 5)
    assert drifted(tmp_path).bad == 0


def test_a_body_is_told_once_an_hour_whoever_polls() -> None:
    """Also by a poller that takes over: what was told is remembered with the system's state."""
    memory = SystemMemory("city")
    instants = [NOON + n * timedelta(minutes=7) for n in range(20)]
    found = [answer_of("gbfs.station_status", of_stations(status_row()), at) for at in instants]
    told_at = {field.fetched_at for answer in found for field in fields_of(memory, answer)}
    assert told_at == {NOON, NOON + timedelta(minutes=63), NOON + timedelta(minutes=126)}
    state = msgspec.json.decode(msgspec.json.encode(memory.as_state()), type=SystemState)
    recalled = recall([state], [], [])["city"] if state.system_id == "city" else None
    assert recalled is not None
    assert fields_of(recalled, answer_of("gbfs.station_status", b"[]", instants[-1] + timedelta(minutes=1))) == []
    assert recalled.shaped_at == {"station_status": NOON + timedelta(minutes=126)}


def test_a_body_without_any_field_leaves_the_hour_open() -> None:
    memory = SystemMemory("city")
    for minute, body in enumerate((b"<html>", b'{"error":"quota"}', b"[]", b'{"data":null}', b'{"data":[1]}')):
        assert fields_of(memory, answer_of("gbfs.station_status", body, NOON + minute * timedelta(minutes=1))) == []
    assert fields_of(memory, answer_of("gbfs.station_status", of_stations(status_row()), NOON + HOUR / 2))
