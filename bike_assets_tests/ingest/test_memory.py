"""Totals are kept up by additions alone, and all that is remembered can be read back."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bike_assets.ingest.memory import Known, SystemMemory, Totals, recall, station_state
from bike_assets.model.messages import StationState, SystemState
from bike_assets.model.readings import Reading, state_of
from bike_assets_tests.ingest.builders import after, known
from bike_assets_tests.model.builders import NOON

COUNTS = st.integers(0, 3)
READINGS = st.builds(Reading, COUNTS, st.none() | COUNTS, st.none() | COUNTS, st.none(), st.none(), st.booleans(),
                     st.booleans(), st.booleans())
KNOWN = st.builds(lambda reading, gone: Known(reading, state_of(reading), NOON, None, gone), READINGS,
                  st.sampled_from([None, None, NOON]))
STEPS = st.lists(st.tuples(st.sampled_from("123"), st.none() | KNOWN), max_size=30)


def remembering(steps: list[tuple[str, Known | None]]) -> SystemMemory:
    """A system to which all this happened; None: the station is forgotten."""
    memory = SystemMemory("town")
    for station_id, each in steps:
        if each is not None:
            memory.remember(station_id, each)
        elif station_id in memory.stations:
            memory.forget(station_id)
    return memory


@given(STEPS)
def test_totals_equal_a_recount(steps: list[tuple[str, Known | None]]) -> None:
    memory = remembering(steps)
    here = [each for each in memory.stations.values() if each.absent_since is None]
    opened = [each.reading for each in here if each.state != "closed"]
    with_docks = [each for each in opened if each.docks_available is not None]
    electric = [each.ebikes_available for each in opened if each.ebikes_available is not None]
    assert memory.totals.as_columns() == {
        "stations": len(here),
        **{state: sum(each.state == state for each in here) for state in ("empty", "full", "closed")},
        "bikes_available": sum(each.bikes_available for each in opened),
        "docks_available": sum(each.docks_available or 0 for each in with_docks) if with_docks else None,
        "ebikes_available": sum(electric) if electric else None,
        "bikes_with_docks": sum(each.bikes_available for each in with_docks) if with_docks else None,
    }
    assert memory.absent == memory.stations.keys() - {
        station_id for station_id, each in memory.stations.items() if each.absent_since is None}


@given(STEPS)
def test_what_is_stored_is_what_is_recalled(steps: list[tuple[str, Known | None]]) -> None:
    memory = remembering(steps)
    memory.observed_at = {"station_status": NOON, "vehicle_types": after(seconds=1)}
    memory.last_good_poll_at, memory.feed_updated_at, memory.feed_has_advanced = NOON, after(minutes=-1), True
    memory.electric_types, memory.is_shared_feed = frozenset({"b", "a"}), True
    memory.unlisted_since = {"9": NOON}
    stored = [station_state("town", station_id, each, NOON) for station_id, each in memory.stations.items()]
    bytes_of = [msgspec.json.encode(each) for each in [*stored, memory.as_state()]]
    read: list[StationState | SystemState] = [*(msgspec.json.decode(each, type=StationState) for each in bytes_of[:-1]),
            msgspec.json.decode(bytes_of[-1], type=SystemState)]
    again = recall(read, [], [])["town"]
    assert again.totals.as_columns() == memory.totals.as_columns()
    for name in ("stations", "absent", "observed_at", "last_good_poll_at", "feed_updated_at", "feed_has_advanced",
                 "electric_types", "is_shared_feed", "unlisted_since"):
        assert getattr(again, name) == getattr(memory, name), name


def test_a_system_without_stations_has_totals_of_nothing() -> None:
    columns = Totals().as_columns()
    assert (columns["stations"], columns["bikes_available"], columns["docks_available"]) == (0, 0, None)


def test_a_closed_station_counts_but_its_bikes_do_not() -> None:
    memory = remembering([("1", known(is_renting=False)), ("2", known())])
    columns = memory.totals.as_columns()
    assert (columns["stations"], columns["closed"], columns["bikes_available"]) == (2, 1, 5)
