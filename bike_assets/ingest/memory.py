"""What is remembered of a system between two polls: all of it can be read back from Kafka."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import msgspec

from bike_assets.model.answers import Description, StationPoll
from bike_assets.model.messages import (
    StationInformation,
    StationState,
    SystemInformation,
    SystemState,
    VehicleFeedState,
    VehicleState,
)
from bike_assets.model.readings import Reading, State, VehicleReading


class Known(NamedTuple):
    """The last accepted reading of a station and the state it is in.

    `absent_since` and `last_seen_at` are set once it is missing from a good poll.
    """

    reading: Reading
    state: State
    state_since: datetime
    reported_at: datetime | None
    absent_since: datetime | None = None
    last_seen_at: datetime | None = None


_READINGS: dict[Reading, Reading] = {}
_READINGS_KEPT = 50_000


def one_of(reading: Reading) -> Reading:
    """The one object for all equal readings: a quarter of a million stations share a few thousand."""
    if len(_READINGS) > _READINGS_KEPT:
        _READINGS.clear()
    return _READINGS.setdefault(reading, reading)


@dataclass(slots=True)
class Totals:
    """A system's stations and bikes at its last good poll, kept up by additions and removals."""

    stations: int = 0
    states: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    bikes: int = 0
    docks: int = 0
    docks_given: int = 0
    ebikes: int = 0
    ebikes_given: int = 0
    bikes_with_docks: int = 0

    def count(self, known: Known, sign: int) -> None:
        """Add (`sign` 1) or take away (-1) one station."""
        self.stations += sign
        self.states[known.state] += sign
        if known.state is State.CLOSED:
            return
        bikes, ebikes, docks = known.reading[:3]
        self.bikes += sign * bikes
        if docks is not None:
            self.docks += sign * docks
            self.docks_given += sign
            self.bikes_with_docks += sign * bikes
        if ebikes is not None:
            self.ebikes += sign * ebikes
            self.ebikes_given += sign

    def as_columns(self) -> dict[str, int | None]:
        """The totals of a poll record; docks and e-bikes are null where no open station gives them."""
        return {
            "stations": self.stations,
            "empty": self.states[State.EMPTY],
            "full": self.states[State.FULL],
            "closed": self.states[State.CLOSED],
            "bikes_available": self.bikes,
            "docks_available": self.docks if self.docks_given else None,
            "ebikes_available": self.ebikes if self.ebikes_given else None,
            "bikes_with_docks": self.bikes_with_docks if self.docks_given else None,
        }


class KnownVehicle(NamedTuple):
    """What the last event of a vehicle said, and since when it has not moved."""

    reading: VehicleReading
    stands_since: datetime


@dataclass(slots=True)
class VehicleMemory:
    """A system's vehicles, those alone that its last good poll of them listed."""

    last_good_poll_at: datetime | None = None
    feed_updated_at: datetime | None = None
    feed_has_advanced: bool = False
    ranges_m: dict[str, float] = field(default_factory=dict)
    known: dict[str, KnownVehicle] = field(default_factory=dict)

    def copied(self) -> "VehicleMemory":
        """Another that can move on without this one."""
        return replace(self, ranges_m=dict(self.ranges_m), known=dict(self.known))

    def as_state(self, system_id: str) -> VehicleFeedState:
        """What goes into `vehicle_state` for the system itself."""
        return VehicleFeedState(
            system_id=system_id,
            last_good_poll_at=self.last_good_poll_at,
            feed_updated_at=self.feed_updated_at,
            feed_has_advanced=self.feed_has_advanced,
            ranges_m=self.ranges_m,
        )


