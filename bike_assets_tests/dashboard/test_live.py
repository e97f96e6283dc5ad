from datetime import timedelta

from bike_assets.dashboard.live import (
    Forgotten,
    Gone,
    LiveState,
    Message,
    StationRecord,
    SystemRecord,
    changes,
    shown_state,
    summaries,
)
from bike_assets.model.constants import MAX_GAP
from bike_assets.model.readings import State
from bike_assets_tests.dashboard.builders import NOON, description, polled, station, system


def live(*messages: Message) -> LiveState:
    state = LiveState()
    for message in messages:
        state.apply(message)
    return state


def record(state: LiveState, key: str = "oslo/1") -> StationRecord:
    return state.stations[key]


def test_a_station_appears_with_its_reading_and_its_description() -> None:
    found = record(live(description(name="Torget"), station(bikes_available=3)))
    assert (found.name, found.lat, found.bikes_available, found.state) == ("Torget", 59.91, 3, State.AVAILABLE)


def test_a_description_alone_is_no_station_yet() -> None:
    state = LiveState()
    assert state.apply(description()) is None
    assert not state.snapshot().stations


def test_a_reading_without_a_description_is_sent_without_a_place() -> None:
    sent = LiveState().apply(station())
    assert isinstance(sent, StationRecord)
    assert (sent.key, sent.name, sent.lat) == ("oslo/1", None, None)


def test_a_description_that_comes_later_is_sent_with_the_reading() -> None:
    sent = live(station(bikes_available=3)).apply(description(name="Torget"))
    assert isinstance(sent, StationRecord)
    assert (sent.name, sent.bikes_available) == ("Torget", 3)


def test_the_same_message_again_is_no_update() -> None:
    assert live(station(), description()).apply(station()) is None


def test_instants_are_sent_as_epoch_milliseconds() -> None:
    at = NOON + timedelta(milliseconds=123)
    assert record(live(station(changed_at=at))).changed_at == 1772366400123


def test_a_tombstone_of_a_reading_takes_the_station_away() -> None:
    state = live(station(), description())
    assert state.apply(Forgotten("station_state", "oslo/1")) == Gone("oslo/1")
    assert not state.snapshot().stations
    assert state.apply(Forgotten("station_state", "oslo/1")) is None


def test_a_tombstone_of_a_description_leaves_the_reading() -> None:
    state = live(station(), description())
    sent = state.apply(Forgotten("station_information", "oslo/1"))
    assert isinstance(sent, StationRecord)
    assert (sent.name, sent.bikes_available) == (None, 5)


def test_a_system_is_what_describes_it_and_its_last_good_poll() -> None:
    (found,) = live(system(name="Oslo"), polled(at=NOON)).snapshot().systems
    assert (found.key, found.name, found.last_good_poll_at) == ("oslo", "Oslo", 1772366400000)


def test_what_only_the_poller_needs_to_know_of_a_system_is_no_update() -> None:
    assert live(polled()).apply(polled(electric_types=["ebike"])) is None


def test_a_system_goes_when_both_its_parts_are_gone() -> None:
    state = live(system(), polled())
    assert isinstance(state.apply(Forgotten("system_information", "oslo")), SystemRecord)
    assert state.apply(Forgotten("station_state", "oslo")) == Gone("oslo")


def test_the_snapshot_names_the_places_of_its_arrays() -> None:
    snapshot = live(station()).snapshot()
    assert snapshot.station_fields[:3] == ("key", "system_id", "station_id")
    assert snapshot.max_gap_ms == 30 * 60 * 1000


def test_changes_are_parted_by_what_they_are() -> None:
    state = LiveState()
    sent = [state.apply(station()), state.apply(system()), Gone("bergen/2")]
    found = changes(update for update in sent if update is not None)
    assert [one.key for one in found.stations] == ["oslo/1"]
    assert [one.key for one in found.systems] == ["oslo"]
    assert found.gone == ["bergen/2"]


def test_a_station_is_unknown_once_its_system_was_not_seen_for_longer_than_the_gap() -> None:
    state = live(station(), polled(at=NOON))
    seen = state.systems["oslo"].last_good_poll_at
    assert shown_state(record(state), seen, NOON + MAX_GAP) is State.AVAILABLE
    assert shown_state(record(state), seen, NOON + MAX_GAP + timedelta(seconds=1)) is State.UNKNOWN


def test_an_absent_station_and_one_never_polled_are_unknown() -> None:
    seen = live(polled(at=NOON)).systems["oslo"].last_good_poll_at
    assert shown_state(record(live(station(absent_since=NOON))), seen, NOON) is State.UNKNOWN
    assert shown_state(record(live(station())), None, NOON) is State.UNKNOWN


def test_a_summary_counts_each_station_once_and_bikes_where_they_can_be_taken() -> None:
    state = live(
        system(),
        polled(),
        station("1", bikes_available=5),
        station("2", bikes_available=0, state=State.EMPTY),
        station("3", bikes_available=9, docks_available=0, state=State.FULL),
        station("4", bikes_available=4, is_renting=False, state=State.CLOSED),
        station("5", bikes_available=2, absent_since=NOON),
    )
    (found,) = summaries(state, NOON)
    assert (found.stations, found.available, found.empty, found.full, found.closed, found.unknown) == (5, 1, 1, 1, 1, 1)
    assert found.bikes_available == 14


def test_a_system_that_nobody_described_has_a_summary_too() -> None:
    (found,) = summaries(live(station()), NOON)
    assert (found.system_id, found.name, found.stations, found.unknown) == ("oslo", None, 1, 1)
