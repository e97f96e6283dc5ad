"""A shifted recording is the same one at another time."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bike_assets.ingest.shift import shift, shift_ending_at
from bike_assets_tests.ingest.builders import after
from bike_assets_tests.sources.builders import NOON, NOON_S, answer, body_of

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(("name", "before", "later"), [
    ("last_updated", NOON_S, NOON_S + 3600),
    ("last_reported", NOON_S, NOON_S + 3600),
    ("last_update", NOON_S * 1000 + 250, (NOON_S + 3600) * 1000 + 250),
    ("lastUpdate", "2026-06-01T12:00:00Z", "2026-06-01T13:00:00+00:00"),
    ("last_updated", "2026-06-01T14:00:00+02:00", "2026-06-01T15:00:00+02:00"),
    ("last_updated", NOON_S + 0.5, NOON_S + 3600.5),
    ("last_reported", None, None),
    ("last_reported", True, True),
    ("last_updated", "yesterday", "yesterday"),
    ("capacity", NOON_S, NOON_S),
])
def test_times_are_moved_and_nothing_else(name: str, before: Any, later: Any) -> None:
    one = answer("gbfs.station_status", body_of({"data": [{name: before, "n": 1}], name: before}))
    [moved] = shift([one], HOUR)
    assert json.loads(moved.body or b"") == {"data": [{name: later, "n": 1}], name: later}
    assert moved.fetched_at == after(hours=1)


@pytest.mark.parametrize("body", [None, b"<html>"])
def test_an_answer_without_json_keeps_its_body(body: bytes | None) -> None:
    one = answer("gbfs.station_status", body)
    assert list(shift([one], HOUR)) == [replace(one, fetched_at=after(hours=1))]


def test_only_whole_seconds_can_be_shifted() -> None:
    with pytest.raises(ValueError, match="not whole seconds"):
        list(shift([], timedelta(milliseconds=1)))


def test_a_recording_that_ends_now_is_at_most_a_second_behind() -> None:
    now = after(days=3, milliseconds=999)
    assert NOON + shift_ending_at(NOON, now) == after(days=3)