@dataclass(slots=True)
class SystemMemory:
    """One system. `last_poll` is the last good poll with a body: what the next is compared with.

    It is not in Kafka; without it a body is compared station by station. Nor is `crowded_out`, the absent stations that
    were forgotten early and of which nobody was told yet.
    """

    system_id: str
    observed_at: dict[str, datetime] = field(default_factory=dict)
    last_good_poll_at: datetime | None = None
    feed_updated_at: datetime | None = None
    feed_has_advanced: bool = False
    electric_types: frozenset[str] | None = None
    is_shared_feed: bool = False
    stations: dict[str, Known] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    descriptions: dict[str, Description] = field(default_factory=dict)
    unlisted_since: dict[str, datetime] = field(default_factory=dict)
    information: SystemInformation | None = None
    last_poll: StationPoll | None = None
    shaped_at: dict[str, datetime] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    vehicles: VehicleMemory = field(default_factory=VehicleMemory)
    crowded_out: int = 0

    def copied(self) -> "SystemMemory":
        """Another that can move on without this one: what is known of a station is never changed in place."""
        return replace(
            self,
            observed_at=dict(self.observed_at),
            stations=dict(self.stations),
            absent=set(self.absent),
            descriptions=dict(self.descriptions),
            shaped_at=dict(self.shaped_at),
            totals=replace(self.totals, states=dict(self.totals.states)),
            vehicles=self.vehicles.copied(),
        )

    def remember(self, station_id: str, known: Known) -> None:
        """Put a station into its new state, and the totals with it."""
        self._uncount(station_id)
        self.stations[station_id] = known
        if known.absent_since is None:
            self.absent.discard(station_id)
            self.totals.count(known, 1)
        else:
            self.absent.add(station_id)

    def forget(self, station_id: str) -> None:
        """A station that has been absent for so long that it is reported no more."""
        self._uncount(station_id)
        del self.stations[station_id]
        self.absent.discard(station_id)

    def _uncount(self, station_id: str) -> None:
        before = self.stations.get(station_id)
        if before is not None and before.absent_since is None:
            self.totals.count(before, -1)

    def as_state(self) -> SystemState:
        """What goes into `station_state` for the system itself."""
        return SystemState(
            system_id=self.system_id,
            observed_at=dict(self.observed_at),
            last_good_poll_at=self.last_good_poll_at,
            feed_updated_at=self.feed_updated_at,
            feed_has_advanced=self.feed_has_advanced,
            electric_types=None if self.electric_types is None else sorted(self.electric_types),
            is_shared_feed=self.is_shared_feed,
            shaped_at=dict(self.shaped_at),
            unlisted_since=self.unlisted_since,
        )


def station_state(system_id: str, station_id: str, known: Known, changed_at: datetime) -> StationState:
    """What goes into `station_state` for a station."""
    # By position: a quarter of the time that keywords take.
    return StationState(
        system_id, station_id, changed_at, *known.reading, known.state, known.state_since, known.reported_at,
        known.absent_since, known.last_seen_at,
    )  # fmt: skip


def vehicle_state(system_id: str, vehicle_id: str, known: KnownVehicle, changed_at: datetime) -> VehicleState:
    """What goes into `vehicle_state` for a vehicle."""
    return VehicleState(system_id, vehicle_id, changed_at, *known.reading, known.stands_since)


class Memories(dict[str, SystemMemory]):
    """The memories of one partition's systems, made at first use.

    `unreadable` is how many messages could not be read when they were read back.
    """

    unreadable = 0

    def __missing__(self, system_id: str) -> SystemMemory:
        memory = self[system_id] = SystemMemory(system_id)
        return memory


def recall(
    states: Iterable[StationState | SystemState],
    stations: Iterable[StationInformation],
    systems: Iterable[SystemInformation],
    vehicles: Iterable[VehicleState | VehicleFeedState] = (),
) -> Memories:
    """The memories that the newest messages of the two state topics and the two information topics make."""
    memories = Memories()
    for state in states:
        memory = memories[state.system_id]
        if isinstance(state, StationState):
            memory.remember(state.station_id, _known(state))
        else:
            for name in ("observed_at", "last_good_poll_at", "feed_updated_at", "feed_has_advanced",
                         "is_shared_feed", "shaped_at", "unlisted_since"):
                setattr(memory, name, getattr(state, name))
            memory.electric_types = None if state.electric_types is None else frozenset(state.electric_types)
    for info in stations:
        fields = msgspec.structs.asdict(info)
        described = {name: fields[name] for name in Description.__struct_fields__}
        memories[info.system_id].descriptions[info.station_id] = Description(**described)
    for system in systems:
        memories[system.system_id].information = system
    for vehicle in vehicles:
        own = memories[vehicle.system_id].vehicles
        if isinstance(vehicle, VehicleState):
            reading = VehicleReading(*(getattr(vehicle, name) for name in VehicleReading._fields))
            own.known[vehicle.vehicle_id] = KnownVehicle(reading, vehicle.stands_since)
        else:
            for name in ("last_good_poll_at", "feed_updated_at", "feed_has_advanced", "ranges_m"):
                setattr(own, name, getattr(vehicle, name))
    return memories


def _known(state: StationState) -> Known:
    return Known(
        one_of(Reading(*(getattr(state, name) for name in Reading._fields))),
        state.state,
        state.state_since,
        state.reported_at,
        state.absent_since,
        state.last_seen_at,
    )
