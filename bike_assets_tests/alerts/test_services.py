"""What heartbeats say is wrong."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import Event, Severity, read_book
from bike_assets.alerts.services import BEHIND, FAILURES, STEADY, UNWRITTEN, WATCHED, figures, watch
from bike_assets.heartbeats import FIRST_BEAT_S, FRESH_S, SINKS, Heartbeat
from bike_assets_tests.model.builders import NOON

SENT: list[tuple[str, str]] = []


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    SENT.clear()


def beat(
    service: str = "poller", age_s: float = 0, after_s: float | None = None, began_s: float = 3600, **details: Any
) -> Heartbeat:
    after = None if after_s is None else NOON - timedelta(seconds=after_s)
    return Heartbeat(service, 7, NOON - timedelta(seconds=age_s), details, after, NOON - timedelta(seconds=began_s))


def ago(seconds: float) -> str:
    return (NOON - timedelta(seconds=seconds)).isoformat()


def look(
    path: Path, service: str, each: Heartbeat | None, now: datetime = NOON, starting_s: float | None = None
) -> list[str]:
    """A look at a service; the keys of what is wrong then."""
    desk = Desk(path / "book.json", {"x": lambda alert: SENT.append((alert.event, alert.trouble.key))}, now)
    watch(desk, service, each, now, None if starting_s is None else now - timedelta(seconds=starting_s))
    desk.close()
    return desk.keys


def test_a_service_that_beats_is_well_and_one_that_does_not_is_dead(tmp_path: Path) -> None:
    assert look(tmp_path, "poller", beat(age_s=FRESH_S - 1)) == []
    assert look(tmp_path, "poller", beat(age_s=FRESH_S + 1)) == ["service/poller"]
    assert look(tmp_path, "poller", beat(age_s=0.5)) == []
    assert SENT == [(Event.OPEN, "service/poller"), (Event.OVER, "service/poller")]


def test_a_service_that_nobody_started_or_that_ended_in_order_is_no_incident(tmp_path: Path) -> None:
    assert look(tmp_path, "stream", None) == []
    look(tmp_path, "stream", beat("stream", age_s=100))
    assert look(tmp_path, "stream", None) == []
    assert SENT == [(Event.OPEN, "service/stream"), (Event.OVER, "service/stream")]


@pytest.mark.parametrize("service", WATCHED)
def test_a_service_that_never_comes_to_work_is_told_once_it_had_time_to(tmp_path: Path, service: str) -> None:
    assert look(tmp_path, service, None, starting_s=FIRST_BEAT_S - 1) == []
    assert look(tmp_path, service, None, starting_s=FIRST_BEAT_S + 1) == [f"service/{service}"]
    assert "gave no sign of life" in read_book(tmp_path / "book.json").open[f"service/{service}"].says
    assert look(tmp_path, service, beat(service, began_s=1)) == [f"service/{service}"], "it is not steady yet"
    assert look(tmp_path, service, beat(service)) == []
    assert [event for event, _ in SENT] == [Event.OPEN, Event.OVER]


def test_what_was_wrong_is_not_over_while_a_service_starts_and_is_when_it_was_ended(tmp_path: Path) -> None:
    look(tmp_path, "stream", beat("stream", age_s=100))
    assert look(tmp_path, "stream", None, starting_s=5) == ["service/stream"]
    assert look(tmp_path, "stream", None) == []


def test_a_death_between_two_looks_is_told_once_with_its_end(tmp_path: Path) -> None:
    for _ in range(3):
        assert look(tmp_path, "poller", beat(after_s=10)) == []
    assert SENT == [(Event.OPEN, "service/poller"), (Event.OVER, "service/poller")]


def test_a_death_that_was_seen_is_not_told_again_by_who_comes_after(tmp_path: Path) -> None:
    assert look(tmp_path, "poller", beat(age_s=30)) == ["service/poller"]
    for _ in range(2):
        assert look(tmp_path, "poller", beat(after_s=30)) == []
    assert SENT == [(Event.OPEN, "service/poller"), (Event.OVER, "service/poller")]


LOOKS_S = 30


@pytest.mark.parametrize("lives_s", [5, 45, 110])
def test_a_service_that_dies_again_and_again_is_one_incident_until_it_is_steady(tmp_path: Path, lives_s: int) -> None:
    """Ten starts, each dead after a while and back 3 s later; then one that stays."""
    starts = [n * (lives_s + 3) for n in range(10)]
    at_last = starts[-1]
    for second in range(lives_s + 1, at_last + 400, LOOKS_S):
        now, began = NOON + timedelta(seconds=second), max(start for start in starts if start <= second)
        died = None if began == 0 else NOON + timedelta(seconds=began - 3)
        beats_at = now if began == at_last else min(now, NOON + timedelta(seconds=began + lives_s))
        each = Heartbeat("poller", 7, beats_at, {}, died, NOON + timedelta(seconds=began))
        is_open = look(tmp_path, "poller", each, now) == ["service/poller"]
        if second >= lives_s + 3:
            assert is_open == (second - at_last < STEADY.total_seconds()), second
    assert SENT == [(Event.OPEN, "service/poller"), (Event.OVER, "service/poller")]


def test_a_service_that_is_back_is_well_after_two_minutes_and_what_is_wrong_within_it_too(tmp_path: Path) -> None:
    failing: dict[str, Any] = {"queries": {"events": {"state": "waiting", "failures": FAILURES, "reason": "full"}}}
    well: dict[str, Any] = {"queries": {"events": {"state": "running", "failures": 0}}}
    wrong = ["service/stream/events", "service/stream"]
    look(tmp_path, "stream", beat("stream", **failing))
    for age_s, began_s, keys in ((30, 3600, wrong), (0, 119, wrong), (0, 121, [])):
        assert look(tmp_path, "stream", beat("stream", age_s, began_s=began_s, **well)) == keys


def test_a_query_that_failed_once_is_being_started_again_and_after_some_times_it_is_an_incident(tmp_path: Path) -> None:
    def stream(failures: int, state: str = "waiting") -> Heartbeat:
        query = {"state": state, "failures": failures, "reason": "no space left"}
        return beat("stream", queries={"events": query, "live": {"state": "running", "failures": 0}})

    assert look(tmp_path, "stream", stream(FAILURES - 1)) == []
    assert look(tmp_path, "stream", stream(FAILURES)) == ["service/stream/events"]
    assert "no space left" in read_book(tmp_path / "book.json").open["service/stream/events"].says
    assert look(tmp_path, "stream", beat("stream", age_s=60)) == ["service/stream/events", "service/stream"]
    assert look(tmp_path, "stream", stream(0, "running")) == []


def test_a_stream_that_is_behind_is_a_warning(tmp_path: Path) -> None:
    def stream(seconds: float) -> Heartbeat:
        return beat("stream", queries={}, lag={"messages": 12, "caught_up_at": ago(seconds)})

    assert look(tmp_path, "stream", stream(BEHIND.total_seconds() - 1)) == []
    assert look(tmp_path, "stream", stream(BEHIND.total_seconds() + 1)) == ["service/stream/lag"]
    found = read_book(tmp_path / "book.json").open["service/stream/lag"]
    assert (found.severity, "12 messages" in found.says) == (Severity.WARNING, True)


def test_a_poller_that_cannot_write_is_an_incident(tmp_path: Path) -> None:
    def poller(seconds: float) -> Heartbeat:
        return beat(lanes=[{"queued": 0, "waits_since": None}, {"queued": 9, "waits_since": ago(seconds)}])

    assert look(tmp_path, "poller", poller(UNWRITTEN.total_seconds() - 1)) == []
    assert look(tmp_path, "poller", poller(UNWRITTEN.total_seconds() + 1)) == ["service/poller/lag"]


@pytest.mark.parametrize("service", WATCHED)
def test_whoever_is_watched_is_told_when_it_dies_and_when_it_is_back(tmp_path: Path, service: str) -> None:
    assert look(tmp_path, service, beat(service, age_s=FRESH_S + 1)) == [f"service/{service}"]
    assert look(tmp_path, service, beat(service)) == []
    assert [(Event.OPEN, f"service/{service}"), (Event.OVER, f"service/{service}")] == SENT


def test_orders_that_cannot_be_stored_are_an_incident(tmp_path: Path) -> None:
    def orders(seconds: float | None) -> Heartbeat:
        since = None if seconds is None else ago(seconds)
        return beat("orders", trouble="Kafka did not confirm.", trouble_since=since, waiting=3)

    assert look(tmp_path, "orders", orders(UNWRITTEN.total_seconds() - 1)) == []
    assert look(tmp_path, "orders", orders(UNWRITTEN.total_seconds() + 1)) == ["service/orders/lag"]
    assert "did not confirm" in read_book(tmp_path / "book.json").open["service/orders/lag"].says
    assert look(tmp_path, "orders", orders(None)) == []


@pytest.mark.parametrize("service", SINKS)
def test_a_database_that_lacks_rows_for_long_is_a_warning(tmp_path: Path, service: str) -> None:
    def sink(behind_s: float | None, trouble: str | None) -> Heartbeat:
        caught_up_at = None if behind_s is None else ago(behind_s)
        return beat(service, trouble=trouble, caught_up_at=caught_up_at)

    key = f"service/{service}/lag"
    assert look(tmp_path, service, sink(BEHIND.total_seconds() - 1, "it is full")) == []
    assert look(tmp_path, service, sink(BEHIND.total_seconds() + 1, "it is full")) == [key]
    found = read_book(tmp_path / "book.json").open[key]
    assert (found.severity, "it is full" in found.says) == (Severity.WARNING, True)
    assert look(tmp_path, service, sink(1, None)) == []
    assert look(tmp_path, service, sink(None, None)) == [], "it has just begun"
    assert look(tmp_path / "other", service, sink(None, "it is down")) == [key]


def test_what_is_plotted_is_age_and_lag() -> None:
    assert figures(beat("orders", waiting=4), NOON) == {"heartbeat_age_s": 0.0, "orders_waiting": 4}
    sink = beat("orders-sink", caught_up_at=ago(7), behind=12)
    assert figures(sink, NOON) == {"heartbeat_age_s": 0.0, "lag_s": 7.0, "rows_waiting": 12}
    lanes = [{"queued": 3, "waits_since": ago(4)}, {"queued": 0, "waits_since": None}]
    assert figures(beat(age_s=0.5, lanes=lanes, quiet={"oslo": None}), NOON) == {
        "heartbeat_age_s": 0.5, "lag_s": 4.0, "answers_waiting": 3, "quiet_systems": 1}
    lag = {"messages": 12, "caught_up_at": ago(9)}
    assert figures(beat("stream", lag=lag), NOON) == {"heartbeat_age_s": 0.0, "lag_s": 9.0, "lag_messages": 12}
    assert figures(beat("stream", lag=lag | {"messages": None}), NOON) == {"heartbeat_age_s": 0.0, "lag_s": 9.0}
