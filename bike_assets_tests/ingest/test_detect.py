"""A good poll becomes changes, keyframes and absences."""

from datetime import datetime

import pytest

from bike_assets.ingest import detect as detecting
from bike_assets.ingest.detect import Detected, describe, detect, detect_unmodified, forget_descriptions
from bike_assets.ingest.memory import SystemMemory
from bike_assets.model.answers import Description
from bike_assets.model.readings import Reading
from bike_assets_tests.ingest.builders import after, poll_of
from bike_assets_tests.model.builders import NOON, reading

PAIR = {"1": reading(), "2": reading(bikes_available=0)}


def city_at_noon() -> SystemMemory:
    memory = SystemMemory("town")
    detect(memory, poll_of(PAIR), NOON)
    return memory


def events(found: Detected) -> list[tuple[str, str]]:
    return sorted((event.station_id, str(event.kind)) for event in found.events)


def polled(memory: SystemMemory, readings: dict[str, Reading], at: datetime) -> Detected:
    return detect(memory, poll_of(readings, at), at)


def test_every_station_of_the_first_poll_is_a_change_without_a_before() -> None:
    found = detect(SystemMemory("town"), poll_of(PAIR), NOON)
    assert events(found) == [("1", "change"), ("2", "change")]
    assert {event.state_before for event in found.events} == {None}


def test_a_heartbeat_is_no_change() -> None:
    assert polled(city_at_noon(), PAIR, after(minutes=1)).events == []


def test_a_change_tells_what_was_before_it() -> None:
    [event] = polled(city_at_noon(), PAIR | {"1": reading(bikes_available=2)}, after(minutes=1)).events
    assert (event.bikes_available, event.bikes_before, event.state_before) == (2, 5, "available")
    assert event.state_since == NOON


def test_another_state_begins_with_its_poll() -> None:
    [event] = polled(city_at_noon(), PAIR | {"1": reading(bikes_available=0)}, after(minutes=1)).events
    assert (event.state, event.state_since) == ("empty", after(minutes=1))


def test_a_new_hour_has_keyframes_but_for_what_changed() -> None:
    found = polled(city_at_noon(), PAIR | {"1": reading(bikes_available=2)}, after(hours=1))
    assert events(found) == [("1", "change"), ("2", "keyframe")]
    assert found.touched == ["1"]


def test_the_same_hour_of_another_day_is_another_hour() -> None:
    assert events(polled(city_at_noon(), PAIR, after(days=1))) == [("1", "keyframe"), ("2", "keyframe")]


def test_a_304_brings_keyframes_with_the_report_of_the_last_change() -> None:
    memory = city_at_noon()
    polled(memory, PAIR, after(minutes=30))
    assert detect_unmodified(memory, after(minutes=40)).events == []
    found = detect_unmodified(memory, after(hours=1))
    assert events(found) == [("1", "keyframe"), ("2", "keyframe")]
    assert {event.reported_at for event in found.events} == {NOON}


def test_a_station_that_is_gone_is_absent_once_and_then_each_hour() -> None:
    memory = city_at_noon()
    alone = {"1": reading()}
    [gone] = polled(memory, alone, after(minutes=1)).events
    assert (gone.kind, gone.state, gone.bikes_available, gone.bikes_before) == ("absent", "unknown", None, 0)
    assert polled(memory, alone, after(minutes=2)).events == []
    assert events(polled(memory, alone, after(hours=1))) == [("1", "keyframe"), ("2", "absent")]
    assert events(detect_unmodified(memory, after(hours=2))) == [("1", "keyframe"), ("2", "absent")]


def test_a_station_that_comes_back_starts_afresh() -> None:
    memory = city_at_noon()
    polled(memory, {"1": reading()}, after(minutes=1))
    [back] = polled(memory, PAIR, after(minutes=2)).events
    assert (back.kind, back.state_since, back.bikes_before, back.state_before) == (
        "change", after(minutes=2), None, None)


def test_an_absence_is_forgotten_after_24_hours_and_so_is_its_state() -> None:
    memory = city_at_noon()
    alone = {"1": reading()}
    polled(memory, alone, after(minutes=1))
    assert ("2", "absent") in events(polled(memory, alone, after(hours=24)))
    found = polled(memory, alone, after(hours=25))
    assert (events(found), found.forgotten, list(memory.stations)) == ([("1", "keyframe")], ["2"], ["1"])


