"""What the page says of vehicles is what the poller counted of them, by the messages that it commits."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from bike_assets.dashboard import fleets
from bike_assets.dashboard.fleets import Abandoned, Charged, FleetGone, FleetRecord, Fleets, FleetUpdate
from bike_assets.dashboard.live import Forgotten, LiveState, changes
from bike_assets.ingest.memory import SystemMemory
from bike_assets.ingest.records import Record
from bike_assets.model import topics
from bike_assets.model.messages import VehicleTotals
from bike_assets_tests.dashboard.builders import NOON, fleet_polled, station, vehicle
from bike_assets_tests.ingest.builders import taken
from bike_assets_tests.ingest.test_vehicles import Polled, histories, polled

COUNTS = ("vehicles", "available", "reserved", "disabled", "abandoned", "low_battery", "medium_battery", "high_battery")


def put(state: Fleets, records: Iterable[Record]) -> None:
    for record in records:
        if record.topic is topics.VEHICLE_STATE:
            if record.value is None:
                state.forget(record.key)
            else:
                state.put(msgspec.json.decode(record.value, type=topics.VEHICLE_STATE.kind_of(record.key)))


@settings(max_examples=150, deadline=None)
@given(histories())
def test_each_polls_counts_are_those_that_the_poller_committed(polls: list[Polled]) -> None:
    memory, state = SystemMemory("town"), Fleets()
    for each in polls:
        records = taken(memory, polled(*each)).records
        put(state, records)
        state.settle()
        for record in records:
            if record.topic is topics.VEHICLE_TOTALS:
                totals = msgspec.json.decode(record.value or b"", type=VehicleTotals)
                shown = state.records["town"]
                assert [getattr(shown, name) for name in COUNTS] == [getattr(totals, name) for name in COUNTS]
                best = [msgspec.structs.asdict(one) for one in shown.best_charged]
                assert best == json.loads(totals.top_charged or "[]")
                assert shown.last_good_poll_at == totals.observed_at.timestamp() * 1000


def shown(*messages: Any) -> FleetRecord:
    state = Fleets()
    for message in messages:
        state.put(message)
    [record] = state.settle()
    assert isinstance(record, FleetRecord)
    return record


def days_ago(days: float) -> datetime:
    return NOON - timedelta(days=days)


def test_the_abandoned_are_named_with_their_places_those_that_stand_for_longest_first(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleets, "LONGEST", 2)
    found = shown(
        vehicle("a", stands_since=days_ago(1)),
        vehicle("b", stands_since=days_ago(9), station_id="7", lat=None, lon=None),
        vehicle("c", stands_since=days_ago(3), lat=59.9, lon=10.7),
        vehicle("d", stands_since=days_ago(0.99)),
        fleet_polled(),
    )
    ms = [round(days_ago(days).timestamp() * 1000) for days in (9, 3)]
    assert found.abandoned == 3
    assert found.longest_abandoned == [Abandoned("b", "7", None, None, ms[0]), Abandoned("c", None, 59.9, 10.7, ms[1])]


def test_the_best_charged_are_three_that_can_be_taken() -> None:
    batteries = {"a": 50.0, "b": 99.0, "c": 99.0, "d": None, "e": 20.0}
    found = shown(*(vehicle(name, battery_pct=pct) for name, pct in batteries.items()),
                  vehicle("x", battery_pct=100.0, is_reserved=True), fleet_polled())  # fmt: skip
    assert found.best_charged == [Charged("b", 99.0), Charged("c", 99.0), Charged("a", 50.0)]
    assert (found.low_battery, found.medium_battery, found.high_battery, found.vehicles) == (0, 2, 3, 6)


def test_vehicles_are_told_once_a_poll_and_not_before_its_end() -> None:
    state = Fleets()
    state.put(vehicle("a"))
    assert state.settle() == []
    state.put(fleet_polled())
    assert [each.key for each in state.settle()] == ["oslo"]
    state.put(fleet_polled())
    assert state.settle() == [], "the same again is nothing new"


def test_a_vehicle_that_is_gone_is_counted_no_more_and_so_is_a_system() -> None:
    state = Fleets()
    told: list[FleetUpdate] = []
    later = fleet_polled(at=NOON + timedelta(minutes=1))
    for message in (vehicle("a"), vehicle("b"), fleet_polled(), "oslo/a", later, "oslo"):
        if isinstance(message, str):
            state.forget(message)
        else:
            state.put(message)
        told += state.settle()
    assert [each.vehicles if isinstance(each, FleetRecord) else each for each in told] == [2, 1, FleetGone("oslo")]
    assert state.records == {}


def test_a_system_that_was_never_polled_for_vehicles_has_none() -> None:
    state = Fleets()
    state.put(fleet_polled(at=None))
    assert (state.settle(), state.records) == ([], {})


def test_the_live_state_parts_vehicles_from_stations_of_the_same_key() -> None:
    state = LiveState()
    assert [state.apply(each) for each in (vehicle("1"), fleet_polled())] == [None, None]
    state.apply(station("1"))
    sent = changes(state.settle())
    assert (len(sent.fleets), sent.stations, bool(sent), bool(changes([]))) == (1, [], True, False)
    assert state.apply(Forgotten("vehicle_state", "oslo/1")) is None
    snapshot = state.snapshot()
    assert ([each.key for each in snapshot.stations], [each.vehicles for each in snapshot.fleets]) == (["oslo/1"], [1])
    state.apply(Forgotten("vehicle_state", "oslo"))
    assert changes(state.settle()).fleets_gone == ["oslo"]


def test_a_hundred_thousand_vehicles_are_all_counted() -> None:
    state = Fleets()
    for number in range(100_000):
        state.put(vehicle(str(number), stands_since=days_ago(2), battery_pct=50.0))
    state.put(fleet_polled())
    [record] = state.settle()
    assert isinstance(record, FleetRecord)
    assert record.abandoned == 100_000
