"""What one poll says of one station, and the state that follows from it."""

from enum import StrEnum
from typing import NamedTuple


class Reading(NamedTuple):
    """The counts and flags of a station. None where the feed does not give them.

    `last_reported` is no part of it: it moves at nearly every poll, and a move of it is no change.
    """

    bikes_available: int
    ebikes_available: int | None
    docks_available: int | None
    bikes_disabled: int | None
    docks_disabled: int | None
    is_installed: bool
    is_renting: bool
    is_returning: bool


class State(StrEnum):
    """A station's state at an instant; the first that applies, in this order."""

    UNKNOWN = "unknown"
    CLOSED = "closed"
    EMPTY = "empty"
    FULL = "full"
    AVAILABLE = "available"


def is_open(reading: Reading) -> bool:
    """Installed, renting and returning: a rider can take a bike and bring one back."""
    return reading.is_installed and reading.is_renting and reading.is_returning


def state_of(reading: Reading) -> State:
    """The state that a reading shows. Where docks are not given, a station is never full."""
    if not is_open(reading):
        return State.CLOSED
    if reading.bikes_available == 0:
        return State.EMPTY
    if reading.docks_available == 0:
        return State.FULL
    return State.AVAILABLE


class VehicleReading(NamedTuple):
    """What one poll says of one vehicle. None where the feed does not give it.

    A place is `lat` and `lon`, both or neither, or a station, or all three. `battery_pct` is 0 to 100.
    """

    vehicle_type: str | None
    station_id: str | None
    lat: float | None
    lon: float | None
    is_reserved: bool
    is_disabled: bool
    battery_pct: float | None
    range_m: float | None
