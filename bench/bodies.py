"""Answers in memory: systems of 2,000 stations, made of the rows of the real recordings."""

import copy
import random
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from bike_assets.ingest.recordings import read_recording
from bike_assets.model.answers import Answer
from bike_assets.services import demo_recordings

STATIONS = 2_000
CHANGED_SHARE = 0.03
REPORTING_SHARE = 0.5
"""Stations whose own time of report moves between two polls though nothing else does."""

JCDECAUX, GBFS = "jcdecaux.v1.stations", "gbfs.station_status"


Row = dict[str, Any]


class System:
    """A system that changes from poll to poll, the same way for the same seed.

    Its rows are those that the recording of its feed begins with, over and over, under other ids.
    """

    def __init__(
        self, system_id: str, feed: str, seed: int, stations: int = STATIONS, changed_share: float = CHANGED_SHARE
    ) -> None:
        self._chance = random.Random(f"{seed}-{system_id}")
        self._changed, self._reporting = int(stations * changed_share), int(stations * REPORTING_SHARE)
        self.system_id, self.feed = system_id, feed
        self._is_gbfs = feed == GBFS
        self._document = _first_body(feed)
        recorded = self._document["data"]["stations"] if self._is_gbfs else self._document
        self._rows = [self._renamed(recorded[at % len(recorded)], at + 1) for at in range(stations)]

    def answer(self, at: datetime) -> Answer:
        """The next poll's answer: some of the stations have another reading than before."""
        seconds = int(at.timestamp()) - 1
        for row in self._chance.sample(self._rows, self._changed):
            self._move_a_bike(row)
            self._report(row, seconds)
        for row in self._chance.sample(self._rows, self._reporting):
            self._report(row, seconds)
        body = msgspec.json.encode(self._filled(seconds))
        return Answer(self.system_id, self.feed, at, f"{at.timestamp():.0f}", 200, body, seconds=0.1)

    def _renamed(self, row: Row, number: int) -> Row:
        changes = {"station_id": str(5_000 + number)} if self._is_gbfs else {"number": number}
        return {**copy.deepcopy(row), **changes}

    def _move_a_bike(self, row: Row) -> None:
        """A bike is taken, or brought back where there is none or chance will have it."""
        if self._is_gbfs:
            own_type = row["vehicle_types_available"][0]
            step = -1 if own_type["count"] and self._chance.random() < 0.5 else 1
            own_type["count"] += step
            row["num_bikes_available"] += step
            row["num_vehicles_available"] += step
        else:
            step = -1 if row["available_bikes"] and self._chance.random() < 0.5 else 1
            row["available_bikes"] += step

    def _report(self, row: Row, seconds: int) -> None:
        if self._is_gbfs:
            row["last_reported"] = seconds
        else:
            row["last_update"] = seconds * 1000

    def _filled(self, seconds: int) -> Any:
        if not self._is_gbfs:
            return self._rows
        return {**self._document, "last_updated": seconds, "data": {"stations": self._rows}}


@cache
def _first_body(feed: str) -> Any:
    """The first body of the feed in the recordings that the product carries."""
    for path in demo_recordings():
        for answer in read_recording(path):
            if answer.feed == feed and answer.body:
                return msgspec.json.decode(answer.body)
    raise LookupError(feed)


def vehicle_types(system_id: str, at: datetime) -> Answer:
    """What a GBFS system tells first: which of its types are electric."""
    types = [
        {"vehicle_type_id": "bike", "form_factor": "bicycle", "propulsion_type": "human"},
        {"vehicle_type_id": "ebike", "form_factor": "bicycle", "propulsion_type": "electric_assist"},
    ]
    body = {"last_updated": int(at.timestamp()), "ttl": 15, "version": "2.3", "data": {"vehicle_types": types}}
    return Answer(system_id, "gbfs.vehicle_types", at, "types", 200, msgspec.json.encode(body), seconds=0.1)


def rounds(systems: list[System], times: Iterator[datetime], count: int) -> list[Answer]:
    """`count` polls of every system, in order of time."""
    return [system.answer(at) for at, _ in zip(times, range(count), strict=False) for system in systems]
