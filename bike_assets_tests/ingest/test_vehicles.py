"""Vehicles' events, against a plain reading of the same polls; and that all of each poll can be rebuilt from them."""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bike_assets.ingest.memory import SystemMemory, VehicleMemory
from bike_assets.ingest.vehicles import detect_vehicles, has_changed, has_moved, metres_between
from bike_assets.model import topics
from bike_assets.model.answers import Answer, VehiclePoll
from bike_assets.model.messages import EventKind, VehicleStatus, VehicleTotals
from bike_assets.model.readings import VehicleReading
from bike_assets_tests.ingest.builders import after, taken
from bike_assets_tests.ingest.stand_in import Fate, StandInKafka, replay
from bike_assets_tests.model.builders import NOON, vehicle_reading
from bike_assets_tests.sources.builders import answer, gbfs

METRE = 1 / 111_195
"""Of latitude, in degrees."""

Listed = dict[str, VehicleReading]


class Polled(NamedTuple):
    """A good poll: what it lists, None for a 304."""

    at: datetime
    listed: Listed | None


READINGS = st.builds(
    VehicleReading,
    st.sampled_from(["ebike", "bike"]), st.sampled_from([None, "7"]),
    st.integers(0, 6).map(lambda steps: 48 + steps * 10 * METRE), st.just(-4.5), st.booleans(), st.booleans(),
    st.none() | st.integers(0, 12).map(lambda steps: steps * 2.0), st.none() | st.integers(0, 9).map(float),
) | st.builds(
    VehicleReading, st.none(), st.sampled_from(["7", "8"]), st.none(), st.none(), st.booleans(), st.booleans(),
    st.none() | st.just(50.0), st.none(),
)  # fmt: skip
LISTS = st.dictionaries(st.sampled_from("abcd"), READINGS, max_size=4)


@st.composite
def histories(draw: st.DrawFn) -> list[Polled]:
    """Good polls, from seconds to a day and more apart; the first has a body."""
    steps = draw(st.lists(st.tuples(st.sampled_from([1, 20, 900, 5_000, 90_000]), st.none() | LISTS), max_size=12))
    at, polls = NOON, [Polled(NOON, draw(LISTS))]
    for seconds, listed in steps:
        at += timedelta(seconds=seconds)
        polls.append(Polled(at, listed))
    return polls


def detected(polls: Iterable[Polled]) -> tuple[list[VehicleStatus], list[VehicleTotals]]:
    memory = VehicleMemory()
    events, totals = [], []
    for at, listed in polls:
        found = detect_vehicles("town", memory, None if listed is None else VehiclePoll(listed, at, len(listed)), at)
        events += found.events
        assert found.totals is not None
        totals.append(found.totals)
        assert set(found.touched) <= memory.known.keys(), "what is touched is stored"
        assert not set(found.forgotten) & memory.known.keys()
    return events, totals


def hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def rebuilt(events: Iterable[VehicleStatus], at: datetime) -> dict[str, VehicleStatus]:
    """All vehicles at an instant, from the events of its UTC hour alone."""
    last = {event.vehicle_id: event for event in events if hour(at) <= event.observed_at <= at}
    return {vehicle_id: event for vehicle_id, event in last.items() if event.kind is not EventKind.ABSENT}


def lists_of(polls: Iterable[Polled]) -> list[tuple[datetime, Listed]]:
    """What each poll lists, a 304 what the one before it did."""
    listed: Listed = {}
    found = []
    for at, now in polls:
        listed = listed if now is None else now
        found.append((at, listed))
    return found


def told(event: VehicleStatus) -> VehicleReading:
    return VehicleReading(*(getattr(event, name) for name in VehicleReading._fields))


