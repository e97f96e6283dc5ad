"""What the page knows: the newest message of every station, system and vehicle, as it is sent to viewers.

Pure: no clock, no network, no thread.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Struct

from bike_assets.dashboard.fleets import FleetGone, FleetRecord, Fleets, FleetUpdate
from bike_assets.dashboard.instants import ms, ms_or_none
from bike_assets.model.constants import MAX_GAP
from bike_assets.model.messages import (
    StationInformation,
    StationState,
    SystemInformation,
    SystemState,
    VehicleFeedState,
    VehicleState,
)
from bike_assets.model.readings import State
from bike_assets.model.topics import STATION_INFORMATION, STATION_STATE, VEHICLE_STATE, station_key


class Forgotten(NamedTuple):
    """A tombstone: the topic has no message for this key any more."""

    topic: str
    key: str


Message = (
    StationState | SystemState | StationInformation | SystemInformation | VehicleState | VehicleFeedState | Forgotten
)


class StationRecord(Struct, array_like=True, frozen=True, kw_only=True):
    """A station as a viewer gets it: an array in the order of these fields. Instants are epoch ms.

    `name` to `has_payment_terminal` are null until the station has been described.
    """

    key: str
    system_id: str
    station_id: str
    name: str | None
    address: str | None
    lat: float | None
    lon: float | None
    capacity: int | None
    has_payment_terminal: bool | None
    bikes_available: int
    ebikes_available: int | None
    docks_available: int | None
    bikes_disabled: int | None
    docks_disabled: int | None
    is_installed: bool
    is_renting: bool
    is_returning: bool
    state: State
    state_since: int
    reported_at: int | None
    changed_at: int
    absent_since: int | None
    last_seen_at: int | None


class SystemRecord(Struct, array_like=True, frozen=True, kw_only=True):
    """A system as a viewer gets it: an array in the order of these fields. Instants are epoch ms."""

    key: str
    name: str | None
    operator: str | None
    city: str | None
    country: str | None
    timezone: str
    last_good_poll_at: int | None


class Gone(NamedTuple):
    """A station or system that is no more."""

    key: str


Update = StationRecord | SystemRecord | Gone | FleetUpdate


class Snapshot(Struct, frozen=True):
    """Everything that a new viewer needs; `*_fields` name the places of the arrays."""

    station_fields: tuple[str, ...]
    system_fields: tuple[str, ...]
    max_gap_ms: int
    stations: list[StationRecord]
    systems: list[SystemRecord]
    fleets: list[FleetRecord]


class Changes(Struct, frozen=True):
    """What changed since the last frame, whole records, each key at most once."""

    stations: list[StationRecord]
    systems: list[SystemRecord]
    gone: list[str]
    fleets: list[FleetRecord] = []
    fleets_gone: list[str] = []

    def __bool__(self) -> bool:
        return any((self.stations, self.systems, self.gone, self.fleets, self.fleets_gone))


class LiveState:
    """The newest of everything, by key. A station is shown once it has a reading, described or not."""

    def __init__(self) -> None:
        self.stations: dict[str, StationRecord] = {}
        self.systems: dict[str, SystemRecord] = {}
        self._readings: dict[str, StationState] = {}
        self._descriptions: dict[str, StationInformation] = {}
        self._memories: dict[str, SystemState] = {}
        self._informations: dict[str, SystemInformation] = {}
        self._fleets = Fleets()

    def apply(self, message: Message) -> Update | None:
        """Take a message in. Gives what viewers must be told, or None where nothing they see changed.

        What is said of vehicles `settle` gives, once for many messages.
        """
        match message:
            case VehicleState() | VehicleFeedState():
                self._fleets.put(message)
                return None
            case Forgotten(topic=VEHICLE_STATE.name):
                self._fleets.forget(message.key)
                return None
            case StationState():
                key = station_key(message.system_id, message.station_id)
                self._readings[key] = message
            case StationInformation():
                key = station_key(message.system_id, message.station_id)
                self._descriptions[key] = message
            case SystemState():
                key = message.system_id
                self._memories[key] = message
            case SystemInformation():
                key = message.system_id
                self._informations[key] = message
            case Forgotten():
                key = message.key
                self._parts(message).pop(key, None)
        return self._refresh_station(key) if "/" in key else self._refresh_system(key)

    def settle(self) -> list[FleetUpdate]:
        """What viewers must be told of vehicles after all that was read."""
        return self._fleets.settle()

    def snapshot(self) -> Snapshot:
        """All that is shown."""
        return Snapshot(
            station_fields=StationRecord.__struct_fields__,
            system_fields=SystemRecord.__struct_fields__,
            max_gap_ms=round(MAX_GAP.total_seconds() * 1000),
            stations=list(self.stations.values()),
            systems=list(self.systems.values()),
            fleets=list(self._fleets.records.values()),
        )

    def _parts(self, forgotten: Forgotten) -> dict[str, Any]:
        """Where the forgotten message was kept."""
        if forgotten.topic == STATION_STATE.name:
            return self._readings if "/" in forgotten.key else self._memories
        return self._descriptions if forgotten.topic == STATION_INFORMATION.name else self._informations

    def _refresh_station(self, key: str) -> Update | None:
        reading = self._readings.get(key)
        if reading is None:
            return Gone(key) if self.stations.pop(key, None) else None
        record = _station_record(key, reading, self._descriptions.get(key))
        if record == self.stations.get(key):
            return None
        self.stations[key] = record
        return record

    def _refresh_system(self, key: str) -> Update | None:
        memory, information = self._memories.get(key), self._informations.get(key)
        if memory is None and information is None:
            return Gone(key) if self.systems.pop(key, None) else None
        record = _system_record(key, memory, information)
        if record == self.systems.get(key):
            return None
        self.systems[key] = record
        return record


class SystemSummary(Struct, kw_only=True):
    """A system and its stations by state at an instant; bikes are those at open stations."""

    system_id: str
    name: str | None
    timezone: str
    last_good_poll_at: int | None
    stations: int = 0
    available: int = 0
    empty: int = 0
    full: int = 0
    closed: int = 0
    unknown: int = 0
    bikes_available: int = 0


def summaries(live: LiveState, now: datetime) -> list[SystemSummary]:
    """One summary a system, by id. Systems that nobody has described yet are there by their stations."""
    found: dict[str, SystemSummary] = {}
    for key in sorted(live.systems.keys() | {station.system_id for station in live.stations.values()}):
        system = live.systems.get(key) or _system_record(key, None, None)
        found[key] = SystemSummary(
            system_id=key,
            name=system.name,
            timezone=system.timezone,
            last_good_poll_at=system.last_good_poll_at,
        )
    for station in live.stations.values():
        summary = found[station.system_id]
        state = shown_state(station, summary.last_good_poll_at, now)
        summary.stations += 1
        setattr(summary, state.value, getattr(summary, state.value) + 1)
        if state in (State.AVAILABLE, State.FULL):
            summary.bikes_available += station.bikes_available
    return list(found.values())


def shown_state(station: StationRecord, last_good_poll_at: int | None, now: datetime) -> State:
    """The station's state now: unknown once it is absent, or nobody has looked for MAX_GAP."""
    if station.absent_since is not None or last_good_poll_at is None:
        return State.UNKNOWN
    gap_s = now.timestamp() - last_good_poll_at / 1000
    return State.UNKNOWN if gap_s > MAX_GAP.total_seconds() else station.state


