"""Vehicles behave as GBFS says that they must: another id after each trip, and no trip in the feed."""

from collections import Counter
from dataclasses import astuple

from bike_assets.simulator.clock import epoch_ms
from bike_assets.simulator.fleet import LOW_M, RANGE_M, Fleet, SimVehicle
from bike_assets_tests.simulator.builders import after, fleet


def shown(of: Fleet, minute: int) -> dict[str, SimVehicle]:
    of.advance(epoch_ms(after(minutes=minute)))
    found = {each.vehicle_id: SimVehicle(*astuple(each)) for each in of.standing}
    assert len(found) == len(of.standing), "each has an id of its own"
    return found


DAY = range(0, 24 * 60, 2)


def test_one_step_and_many_lead_to_the_same_vehicles() -> None:
    by_steps, at_once = fleet(), fleet()
    seen = [shown(by_steps, minute) for minute in DAY]
    assert seen[-1] == shown(at_once, DAY[-1])
    assert seen[-1] != seen[0]


def test_an_id_names_a_vehicle_until_its_next_trip_and_never_again() -> None:
    own = fleet()
    places: dict[str, set[tuple[float, float]]] = {}
    gone: set[str] = set()
    before: set[str] = set()
    for minute in DAY:
        now = shown(own, minute)
        assert not gone & now.keys(), "an id came back"
        gone |= before - now.keys()
        before = set(now)
        for vehicle_id, each in now.items():
            places.setdefault(vehicle_id, set()).add((each.lat, each.lon))
    assert len(places) > 300
    assert max(map(len, places.values())) == 1


def test_whoever_is_gone_was_reserved_and_ridden_and_all_come_back() -> None:
    own = fleet()
    counts = Counter(len(shown(own, minute)) for minute in DAY)
    assert max(counts) <= 40
    assert min(counts) > 20
    states = [each for minute in range(24 * 60, 48 * 60, 10) for each in shown(own, minute).values()]
    assert {(each.is_reserved, each.is_disabled) for each in states} >= {(False, False), (True, False), (False, True)}


def test_batteries_run_down_and_are_filled_by_the_operator_under_the_same_id() -> None:
    own = fleet()
    filled = 0
    before: dict[str, SimVehicle] = {}
    for minute in range(0, 3 * 24 * 60, 5):
        now = shown(own, minute)
        for vehicle_id in before.keys() & now.keys():
            was, is_ = before[vehicle_id].range_m, now[vehicle_id].range_m
            assert was == is_ or (was < LOW_M and is_ == RANGE_M)
            filled += was != is_
        before = now
        assert all(0 <= each.range_m <= RANGE_M for each in now.values())
    assert filled > 3
