"""What a replay says of the systems that it replays, and of when; whose turn a drain is."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from bike_assets import services
from bike_assets.heartbeats import STREAM, heartbeat
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.recordings import encode_line
from bike_assets.local.work import is_streams_turn, replayed_profiles, shifted
from bike_assets.model.answers import Answer
from bike_assets.model.errors import ServiceNotReady
from bike_assets.settings import load_settings
from bike_assets_tests.model.builders import NOON

OSLO = """
[[systems]]
kind = "gbfs"
system_id = "oslobysykkel"
url = "http://127.0.0.1/gbfs.json"
timezone = "Europe/Oslo"
"""


def test_a_replay_takes_the_time_zone_that_the_sources_file_gives_its_system(bare_directory: Path) -> None:
    (bare_directory / "sources.toml").write_text(OSLO)
    profile_of = replayed_profiles(load_settings(), None)
    assert profile_of("oslobysykkel").timezone == "Europe/Oslo"
    assert profile_of("another") == Profile()


def test_a_time_zone_that_was_given_is_that_of_all(bare_directory: Path) -> None:
    (bare_directory / "sources.toml").write_text(OSLO)
    profile_of = replayed_profiles(load_settings(), "America/New_York")
    assert {profile_of(each).timezone for each in ("oslobysykkel", "another")} == {"America/New_York"}


def test_a_replay_needs_no_sources_file(bare_directory: Path) -> None:
    assert replayed_profiles(load_settings(), None)("oslobysykkel") == Profile()


def test_a_drain_waits_for_another_to_end_and_takes_it_for_no_resident_stream(bare_directory: Path) -> None:
    settings = load_settings()
    heartbeat(settings.run, STREAM)({})  # of a stream that was killed
    dead = json.loads((settings.run / "stream.heartbeat.json").read_text()) | {"pid": 1}
    (settings.run / "stream.heartbeat.json").write_text(json.dumps(dead))
    with ThreadPoolExecutor() as pool:
        with services.stream_lock(settings):
            with pytest.raises(ServiceNotReady, match=f"pid {os.getpid()}"):
                is_streams_turn(settings, time.monotonic())
            waits = pool.submit(is_streams_turn, settings, time.monotonic() + 60)
            assert not waits.done()
        assert waits.result() is False


def test_a_drain_leaves_it_to_the_stream_that_is_up_once_it_has_begun(bare_directory: Path) -> None:
    settings = load_settings()
    with ThreadPoolExecutor() as pool, services.stream_lock(settings):
        waits = pool.submit(is_streams_turn, settings, time.monotonic() + 60)
        heartbeat(settings.run, STREAM)({})
        assert waits.result() is True


def test_a_recording_that_is_moved_ends_now_and_an_empty_one_is_empty(tmp_path: Path) -> None:
    file, empty = tmp_path / "two.jsonl", tmp_path / "empty.jsonl"
    lines = (Answer("city", "gbfs.station_status", NOON + timedelta(minutes=each), "r", 200, b"{}") for each in (0, 5))
    file.write_bytes(b"".join(map(encode_line, lines)))
    empty.write_text("")
    now = NOON + timedelta(days=100)
    assert [each.fetched_at for each in shifted(file, now)] == [now - timedelta(minutes=5), now]
    assert list(shifted(empty, now)) == []
