"""A city of bike stations, with riders, vans and mishaps: for one seed and start always the same.

What happens is a heap of events; chance is drawn only as events happen, in their order, so the state at
an instant does not depend on how many steps led there. Time is given, never read.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from zlib import crc32
from zoneinfo import ZoneInfo

from bike_assets.simulator.clock import EPOCH, HOUR_MS, MINUTE_MS, epoch_ms
from bike_assets.simulator.demand import Demand, Places
from bike_assets.simulator.fleet import Fleet

REPORT_MS = 10 * 60 * 1000
"""A station reports at least so often, changed or not."""
VAN_BIKES = (5, 12)

_LONGEST_CLOSURE_MS = 90 * MINUTE_MS
_RIDING_M_PER_S = 6.0
_DETOUR = 1.3
"""Streets are longer than the crow's way."""


@dataclass(slots=True)
class SimStation:
    """A station and its levels. `docks_blocked` neither hold a bike nor take one.

    `ebikes` are those of `bikes` that are electric. A station that is not `is_described` stands in the
    status of a GBFS feed but not in its information, as some real ones do; `lat` and `lon` are then a guess.
    """

    station_id: str
    name: str
    address: str | None
    lat: float
    lon: float
    capacity: int
    bikes: int
    ebikes: int = 0
    docks_blocked: int = 0
    has_payment_terminal: bool = False
    is_described: bool = True
    is_open: bool = True
    is_in_feed: bool = True
    changed_ms: int = 0

    @property
    def docks(self) -> int:
        """Docks that a bike can be returned to."""
        return self.capacity - self.docks_blocked - self.bikes

    @property
    def is_usable(self) -> bool:
        return self.is_open and self.is_in_feed

    def reported_ms(self, now_ms: int) -> int:
        """When it last reported, ms since 1970: at its last change, or at its own beat since."""
        own_beat = crc32(self.station_id.encode()) % REPORT_MS
        return max(self.changed_ms, now_ms - (now_ms - own_beat) % REPORT_MS)


@dataclass(frozen=True, slots=True)
class Habits:
    """How much happens in a city, as means; zero means never."""

    riders_per_hour: float
    vans_per_hour: float
    closures_per_hour: float
    vanishings_per_hour: float


@dataclass(frozen=True, slots=True)
class Load:
    """Bikes under way, by rider or van, to a station (its place in the list)."""

    goal: int
    bikes: int
    ebikes: int


@dataclass(frozen=True, slots=True)
class Ride:
    """A bike that went from one station to another at an instant."""

    at: datetime
    origin: SimStation
    goal: SimStation


