"""Memories, polls and answers of which a test names only what matters."""

import json
from datetime import datetime, timedelta
from typing import Any

from bike_assets.ingest.memory import Known, SystemMemory
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.recordings import decode_line
from bike_assets.ingest.records import Atom, take
from bike_assets.model.answers import Answer, StationPoll, StationRow
from bike_assets.model.readings import Reading, state_of
from bike_assets_tests.model.builders import NOON, reading
from bike_assets_tests.oracle.events import Line
from bike_assets_tests.oracle.made import CITIES, Station, Stations
from bike_assets_tests.sources.builders import body_of, gbfs, stations, status_row

JCDECAUX, GBFS = CITIES
LONG = [f"{number:01900d}" for number in range(1000)]
TOO_MUCH = {
    "a version": ("gbfs.station_status", stations(status_row(), version="9" * 2_000_000)),
    "ids of types": ("gbfs.vehicle_types", gbfs(
        {"vehicle_types": [{"vehicle_type_id": each, "propulsion_type": "electric"} for each in LONG]})),
    "rows": ("jcdecaux.v1.stations", b"[" + b"0," * 1_000_000 + b"0]"),
    "rows of GBFS": ("gbfs.station_status", gbfs({"stations": [0] * 1_000_000})),
    "a row": ("jcdecaux.v1.stations", body_of([{"\x00": "\x01" * 2_000_000}] * 2)),
}  # fmt: skip
"""Feeds and bodies of which a careless reader would make a message too large, or a million."""
RANGES = gbfs({"vehicle_types": [
    {"vehicle_type_id": "".join(map(chr, range(first, first + 3))), "form_factor": "bicycle",
     "propulsion_type": "human", "max_range_meters": 12345.678901234567} for first in range(0x20000, 0x28000)]})
"""Types of which no id is too long, and the state is larger than a message of Kafka may be all the same."""
TOWN = {"1": Station(3, 7), "2": Station(0, 10)}


def after(**time: float) -> datetime:
    return NOON + timedelta(**time)


def decoded(line: Line) -> Answer:
    return decode_line(json.dumps(line).encode(), "made")


def status(at: datetime = NOON, stations: Stations | None = None, **given: Any) -> Answer:
    """A GBFS status of a town of two stations."""
    return decoded(GBFS.poll(at, TOWN if stations is None else stations, **given))


def taken(memory: SystemMemory, answer: Answer) -> Atom:
    return take(memory, answer, Profile(timezone="Etc/UTC"))


def known(at: datetime = NOON, **given: Any) -> Known:
    now = reading(**given)
    return Known(now, state_of(now), at, at)


def poll_of(readings: dict[str, Reading], reported_at: datetime = NOON) -> StationPoll:
    """A read status: a reading by station."""
    return StationPoll(
        rows=list(readings.items()),
        times=[reported_at] * len(readings),
        id_of=lambda row: row[0],
        row_of=lambda row, at: StationRow(row[0], row[1], at),
        instant=lambda at: at,
        feed_updated_at=reported_at,
        rows_in=len(readings),
    )
