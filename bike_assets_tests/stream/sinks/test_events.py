"""Rows that are carried into a database that is slow: one that is held here, by a clock of the test's own."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bike_assets.stream.sinks import events
from bike_assets.stream.sinks.orders import OrdersCarrier
from bike_assets.stream.sinks.progress import Progress
from bike_assets_tests.stream.test_sales import Lake, order


class Slow:
    """A database in which a row takes a second; it says when it was asked for anything."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rows: list[str] = []
        self.noted: bytes | None = None

    def progress(self) -> Progress | None:
        return None if self.noted is None else msgspec.json.decode(self.noted, type=Progress)

    def put(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.now += len(rows)
        self.rows += [row["order_id"] for row in rows]

    def note(self, progress: Progress) -> None:
        self.noted = msgspec.json.encode(progress)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    monkeypatch.setattr(events, "STEP", 2)
    return made


def test_a_slow_database_gets_what_waits_in_looks_that_end_in_time_each_row_once(tmp_path: Path, slow: Slow) -> None:
    lake = Lake(tmp_path)
    lake.add(*(order(str(n), kafka_partition=n % 3, kafka_offset=n // 3) for n in range(20)))
    behind: list[int] = []
    while not behind or behind[-1]:
        began = slow.now
        carrier = OrdersCarrier(lake.path, slow)  # as after a restart: what was brought is noted there
        assert carrier.carry() == bool(carrier.behind)
        assert slow.now - began <= events.LOOK_S + 2
        behind.append(carrier.behind or 0)
    assert behind == [16, 12, 8, 4, 0]
    assert sorted(slow.rows) == sorted(str(n) for n in range(20))


def test_the_heart_beats_between_steps(tmp_path: Path, slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_S", 60.0)
    lake = Lake(tmp_path)
    lake.add(*(order(str(n), kafka_offset=n) for n in range(20)))
    carrier = OrdersCarrier(lake.path, slow)
    beats: list[float] = []
    carrier.beat = lambda: beats.append(slow.now)
    carrier.carry()
    assert beats == [float(n) for n in range(0, 21, 2)]
