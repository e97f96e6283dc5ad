"""Each parser's rows a second of one core, beside `json.loads` of the same body alone.

The bodies are the simulator's, of one city in every version, and of it again some minutes later. The parser makes a
reading of every row of the first; of the next it reads the text that moved, as at each poll.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import NamedTuple

from bench.report import result, say
from bike_assets.model.answers import Answer, StationPoll
from bike_assets.services import demo_recordings
from bike_assets.simulator import gbfs, jcdecaux
from bike_assets.simulator.city import City
from bike_assets.simulator.seeds import city_from_recording
from bike_assets.sources.reading import read

SEED, REPEATS, CALLS = 1, 7, 20
BEGAN_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = timedelta(minutes=2)
TYPES = frozenset({"ebike"})


class Case(NamedTuple):
    """A version, how its answers are read, and its body."""

    name: str
    feed: str
    body: bytes

    @property
    def answer(self) -> Answer:
        return Answer("city", self.feed, BEGAN_AT, "bench", http_status=200, body=self.body)


def run() -> None:
    """Every version of GBFS, and both of JCDecaux."""
    cities = (city_from_recording(each, SEED, BEGAN_AT) for each in demo_recordings())
    city = max(cities, key=lambda each: len(each.stations))
    city.advance(BEGAN_AT)
    firsts = list(_bodies(city))
    city.advance(BEGAN_AT + LATER)
    for first, following in zip(firsts, _bodies(city), strict=True):
        _compare(first, following)


def _bodies(city: City) -> Iterator[Case]:
    for version in gbfs.VERSIONS:
        body = gbfs.feed(city, "station_status", "http://127.0.0.1", 60, version)
        assert body is not None
        yield Case(f"GBFS {version}", "gbfs.station_status", body)
    for name in jcdecaux.ROWS:
        body = jcdecaux.body(jcdecaux.stations(city, name))
        yield Case(f"JCDecaux {name}", f"jcdecaux.{name}.stations", body)


def _compare(first: Case, following: Case) -> None:
    say(f"parsers: {first.name}")
    before, answer, after = _read(first.answer), first.answer, following.answer
    rows = len(before.rows)
    ours = rows / _seconds(lambda: _readings(_read(answer)))
    again = rows / _seconds(lambda: _read(after, before))
    theirs = rows / _seconds(lambda: json.loads(following.body))
    result(
        "parsers", feed=first.name, rows=rows, bytes_a_row=round(len(first.body) / rows), rows_per_s=round(ours),
        next_rows_per_s=round(again), json_rows_per_s=round(theirs), ratio=round(ours / theirs, 2),
        next_ratio=round(again / theirs, 2), repeats=REPEATS,
    )  # fmt: skip


def _read(answer: Answer, before: StationPoll | None = None) -> StationPoll:
    parsed = read(answer, TYPES, before)
    assert isinstance(parsed, StationPoll)
    assert not parsed.rejected
    return parsed


def _readings(parsed: StationPoll) -> int:
    return sum(parsed.read(place).reading is not None for place in range(len(parsed.rows)))


def _seconds(work: Callable[[], object]) -> float:
    """CPU s that it takes, the median of REPEATS times CALLS."""
    took = []
    for _ in range(REPEATS):
        began = time.process_time()
        for _ in range(CALLS):
            work()
        took.append((time.process_time() - began) / CALLS)
    return median(took)