@settings(max_examples=300, deadline=None)
@given(histories())
def test_each_polls_full_set_is_rebuilt_from_the_events_of_its_hour(polls: list[Polled]) -> None:
    events, _ = detected(polls)
    for at, listed in lists_of(polls):
        there = rebuilt(events, at)
        assert there.keys() == listed.keys()
        for vehicle_id, event in there.items():
            said, now = told(event), listed[vehicle_id]
            assert (said.vehicle_type, said.station_id, said.is_reserved, said.is_disabled) == (
                now.vehicle_type, now.station_id, now.is_reserved, now.is_disabled
            )  # fmt: skip
            assert (said.lat is None, said.battery_pct is None) == (now.lat is None, now.battery_pct is None)
            if said.lat is not None and now.lat is not None:
                assert abs(said.lat - now.lat) <= 25 * METRE
            if said.battery_pct is not None and now.battery_pct is not None:
                assert abs(said.battery_pct - now.battery_pct) < 5


@settings(max_examples=300, deadline=None)
@given(histories())
def test_every_event_has_its_reason(polls: list[Polled]) -> None:
    """A change differs from the vehicle's event before, or is its first or the first after an absence; a keyframe
    repeats the event before it in the hour's first poll; an absence follows an event that is none.
    """
    events, _ = detected(polls)
    firsts = {hour(at): at for at, _ in reversed(polls)}
    last: dict[str, VehicleStatus] = {}
    keys = [(event.vehicle_id, event.observed_at) for event in events]
    assert len(set(keys)) == len(keys)
    for event in events:
        before = last.get(event.vehicle_id)
        gone = before is None or before.kind is EventKind.ABSENT
        if event.kind is EventKind.CHANGE:
            assert gone or has_changed(told(before), told(event))  # type: ignore[arg-type]
        elif event.kind is EventKind.KEYFRAME:
            assert not gone
            assert before is not None
            assert (told(event), event.stands_since) == (told(before), before.stands_since)
            assert firsts[hour(event.observed_at)] == event.observed_at
        else:
            assert not gone
            assert (told(event), event.stands_since) == (VehicleReading(*[None] * 8), None)  # type: ignore[arg-type]
        last[event.vehicle_id] = event


@settings(max_examples=300, deadline=None)
@given(histories())
def test_totals_are_those_of_the_rebuilt_set(polls: list[Polled]) -> None:
    events, totals = detected(polls)
    assert [each.observed_at for each in totals] == [at for at, _ in polls]
    for each in totals:
        there = rebuilt(events, each.observed_at).values()
        free = [one for one in there if not one.is_reserved and not one.is_disabled]
        batteries = [one.battery_pct for one in there if one.battery_pct is not None]
        best = sorted((-one.battery_pct, one.vehicle_id) for one in free if one.battery_pct is not None)[:3]
        assert each == VehicleTotals(
            system_id="town", observed_at=each.observed_at, vehicles=len(there), available=len(free),
            reserved=sum(one.is_reserved is True for one in there),
            disabled=sum(one.is_disabled is True for one in there),
            abandoned=sum(stood(one, each.observed_at) >= timedelta(hours=24) for one in there),
            low_battery=sum(battery < 20 for battery in batteries),
            medium_battery=sum(20 <= battery < 60 for battery in batteries),
            high_battery=sum(battery >= 60 for battery in batteries),
            top_charged=json.dumps([{"vehicle_id": id_, "battery_pct": -minus} for minus, id_ in best])
            if best else None,
        )  # fmt: skip


def stood(event: VehicleStatus, at: datetime) -> timedelta:
    assert event.stands_since is not None
    return at - event.stands_since


def test_a_vehicle_stands_since_it_last_moved_whatever_else_changed() -> None:
    steps = [
        vehicle_reading(), vehicle_reading(is_reserved=True),
        *(vehicle_reading(lat=59.91 + metres * METRE, battery_pct=50.0) for metres in (20, 40, 46)),
    ]  # fmt: skip
    polls = [Polled(after(minutes=n), {"a": each}) for n, each in enumerate(steps)]
    events, _ = detected(polls)
    assert [event.stands_since for event in events] == [NOON, NOON, NOON, after(minutes=4)]
    assert [event.observed_at for event in events] == [after(minutes=n) for n in (0, 1, 2, 4)]


