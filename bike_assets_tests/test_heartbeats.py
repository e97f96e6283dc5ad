"""A service says how it is, and others read it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bike_assets.heartbeats import (
    end_heartbeat,
    end_heartbeats,
    heartbeat,
    note_start,
    read_heartbeat,
    starting_since,
)


def test_a_heartbeat_says_who_when_and_what(tmp_path: Path) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    heartbeat(tmp_path, "poller")({"systems": 3})
    beat = read_heartbeat(tmp_path, "poller")
    assert beat is not None
    assert (beat.service, beat.pid, beat.details) == ("poller", os.getpid(), {"systems": 3})
    assert before <= beat.at <= datetime.now(UTC)


def test_a_heartbeat_says_when_its_process_began(tmp_path: Path) -> None:
    beat = heartbeat(tmp_path, "poller")
    began = []
    for _ in range(2):
        beat({})
        found = read_heartbeat(tmp_path, "poller")
        assert found is not None
        assert found.began_at is not None
        assert found.began_at <= found.at
        began.append(found.began_at)
    heartbeat(tmp_path, "poller")({})
    next_one = read_heartbeat(tmp_path, "poller")
    assert next_one is not None
    assert next_one.began_at is not None
    assert began[0] == began[1] <= next_one.began_at


def test_the_newest_heartbeat_replaces_the_one_before_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    beat = heartbeat(tmp_path, "poller")
    for systems in (1, 2):
        beat({"systems": systems})
    found = read_heartbeat(tmp_path, "poller")
    assert found is not None
    assert found.details == {"systems": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["poller.heartbeat.json"]


def test_a_service_that_never_ran_has_none(tmp_path: Path) -> None:
    heartbeat(tmp_path, "poller")({})
    assert read_heartbeat(tmp_path, "stream") is None


def test_a_heartbeat_may_hold_what_json_does_not_know(tmp_path: Path) -> None:
    heartbeat(tmp_path, "stream")({"lake": Path("lake")})
    beat = read_heartbeat(tmp_path, "stream")
    assert beat is not None
    assert beat.details == {"lake": "lake"}


def test_a_heartbeat_ages(tmp_path: Path) -> None:
    heartbeat(tmp_path, "poller")({})
    beat = read_heartbeat(tmp_path, "poller")
    assert beat is not None
    assert beat.age_s(beat.at + timedelta(seconds=90)) == 90


def test_who_comes_after_one_that_died_says_when_that_was(tmp_path: Path) -> None:
    heartbeat(tmp_path, "poller")({})
    died = read_heartbeat(tmp_path, "poller")
    next_one = heartbeat(tmp_path, "poller")
    for _ in range(2):
        next_one({})
        found = read_heartbeat(tmp_path, "poller")
        assert died is not None
        assert found is not None
        assert (died.after, found.after) == (None, died.at)


def test_who_comes_after_one_that_ended_in_order_says_nothing(tmp_path: Path) -> None:
    for is_all in (False, True):
        heartbeat(tmp_path, "poller")({})
        end_heartbeats(tmp_path) if is_all else end_heartbeat(tmp_path, "poller")
        assert read_heartbeat(tmp_path, "poller") is None
        heartbeat(tmp_path, "poller")({})
        found = read_heartbeat(tmp_path, "poller")
        assert found is not None
        assert found.after is None
        end_heartbeat(tmp_path, "poller")


def test_a_start_is_noted_until_the_first_heartbeat(tmp_path: Path) -> None:
    assert starting_since(tmp_path, "poller") is None
    note_start(tmp_path / "run", "poller")
    assert starting_since(tmp_path / "run", "poller") is not None
    heartbeat(tmp_path / "run", "poller")({})
    assert starting_since(tmp_path / "run", "poller") is None


def test_who_starts_again_and_again_has_been_starting_since_the_first_time(tmp_path: Path) -> None:
    first = datetime.now(UTC) - timedelta(hours=1)
    (tmp_path / "poller.start").write_text(first.isoformat())
    note_start(tmp_path, "poller")
    assert starting_since(tmp_path, "poller") == first
    heartbeat(tmp_path, "poller")({})
    note_start(tmp_path, "poller")
    again = starting_since(tmp_path, "poller")
    assert again != first, "in between it was at work"


def test_who_ended_in_order_is_not_starting(tmp_path: Path) -> None:
    for is_all in (False, True):
        note_start(tmp_path, "poller")
        end_heartbeats(tmp_path) if is_all else end_heartbeat(tmp_path, "poller")
        assert starting_since(tmp_path, "poller") is None
        assert list(tmp_path.iterdir()) == []