class City:
    """One system: its stations now, and what is yet to happen. `advance` moves it on.

    `name` is the contract's for a JCDecaux system; `fleet` are vehicles beside the stations. Raises ValueError for
    stations that cannot be.
    """

    def __init__(
        self, system_id: str, name: str, stations: Sequence[SimStation], seed: int, start: datetime,
        timezone: str, habits: Habits, fleet: Fleet | None = None,
    ) -> None:
        _check(stations)
        self.fleet = fleet
        self.system_id, self.name, self.timezone = system_id, name, timezone
        self.now_ms = epoch_ms(start)
        self.stations = [replace(each) for each in stations]
        self._chance = Random(f"{seed}/{system_id}")
        self._places = Places([(each.lat, each.lon) for each in stations])
        self._demand = Demand(
            self._places, [each.capacity for each in stations], ZoneInfo(timezone), habits.riders_per_hour
        )
        self._events: list[tuple[int, int, Callable[..., None], Load | SimStation | None]] = []
        self._scheduled = 0
        self._habits = habits
        if habits.riders_per_hour:
            self._at(self._demand.next_ride_ms(self._chance, self.now_ms), self._rider)
        self._again(self._van, habits.vans_per_hour)
        self._again(self._closure, habits.closures_per_hour)
        self._again(self._vanishing, habits.vanishings_per_hour)
        for station in self.stations:
            if not station.is_open:
                self._at(self.now_ms + _LONGEST_CLOSURE_MS, self._reopening, station)

    @property
    def under_way(self) -> list[Load]:
        """What riders and vans have with them, in the order of arrival."""
        return [what for *_, what in sorted(self._events, key=lambda event: event[:2])
                if isinstance(what, Load)]

    @property
    def changed_ms(self) -> int:
        """When a station last changed, ms since 1970."""
        return max(each.changed_ms for each in self.stations)

    def _at(self, at_ms: int, do: Callable[..., None], what: Load | SimStation | None = None) -> None:
        self._scheduled += 1
        heapq.heappush(self._events, (at_ms, self._scheduled, do, what))

    def _again(self, do: Callable[..., None], per_hour: float) -> None:
        """Schedule the next of events that come at random, so many an hour."""
        if per_hour:
            self._at(self.now_ms + 1 + int(self._chance.expovariate(per_hour / HOUR_MS)), do)

    def _between_ms(self, low: float, high: float) -> int:
        return int(self._chance.uniform(low, high))

    def _rider(self, _: None) -> None:
        """A rider comes to a station, and gives up where there is no bike."""
        self._at(self._demand.next_ride_ms(self._chance, self.now_ms), self._rider)
        origin, goal = self._demand.trip(self._chance, self.now_ms)
        station = self.stations[origin]
        if station.is_usable and station.bikes:
            electric = self._chance.random() * station.bikes < station.ebikes
            self._leave(station, 1, int(electric))
            self._send(Load(goal, 1, int(electric)), origin)

    def _send(self, load: Load, origin: int) -> None:
        riding_s = _DETOUR * self._places.distance_m(origin, load.goal) / _RIDING_M_PER_S
        ms = int(riding_s * 1000 * self._chance.uniform(0.8, 1.5))
        self._at(self.now_ms + MINUTE_MS + ms, self._arrive, load)

    def _leave(self, station: SimStation, bikes: int, ebikes: int) -> None:
        station.bikes -= bikes
        station.ebikes -= ebikes
        station.changed_ms = self.now_ms

    def _arrive(self, load: Load) -> None:
        """Bikes come to their station; those that find no dock go on to the nearest that has one."""
        station = self.stations[load.goal]
        fitting = min(load.bikes, station.docks) if station.is_usable else 0
        electric = min(load.ebikes, fitting)
        if fitting:
            self._leave(station, -fitting, -electric)
        if fitting < load.bikes:
            left = Load(self._nearest_with_dock(load.goal), load.bikes - fitting, load.ebikes - electric)
            self._send(left, load.goal)

    def _nearest_with_dock(self, near: int) -> int:
        """The same station where no other has one: its riders wait."""
        others = ((i, self.stations[i]) for i in self._places.nearest_first(near))
        return next((i for i, each in others if each.is_usable and each.docks), near)

    def _van(self, _: None) -> None:
        """A van takes bikes from the fullest station to the emptiest, in one step each, within a minute."""
        self._again(self._van, self._habits.vans_per_hour)
        wanted, drive_ms = self._chance.randint(*VAN_BIKES), self._between_ms(20_000, 55_000)
        usable = [i for i, each in enumerate(self.stations) if each.is_usable]
        if len(usable) < 2:
            return
        fullest, emptiest = (pick(usable, key=lambda i: self._fill(self.stations[i])) for pick in (max, min))
        source = self.stations[fullest]
        bikes = min(wanted, source.bikes, self.stations[emptiest].docks)
        if bikes >= VAN_BIKES[0] and fullest != emptiest:
            ebikes = round(bikes * source.ebikes / source.bikes)
            self._leave(source, bikes, ebikes)
            self._at(self.now_ms + drive_ms, self._arrive, Load(emptiest, bikes, ebikes))

    @staticmethod
    def _fill(station: SimStation) -> float:
        return station.bikes / max(station.capacity, 1)

    def _closure(self, _: None) -> None:
        """A station closes, for ten minutes to an hour and a half."""
        self._again(self._closure, self._habits.closures_per_hour)
        station = self._chance.choice(self.stations)
        lasting_ms = self._between_ms(10 * MINUTE_MS, _LONGEST_CLOSURE_MS)
        if station.is_usable:
            station.is_open, station.changed_ms = False, self.now_ms
            self._at(self.now_ms + lasting_ms, self._reopening, station)

    def _reopening(self, station: SimStation) -> None:
        station.is_open, station.changed_ms = True, self.now_ms

    def _vanishing(self, _: None) -> None:
        """A station is missing from the status feed, for five minutes to an hour; nothing moves there."""
        self._again(self._vanishing, self._habits.vanishings_per_hour)
        station = self._chance.choice(self.stations)
        lasting_ms = self._between_ms(5 * MINUTE_MS, 60 * MINUTE_MS)
        # JCDecaux's feed is as new as its newest station: without that one it would seem to go back.
        newest = max((each for each in self.stations if each.is_in_feed), key=self._reported, default=None)
        if station.is_usable and station is not newest:
            station.is_in_feed = False
            self._at(self.now_ms + lasting_ms, self._coming_back, station)

    def _coming_back(self, station: SimStation) -> None:
        station.is_in_feed, station.changed_ms = True, self.now_ms

    def _reported(self, station: SimStation) -> int:
        return station.reported_ms(self.now_ms)

    def ride_now(self) -> Ride | None:
        """Move one bike at this instant, from the station with most bikes to the one with most docks.

        For measuring: a change whose instant is known. None where no two stations allow it.
        """
        usable = [each for each in self.stations if each.is_usable]
        origin = max(usable, key=lambda each: each.bikes, default=None)
        goal = max((each for each in usable if each is not origin), key=lambda each: each.docks, default=None)
        if origin is None or goal is None or not origin.bikes or not goal.docks:
            return None
        electric = int(origin.ebikes == origin.bikes)
        self._leave(origin, 1, electric)
        self._leave(goal, -1, -electric)
        return Ride(EPOCH + timedelta(milliseconds=self.now_ms), origin, goal)

    def advance(self, to: datetime) -> None:
        """Let happen all that happens up to and at `to`. An instant before the city's own changes nothing."""
        to_ms = epoch_ms(to)
        while self._events and self._events[0][0] <= to_ms:
            self.now_ms, _, do, what = heapq.heappop(self._events)
            do(what)
        self.now_ms = max(self.now_ms, to_ms)
        if self.fleet is not None:
            self.fleet.advance(self.now_ms)


def _check(stations: Sequence[SimStation]) -> None:
    if len({each.station_id for each in stations}) != len(stations) or len(stations) < 2:
        raise ValueError("a city has two stations or more, each with its own id")
    for each in stations:
        if not 0 <= each.ebikes <= each.bikes or each.docks < 0:
            raise ValueError(f"station {each.station_id}: its bikes cannot stand there: {each!r}")