def test_an_id_that_is_gone_and_back_is_another_vehicle_to_us() -> None:
    polls = [Polled(NOON, {"a": vehicle_reading()}), Polled(after(minutes=1), {}),
             Polled(after(minutes=2), {"a": vehicle_reading()})]
    events, _ = detected(polls)
    assert [(event.kind, event.stands_since) for event in events] == [
        ("change", NOON), ("absent", None), ("change", after(minutes=2))]


def test_what_is_gone_is_told_once_and_takes_no_memory() -> None:
    """A thousand rentals, each under a new id."""
    memory = VehicleMemory()
    events = 0
    for n in range(1_000):
        at = NOON + timedelta(minutes=10 * n)
        found = detect_vehicles("town", memory, VehiclePoll({f"id {n}": vehicle_reading()}, at, 1), at)
        events += len(found.events)
        assert len(memory.known) == 1
    assert events == 1_999, "each appears once and is missed once"


def test_a_battery_is_taken_from_the_range_where_only_that_is_given_and_the_type_is_known() -> None:
    memory = VehicleMemory(ranges_m={"ebike": 50_000.0})
    listed = {
        "a": vehicle_reading(battery_pct=None, range_m=20_000.0),
        "b": vehicle_reading(battery_pct=None, range_m=70_000.0),
        "c": vehicle_reading(battery_pct=12.0, range_m=20_000.0),
        "d": vehicle_reading(battery_pct=None, range_m=20_000.0, vehicle_type="scooter"),
    }
    found = detect_vehicles("town", memory, VehiclePoll(listed, NOON, 4), NOON)
    assert {event.vehicle_id: event.battery_pct for event in found.events} == {
        "a": 40.0, "b": 100.0, "c": 12.0, "d": None}


@pytest.mark.parametrize(
    ("changes", "is_event"),
    [
        ({}, False),
        ({"is_reserved": True}, True),
        ({"is_disabled": True}, True),
        ({"station_id": "7"}, True),
        ({"vehicle_type": "bike"}, True),
        ({"lat": 59.91 + 24 * METRE}, False),
        ({"lat": 59.91 + 26 * METRE}, True),
        ({"battery_pct": 75.1}, False),
        ({"battery_pct": 75.0}, True),
        ({"battery_pct": None}, True),
        ({"range_m": 1.0}, False),
        ({"lat": None, "lon": None, "station_id": "7"}, True),
    ],
)
def test_what_an_event_is(changes: dict[str, Any], is_event: bool) -> None:
    assert has_changed(vehicle_reading(), vehicle_reading(**changes)) is is_event


def test_without_a_battery_the_range_tells() -> None:
    before = vehicle_reading(battery_pct=None, range_m=20_000.0)
    found = [has_changed(before, before._replace(range_m=metres)) for metres in (20_000.0, 19_100.0, 19_000.0, None)]
    assert found == [False, False, True, True]


def test_a_slow_drift_is_seen_once_it_has_come_to_a_change() -> None:
    polls = [Polled(after(minutes=n), {"a": vehicle_reading(battery_pct=80.0 - n)}) for n in range(12)]
    events, _ = detected(polls)
    assert [event.battery_pct for event in events] == [80.0, 75.0, 70.0]


def test_distances_are_those_of_the_globe_also_at_the_date_line() -> None:
    assert metres_between(0, 179.9999, 0, -179.9999) == pytest.approx(22.2, abs=0.1)
    assert metres_between(60, 10, 60, 11) == pytest.approx(55_597, rel=1e-3)
    assert not has_moved(vehicle_reading(lat=0.0, lon=179.9999), vehicle_reading(lat=0.0, lon=-179.9999))


# ---- whole answers -------------------------------------------------------------------------------------------------

