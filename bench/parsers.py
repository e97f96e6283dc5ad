"""Each parser's rows a second of one core, beside `json.loads` of the same body alone.

The bodies are the simulator's, of one city in every version: the parser makes readings of its rows, json only a tree.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.report import result, say
from bike_assets.model.answers import Answer, StationPoll
from bike_assets.services import demo_recordings
from bike_assets.simulator import gbfs, jcdecaux
from bike_assets.simulator.city import City
from bike_assets.simulator.seeds import city_from_recording
from bike_assets.sources.reading import read

SEED, REPEATS, CALLS = 1, 7, 20
BEGAN_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
TYPES = frozenset({"ebike"})


def run() -> None:
    """Every version of GBFS, and both of JCDecaux."""
    gbfs_city, jcdecaux_city = _cities()
    for version in gbfs.VERSIONS:
        body = gbfs.feed(gbfs_city, "station_status", "http://127.0.0.1", 60, version)
        assert body is not None
        _compare(f"GBFS {version}", "gbfs.station_status", body)
    for name in jcdecaux.ROWS:
        _compare(f"JCDecaux {name}", f"jcdecaux.{name}.stations", jcdecaux.body(jcdecaux.stations(jcdecaux_city, name)))


def _cities() -> tuple[City, City]:
    """The demo's: that of GBFS, and that of JCDecaux."""
    cities: list[Path] = demo_recordings()
    made = [city_from_recording(each, SEED, BEGAN_AT) for each in cities]
    return max(made, key=lambda city: len(city.stations)), min(made, key=lambda city: len(city.stations))


def _compare(name: str, feed: str, body: bytes) -> None:
    say(f"parsers: {name}")
    answer = Answer("city", feed, BEGAN_AT, "bench", http_status=200, body=body)
    rows = _rows(answer)
    ours = rows / _seconds(lambda: _rows(answer))
    theirs = rows / _seconds(lambda: json.loads(body))
    result(
        "parsers", feed=name, rows=rows, bytes_a_row=round(len(body) / rows), rows_per_s=round(ours),
        json_rows_per_s=round(theirs), ratio=round(ours / theirs, 2), repeats=REPEATS,
    )  # fmt: skip


def _rows(answer: Answer) -> int:
    """Parse, and make every row's reading, of which nothing was known before."""
    parsed = read(answer, TYPES, None)
    assert isinstance(parsed, StationPoll)
    return sum(parsed.row_of(row, at) is not None for row, at in zip(parsed.rows, parsed.times, strict=True))


def _seconds(work: Callable[[], object]) -> float:
    """CPU s that it takes, the median of REPEATS times CALLS."""
    took = []
    for _ in range(REPEATS):
        began = time.process_time()
        for _ in range(CALLS):
            work()
        took.append((time.process_time() - began) / CALLS)
    return median(took)
