"""What the page knows of vehicles: for each system the newest of every vehicle, and what they come to.

Viewers get the sums and a few vehicles, never all: a system can have a hundred thousand. Pure, as `live` is.
"""

from datetime import datetime
from heapq import nsmallest
from typing import NamedTuple

from msgspec import Struct

from bike_assets.dashboard.instants import ms
from bike_assets.model.constants import ABANDONED_AFTER, HIGH_BATTERY_PCT, LOW_BATTERY_PCT, TOP_CHARGED
from bike_assets.model.messages import VehicleFeedState, VehicleState

LONGEST = 10
"""So many of the abandoned are named, those that have stood for longest."""


class Charged(Struct, frozen=True):
    """One of the best charged that are available."""

    vehicle_id: str
    battery_pct: float


class Abandoned(Struct, frozen=True):
    """A vehicle that has not moved for ABANDONED_AFTER, and where it stands. `stands_since` is epoch ms."""

    vehicle_id: str
    station_id: str | None
    lat: float | None
    lon: float | None
    stands_since: int


class FleetRecord(Struct, frozen=True, kw_only=True):
    """A system's vehicles at its last good poll of them, as a viewer gets them. Instants are epoch ms."""

    key: str
    last_good_poll_at: int
    vehicles: int
    available: int
    reserved: int
    disabled: int
    abandoned: int
    low_battery: int
    medium_battery: int
    high_battery: int
    best_charged: list[Charged]
    longest_abandoned: list[Abandoned]


class FleetGone(NamedTuple):
    """A system that has no vehicles any more."""

    key: str


FleetUpdate = FleetRecord | FleetGone


class Fleets:
    """The newest of every vehicle, by system and id.

    A poll's vehicles come first and its system's own message last: only then is there something new to say, and it is
    worked out once for all that was read, by `settle`.
    """

    def __init__(self) -> None:
        self.records: dict[str, FleetRecord] = {}
        self._vehicles: dict[str, dict[str, VehicleState]] = {}
        self._polled: dict[str, VehicleFeedState] = {}
        self._unsettled: set[str] = set()

    def put(self, message: VehicleState | VehicleFeedState) -> None:
        """Take a message in."""
        if isinstance(message, VehicleState):
            self._vehicles.setdefault(message.system_id, {})[message.vehicle_id] = message
        else:
            self._polled[message.system_id] = message
            self._unsettled.add(message.system_id)

    def forget(self, key: str) -> None:
        """Take a tombstone in: of a vehicle, or of a system."""
        system_id, _, vehicle_id = key.partition("/")
        if vehicle_id:
            self._vehicles.get(system_id, {}).pop(vehicle_id, None)
        else:
            self._polled.pop(system_id, None)
            self._unsettled.add(system_id)

    def settle(self) -> list[FleetUpdate]:
        """Work out what is new, and give it."""
        unsettled, self._unsettled = sorted(self._unsettled), set()
        return [update for system_id in unsettled if (update := self._settled(system_id)) is not None]

    def _settled(self, system_id: str) -> FleetUpdate | None:
        polled = self._polled.get(system_id)
        if polled is None or polled.last_good_poll_at is None:
            return FleetGone(system_id) if self.records.pop(system_id, None) else None
        record = _record(system_id, self._vehicles.get(system_id, {}), polled.last_good_poll_at)
        if record == self.records.get(system_id):
            return None
        self.records[system_id] = record
        return record


def _record(system_id: str, by_id: dict[str, VehicleState], at: datetime) -> FleetRecord:
    vehicles = by_id.values()
    free = [each for each in vehicles if not (each.is_reserved or each.is_disabled)]
    batteries = [each.battery_pct for each in vehicles if each.battery_pct is not None]
    abandoned = [each for each in vehicles if at - each.stands_since >= ABANDONED_AFTER]
    low = sum(each < LOW_BATTERY_PCT for each in batteries)
    high = sum(each >= HIGH_BATTERY_PCT for each in batteries)
    return FleetRecord(
        key=system_id,
        last_good_poll_at=ms(at),
        vehicles=len(vehicles),
        available=len(free),
        reserved=sum(each.is_reserved for each in vehicles),
        disabled=sum(each.is_disabled for each in vehicles),
        abandoned=len(abandoned),
        low_battery=low,
        medium_battery=len(batteries) - low - high,
        high_battery=high,
        best_charged=_best_charged(free),
        longest_abandoned=[
            Abandoned(each.vehicle_id, each.station_id, each.lat, each.lon, ms(each.stands_since))
            for each in nsmallest(LONGEST, abandoned, key=lambda each: (each.stands_since, each.vehicle_id))
        ],
    )


def _best_charged(free: list[VehicleState]) -> list[Charged]:
    """Of equals the first by id."""
    known = (Charged(each.vehicle_id, each.battery_pct) for each in free if each.battery_pct is not None)
    return nsmallest(TOP_CHARGED, known, key=lambda each: (-each.battery_pct, each.vehicle_id))