def changes(updates: Iterable[Update]) -> Changes:
    """A frame of updates, one a key."""
    found = Changes([], [], [], [], [])
    for update in updates:
        match update:
            case StationRecord():
                found.stations.append(update)
            case SystemRecord():
                found.systems.append(update)
            case Gone():
                found.gone.append(update.key)
            case FleetRecord():
                found.fleets.append(update)
            case FleetGone():
                found.fleets_gone.append(update.key)
    return found


def _station_record(key: str, reading: StationState, described: StationInformation | None) -> StationRecord:
    return StationRecord(
        key=key,
        system_id=reading.system_id,
        station_id=reading.station_id,
        name=described.name if described else None,
        address=described.address if described else None,
        lat=described.lat if described else None,
        lon=described.lon if described else None,
        capacity=described.capacity if described else None,
        has_payment_terminal=described.has_payment_terminal if described else None,
        bikes_available=reading.bikes_available,
        ebikes_available=reading.ebikes_available,
        docks_available=reading.docks_available,
        bikes_disabled=reading.bikes_disabled,
        docks_disabled=reading.docks_disabled,
        is_installed=reading.is_installed,
        is_renting=reading.is_renting,
        is_returning=reading.is_returning,
        state=reading.state,
        state_since=ms(reading.state_since),
        reported_at=ms_or_none(reading.reported_at),
        changed_at=ms(reading.changed_at),
        absent_since=ms_or_none(reading.absent_since),
        last_seen_at=ms_or_none(reading.last_seen_at),
    )


def _system_record(key: str, memory: SystemState | None, described: SystemInformation | None) -> SystemRecord:
    return SystemRecord(
        key=key,
        name=described.name if described else None,
        operator=described.operator if described else None,
        city=described.city if described else None,
        country=described.country if described else None,
        timezone=described.timezone if described else "UTC",
        last_good_poll_at=ms_or_none(memory.last_good_poll_at) if memory else None,
    )