def test_without_the_last_body_the_same_comes_out() -> None:
    bodies = [{"1": reading()}, PAIR, {"2": reading(), "1": reading(docks_available=0)}, {"2": reading()}]
    one, restarted = city_at_noon(), city_at_noon()
    for minute, body in enumerate(bodies, start=1):
        restarted.last_poll = None
        assert polled(one, body, after(minutes=minute)) == polled(restarted, body, after(minutes=minute))


def test_a_description_is_told_when_it_is_new_or_differs() -> None:
    memory = SystemMemory("town")
    square = Description("Square", None, 59.9, 10.7, 10, None)
    places = [describe(memory, [("1", each)], NOON) for each in (square, square, square_renamed(), square)]
    assert [[info.name for info in told] for told in places] == [["Square"], [], ["New Square"], ["Square"]]


def square_renamed() -> Description:
    return Description("New Square", None, 59.9, 10.7, 10, None)


def described(*station_ids: str) -> SystemMemory:
    """A system with a list of its stations, which these were on."""
    memory = SystemMemory("town", {"station_information": NOON})
    describe(memory, [(each, square_renamed()) for each in station_ids], NOON)
    return memory


def test_a_description_is_forgotten_after_30_days_in_which_its_station_was_neither_listed_nor_seen() -> None:
    memory = described("1", "2", "3")
    detect(memory, poll_of({"3": reading()}), NOON)
    assert forget_descriptions(memory, {"1"}, after(days=1)) == []
    assert memory.unlisted_since == {"2": after(days=1)}, "the third is in the status"
    assert forget_descriptions(memory, {"1"}, after(days=31)) == []
    assert forget_descriptions(memory, {"1"}, after(days=31, seconds=1)) == ["2"]
    assert (sorted(memory.descriptions), memory.unlisted_since) == (["1", "3"], {})


def test_a_station_that_is_listed_again_is_remembered_for_another_30_days() -> None:
    memory = described("1", "2")
    for day, listed in enumerate(["1", "12", *["1"] * 31], start=1):
        assert forget_descriptions(memory, set(listed), after(days=day)) == []
    assert forget_descriptions(memory, {"1"}, after(days=34)) == ["2"]


def test_of_more_unlisted_stations_than_are_remembered_the_oldest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detecting, "UNLISTED_STATIONS", 3)
    memory = described("5", "6")
    forget_descriptions(memory, {"5"}, after(hours=1))
    describe(memory, [(each, square_renamed()) for each in "1234"], after(hours=1))
    assert forget_descriptions(memory, {"4"}, after(hours=2)) == ["1", "6"]
    assert sorted(memory.descriptions) == ["2", "3", "4", "5"]


def test_of_unlisted_stations_with_long_ids_fewer_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detecting, "UNLISTED_CHARACTERS", 250)
    ids = [f"{n}" * 100 for n in range(1, 6)]
    memory = SystemMemory("town")
    describe(memory, [(each, square_renamed()) for each in ids], NOON)
    assert forget_descriptions(memory, set(), after(hours=1)) == ids[:3]
    assert list(memory.unlisted_since) == ids[3:]


def test_ids_that_change_at_each_poll_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those seen last are remembered as absent; how many were forgotten early is told with the next hour."""
    monkeypatch.setattr(detecting, "ABSENT_STATIONS", 5)
    memory, told = SystemMemory("town"), []
    stored: set[str] = set()
    for minute in range(61):
        found = polled(memory, {f"{minute:02}-{n}": reading() for n in range(3)}, after(minutes=minute))
        stored = (stored | set(found.touched)) - set(found.forgotten)
        told.append(found.crowded_out)
    assert sorted(memory.absent) == ["58-1", "58-2", "59-0", "59-1", "59-2"]
    assert stored == set(memory.stations) == memory.absent | {"60-0", "60-1", "60-2"}
    assert told == [*[0] * 60, 60 * 3 - 5], "each that was ever gone, but for those that are remembered"


def test_more_stations_that_are_gone_at_once_than_are_remembered_are_all_told_once(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detecting, "ABSENT_STATIONS", 1)
    memory = city_at_noon()
    found = polled(memory, {"3": reading()}, after(minutes=1))
    assert events(found) == [("1", "absent"), ("2", "absent"), ("3", "change")]
    assert (found.touched, found.forgotten) == (["3", "2"], ["1"])
