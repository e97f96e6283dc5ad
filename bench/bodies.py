"""Answers in memory: systems of 2,000 stations whose rows look as in the real recordings."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from bike_assets.model.answers import Answer

STATIONS = 2_000
CHANGED_SHARE = 0.03
REPORTING_SHARE = 0.5
"""Stations whose own time of report moves between two polls though nothing else does."""

JCDECAUX, GBFS = "jcdecaux.v1.stations", "gbfs.station_status"


@dataclass(slots=True)
class Station:
    """A station as both APIs could tell it. `reported_at` is in POSIX seconds."""

    number: int
    lat: float
    lon: float
    capacity: int
    bikes: int
    ebikes: int
    reported_at: int


class System:
    """A system that changes from poll to poll, the same way for the same seed."""

    def __init__(self, system_id: str, feed: str, seed: int, began_at: datetime) -> None:
        self._chance = random.Random(f"{seed}-{system_id}")
        self._stations = [self._station(number, began_at) for number in range(1, STATIONS + 1)]
        self._body: Callable[[datetime], bytes] = self._jcdecaux if feed == JCDECAUX else self._gbfs
        self.system_id, self.feed = system_id, feed

    def answer(self, at: datetime) -> Answer:
        """The next poll's answer: CHANGED_SHARE of the stations have another reading than before."""
        seconds = int(at.timestamp()) - 1
        for station in self._chance.sample(self._stations, int(STATIONS * CHANGED_SHARE)):
            step = self._chance.choice((-1, 1))
            station.bikes += step if 0 <= station.bikes + step <= station.capacity else -step
            station.ebikes = min(station.ebikes, station.bikes)
            station.reported_at = seconds
        for station in self._chance.sample(self._stations, int(STATIONS * REPORTING_SHARE)):
            station.reported_at = seconds
        body = self._body(at)
        return Answer(self.system_id, self.feed, at, f"{at.timestamp():.0f}", 200, body, seconds=0.1)

    def _station(self, number: int, at: datetime) -> Station:
        chance = self._chance
        capacity = chance.randint(8, 40)
        bikes = chance.randint(0, capacity)
        lat, lon = 47.2 + chance.random() / 10, 6.0 + chance.random() / 10
        return Station(number, lat, lon, capacity, bikes, bikes // 3, int(at.timestamp()) - number)

    def _jcdecaux(self, _: datetime) -> bytes:
        return msgspec.json.encode([
            {
                "number": each.number,
                "contract_name": self.system_id.partition(":")[2],
                "name": f"{each.number:05} - PLACE DE LA RÉPUBLIQUE",
                "address": f"{each.number} rue de la République, angle du quai",
                "position": {"lat": each.lat, "lng": each.lon},
                "banking": each.number % 2 == 0,
                "bonus": False,
                "status": "OPEN",
                "bike_stands": each.capacity,
                "available_bike_stands": each.capacity - each.bikes,
                "available_bikes": each.bikes,
                "last_update": each.reported_at * 1000,
            }
            for each in self._stations
        ])  # fmt: skip

    def _gbfs(self, at: datetime) -> bytes:
        rows = [
            {
                "station_id": str(each.number),
                "is_installed": True,
                "is_renting": True,
                "is_returning": True,
                "last_reported": each.reported_at,
                "num_vehicles_available": each.bikes,
                "num_bikes_available": each.bikes,
                "num_docks_available": each.capacity - each.bikes,
                "vehicle_types_available": [
                    {"vehicle_type_id": "bike", "count": each.bikes - each.ebikes},
                    {"vehicle_type_id": "ebike", "count": each.ebikes},
                ],
            }
            for each in self._stations
        ]
        updated = int(at.timestamp()) - 1
        return msgspec.json.encode({"last_updated": updated, "ttl": 15, "version": "2.3", "data": {"stations": rows}})


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