def row(vehicle_id: str, reading: VehicleReading) -> dict[str, Any]:
    given = {
        "bike_id": vehicle_id, "vehicle_type_id": reading.vehicle_type, "station_id": reading.station_id,
        "lat": reading.lat, "lon": reading.lon, "is_reserved": reading.is_reserved,
        "is_disabled": reading.is_disabled, "current_range_meters": reading.range_m,
        "current_fuel_percent": None if reading.battery_pct is None else reading.battery_pct / 100,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def polled(at: datetime, listed: Mapping[str, VehicleReading] | None, **changes: Any) -> Answer:
    """An answer; None is a 304."""
    if listed is None:
        return replace(answer("gbfs.free_bike_status", None, "town"), fetched_at=at, http_status=304)
    body = gbfs({"bikes": [row(*each) for each in listed.items()]}, **({"last_updated": int(at.timestamp())} | changes))
    return replace(answer("gbfs.free_bike_status", body, "town"), fetched_at=at)


def committed(kafka: StandInKafka) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Events and totals, in the order in which they were written."""
    return kafka.rows(topics.VEHICLE_STATUS), kafka.rows(topics.VEHICLE_TOTALS)


@settings(max_examples=100, deadline=None)
@given(histories(), st.lists(st.integers(0, 12), max_size=4), st.lists(st.sampled_from(Fate), max_size=6))
def test_restarts_and_failed_commits_anywhere_change_nothing(
    polls: list[Polled], cuts: list[int], fates: list[Fate]
) -> None:
    answers = [polled(*each) for each in polls]
    whole, pieces = StandInKafka(), StandInKafka(fates)
    replay(whole, answers)
    places = [0, *sorted(cuts), len(answers)]
    for start, end in itertools.pairwise(places):
        replay(pieces, answers[start:end])
    replay(pieces, answers)
    assert committed(pieces) == committed(whole)
    events, totals = committed(whole)
    assert len(events) == sum(poll["events"] for poll in whole.rows(topics.POLLS))
    good = [poll["fetched_at"] for poll in whole.rows(topics.POLLS) if poll["outcome"] in ("ok", "not_modified")]
    assert [each["observed_at"] for each in totals] == good


def outcomes(*answers: Answer) -> list[tuple[str, int]]:
    memory = SystemMemory("town")
    return [(str(poll.outcome), poll.events) for poll in (taken(memory, each).poll for each in answers)]


def test_a_304_confirms_only_what_is_known() -> None:
    one = {"a": vehicle_reading()}
    found = outcomes(polled(NOON, None), polled(after(minutes=1), one), polled(after(minutes=2), None))
    assert found == [("invalid", 0), ("ok", 1), ("not_modified", 0)]


def test_an_empty_list_says_that_all_are_ridden_and_a_list_of_bad_rows_says_nothing() -> None:
    one = {"a": vehicle_reading()}
    bad = polled(after(minutes=1), {"": vehicle_reading()})
    assert outcomes(polled(NOON, one), bad, polled(after(minutes=2), {})) == [("ok", 1), ("invalid", 0), ("ok", 1)]


def test_vehicles_have_a_clock_of_their_own() -> None:
    """A body older than the one before is stale, and no other feed's time has a say in it."""
    one = {"a": vehicle_reading()}
    old = polled(after(minutes=1), {}, last_updated=int(after(minutes=-1).timestamp()))
    assert outcomes(polled(NOON, one), old, polled(after(minutes=2), one)) == [("ok", 1), ("stale", 0), ("ok", 0)]


def test_types_that_become_known_give_the_batteries_and_survive_a_restart() -> None:
    kafka = StandInKafka()
    types = gbfs({"vehicle_types": [
        {"vehicle_type_id": "ebike", "propulsion_type": "electric", "max_range_meters": 50_000}]})
    one = {"a": vehicle_reading(battery_pct=None)}
    told_types = replace(answer("gbfs.vehicle_types", types, "town"), fetched_at=after(minutes=1))
    for each in (polled(NOON, one), told_types, polled(after(minutes=2), one), polled(after(minutes=3), one)):
        replay(kafka, [each])
    events, _ = committed(kafka)
    assert [(event["observed_at"], event["battery_pct"]) for event in events] == [
        (NOON, None), (after(minutes=2), 80.0)]
