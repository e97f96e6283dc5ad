"""When riders set out and where they go: rush hours, and the tide into the centre and out again."""

import math
from bisect import bisect
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate
from random import Random
from statistics import fmean, median
from zoneinfo import ZoneInfo

_HOUR_MS = 3600 * 1000
_DAY_MINUTES = 24 * 60
_METRES_A_DEGREE = 111_195.0

_TIDE_PULL = 0.6
"""How far the tide sways a choice: 0 not at all, 1 so far that nobody goes against it."""
_TRIES = 25
"""A destination is drawn so many times at most; the last is taken as it is."""


def _peak(hour: float, at: float, width: float) -> float:
    away = (hour - at + 12) % 24 - 12
    return math.exp(-((away / width) ** 2))


def _minutes_of_day() -> list[float]:
    return [minute / 60 for minute in range(_DAY_MINUTES)]


def _crowds() -> list[float]:
    """Riders by minute of the local day, as a multiple of the day's mean: two rush hours, a calm night."""
    raw = [
        0.7 + 1.7 * _peak(hour, 8, 1.1) + 0.5 * _peak(hour, 13, 3) + 1.8 * _peak(hour, 17, 1.5)
        for hour in _minutes_of_day()
    ]
    mean = fmean(raw)
    return [each / mean for each in raw]


CROWDS = _crowds()
_RUSH = max(CROWDS)
TIDE = [_peak(hour, 8, 2) - _peak(hour, 17, 2.5) for hour in _minutes_of_day()]
"""By minute of the local day: 1 where all go from the outskirts to the centre, -1 the other way."""


class Places:
    """Where stations stand, in metres on a plane, and how central each is (1 the centre, 0 far out)."""

    def __init__(self, positions: Sequence[tuple[float, float]]) -> None:
        lat, lon = (fmean(each[axis] for each in positions) for axis in (0, 1))
        east = math.cos(math.radians(lat)) * _METRES_A_DEGREE
        self._metres = [((x - lon) * east, (y - lat) * _METRES_A_DEGREE) for y, x in positions]
        out = [math.hypot(x, y) for x, y in self._metres]
        self.radius_m = max(median(out), 1.0)
        self._nearest_first: dict[int, list[int]] = {}
        self.centrality = [math.exp(-((each / self.radius_m) ** 2)) for each in out]

    def distance_m(self, one: int, other: int) -> float:
        """As the crow flies."""
        (x1, y1), (x2, y2) = self._metres[one], self._metres[other]
        return math.hypot(x2 - x1, y2 - y1)

    def nearest_first(self, station: int) -> list[int]:
        """All other stations, the nearest first."""
        if station not in self._nearest_first:
            others = (each for each in range(len(self._metres)) if each != station)
            self._nearest_first[station] = sorted(others, key=lambda each: self.distance_m(station, each))
        return self._nearest_first[station]


class Demand:
    """What riders want of a city with at least two stations, whether or not it can be had.

    `riders_per_hour` is the mean over a day. Nothing is remembered but the chance that is drawn from.
    """

    def __init__(
        self, places: Places, capacities: Sequence[int], timezone: ZoneInfo, riders_per_hour: float
    ) -> None:
        self._places = places
        self._timezone = timezone
        self._reach_m = 1.5 * places.radius_m
        self._capacity_up_to = list(accumulate(max(each, 1) for each in capacities))
        self._rush_per_ms = riders_per_hour * _RUSH / _HOUR_MS
        self._offsets: dict[int, int] = {}

    def next_ride_ms(self, chance: Random, after_ms: int) -> int:
        """When the next rider comes to a station, by thinning the rush hour's crowd."""
        at = float(after_ms)
        while True:
            at += chance.expovariate(self._rush_per_ms)
            if chance.random() * _RUSH < CROWDS[self._local_minute(int(at))]:
                return int(at) + 1

    def trip(self, chance: Random, at_ms: int) -> tuple[int, int]:
        """Where a rider sets out and where to: two different stations, by their places in the list."""
        tide = TIDE[self._local_minute(at_ms)]
        origin = self._any_station(chance)
        while chance.random() > self._with_tide(origin, -tide):
            origin = self._any_station(chance)
        for _ in range(_TRIES):
            goal = self._any_station(chance)
            near = math.exp(-self._places.distance_m(origin, goal) / self._reach_m)
            if goal != origin and chance.random() < near * self._with_tide(goal, tide):
                return origin, goal
        return origin, goal if goal != origin else (origin + 1) % len(self._capacity_up_to)

    def _any_station(self, chance: Random) -> int:
        """A large station is chosen more often, in proportion to its docks."""
        return bisect(self._capacity_up_to, chance.random() * self._capacity_up_to[-1])

    def _with_tide(self, station: int, tide: float) -> float:
        """How likely a station is kept, 0 to 1, where the tide pulls to the centre (or, negative, off it)."""
        pull = _TIDE_PULL * tide * (2 * self._places.centrality[station] - 1)
        return (1 + pull) / (1 + _TIDE_PULL)

    def _local_minute(self, at_ms: int) -> int:
        # A zone's offset changes on whole hours of UTC; asking the zone for each rider would cost more
        # than the rider does.
        hour = at_ms // _HOUR_MS
        if hour not in self._offsets:
            offset = datetime.fromtimestamp(hour * 3600, UTC).astimezone(self._timezone).utcoffset()
            self._offsets = {hour: round(offset.total_seconds() / 60) if offset else 0}
        return (at_ms // 60_000 + self._offsets[hour]) % _DAY_MINUTES
