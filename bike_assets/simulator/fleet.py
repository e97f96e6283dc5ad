"""E-bikes that stand anywhere in a city, beside its stations: for one seed and start always the same.

They are reserved, ridden, break down, and get full batteries from the operator. As GBFS wants it since 2.0, a vehicle
has another id after each trip, by which nobody can follow it. Time is given, never read.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random

from bike_assets.simulator.clock import MINUTE_MS, epoch_ms

RANGE_M = 50_000
"""That a full battery lasts for."""
LOW_M = 5_000
"""With less nobody sets out."""

_METRES_A_DEGREE = 111_195.0
_RIDES_AN_HOUR = 0.5
"""Of each vehicle."""
_BREAKDOWN = 0.02
"""A trip's chance to end with a vehicle out of order."""


@dataclass(slots=True)
class SimVehicle:
    """A vehicle that nobody rides: `range_m` is what its battery lasts for."""

    vehicle_id: str
    lat: float
    lon: float
    range_m: int
    reported_ms: int
    is_reserved: bool = False
    is_disabled: bool = False


class Fleet:
    """The vehicles that stand in the streets now, and what is yet to happen. `advance` moves it on."""

    def __init__(self, vehicles: int, seed: int, start: datetime, centre: tuple[float, float], radius_m: float) -> None:
        self._chance = Random(f"{seed}/fleet")
        self._centre, self._radius_m = centre, radius_m
        self._now_ms = self.changed_ms = epoch_ms(start)
        self._events: list[tuple[int, int, Callable[[SimVehicle], None], SimVehicle]] = []
        self._scheduled = 0
        self.standing: list[SimVehicle] = []
        for _ in range(vehicles):
            self._stand(SimVehicle("", *self._somewhere(), self._chance.randint(LOW_M, RANGE_M), 0))

    def advance(self, to_ms: int) -> None:
        """Let happen all that happens up to and at `to_ms`, ms since 1970."""
        while self._events and self._events[0][0] <= to_ms:
            self._now_ms, _, do, vehicle = heapq.heappop(self._events)
            do(vehicle)
            self.changed_ms = self._now_ms
        self._now_ms = max(self._now_ms, to_ms)

    def _later(self, minutes: float, do: Callable[[SimVehicle], None], vehicle: SimVehicle) -> None:
        self._scheduled += 1
        heapq.heappush(self._events, (self._now_ms + int(minutes * MINUTE_MS), self._scheduled, do, vehicle))

    def _stand(self, vehicle: SimVehicle) -> None:
        """Put it into the street under an id that it never had, until somebody wants it."""
        vehicle.vehicle_id = f"{self._chance.getrandbits(64):016x}"
        self._report(vehicle)
        self.standing.append(vehicle)
        if vehicle.is_disabled:
            self._later(self._chance.uniform(30, 120), self._repaired, vehicle)
        elif vehicle.range_m < LOW_M:
            self._later(self._chance.uniform(30, 120), self._swapped, vehicle)
        else:
            self._later(self._chance.expovariate(_RIDES_AN_HOUR / 60), self._reserved, vehicle)

    def _report(self, vehicle: SimVehicle) -> None:
        vehicle.reported_ms = self._now_ms

    def _reserved(self, vehicle: SimVehicle) -> None:
        vehicle.is_reserved = True
        self._report(vehicle)
        self._later(self._chance.uniform(1, 5), self._ridden, vehicle)

    def _ridden(self, vehicle: SimVehicle) -> None:
        """It is in no feed while it is ridden."""
        self.standing.remove(vehicle)
        vehicle.is_reserved = False
        self._later(self._chance.uniform(4, 25), self._left, vehicle)

    def _left(self, vehicle: SimVehicle) -> None:
        before = vehicle.lat, vehicle.lon
        vehicle.lat, vehicle.lon = self._somewhere()
        vehicle.range_m = max(vehicle.range_m - round(1.3 * _metres(before, (vehicle.lat, vehicle.lon))), 0)
        vehicle.is_disabled = self._chance.random() < _BREAKDOWN
        self._stand(vehicle)

    def _repaired(self, vehicle: SimVehicle) -> None:
        vehicle.is_disabled = False
        self._taken_in(vehicle)

    def _swapped(self, vehicle: SimVehicle) -> None:
        vehicle.range_m = RANGE_M
        self._taken_in(vehicle)

    def _taken_in(self, vehicle: SimVehicle) -> None:
        """The operator's visit is no trip: the id stays, and so does the place."""
        self.standing.remove(vehicle)
        kept = vehicle.vehicle_id
        self._stand(vehicle)
        vehicle.vehicle_id = kept

    def _somewhere(self) -> tuple[float, float]:
        """A place in the city, denser towards its middle."""
        lat, lon = self._centre
        out_m, angle = self._radius_m * self._chance.random(), self._chance.uniform(0, 2 * math.pi)
        north, east = out_m * math.sin(angle), out_m * math.cos(angle)
        return (
            round(lat + north / _METRES_A_DEGREE, 6),
            round(lon + east / (_METRES_A_DEGREE * math.cos(math.radians(lat))), 6),
        )


def _metres(here: tuple[float, float], there: tuple[float, float]) -> float:
    """As the crow flies; within a city the earth is flat."""
    north = there[0] - here[0]
    east = (there[1] - here[1]) * math.cos(math.radians(here[0]))
    return math.hypot(north, east) * _METRES_A_DEGREE
