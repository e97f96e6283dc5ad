"""The rows of GBFS's feeds, and what they mean. They are the same in all versions but for how a time and a text are
written, and for words: GBFS 3 says `vehicles` where the others say `bikes`. A producer who uses another version's word
means the same, so both are read in all versions. So are these, which are not by the letter but what producers write,
and mean one thing only:

- a flag as 0 or 1, as GBFS 1 has it, in all versions, or as a text;
- an id as a whole number, which stands for its digits: identity needs the same text at every poll;
- a number as a text (`"59.91"`), a POSIX time as a text, and `"null"`.

A row is held to its types first, and read so leniently only where that fails. What would have to be guessed is
rejected: milliseconds for seconds, `"yes"`, 3.5 bikes, `"03"`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

from bike_assets.model.answers import StationRow
from bike_assets.model.constants import DOCKS_NOT_GIVEN, MAX_COUNT
from bike_assets.model.readings import Reading, VehicleReading
from bike_assets.sources.rows import UNREADABLE, Count, Latitude, Longitude, Rows, Text, Words, docks

Flag = bool | Literal[0, 1]
"""GBFS 1 has numbers."""

Share = Annotated[float, Meta(ge=0, le=1)]
Metres = Annotated[float, Meta(ge=0, le=1e9)]  # a bound keeps out infinity, which JSON cannot give back

Time = TypeVar("Time")
Said = TypeVar("Said")
Data = TypeVar("Data")
Row = TypeVar("Row")


class Feed(Struct, Generic[Time, Data]):
    """The envelope of every feed; `ttl` and `version` are read where feeds are planned and dispatched."""

    last_updated: Time
    data: Data


class TypeCount(Struct, frozen=True, gc=False):
    """How many vehicles of one type a station has."""

    vehicle_type_id: str
    count: Count


class DockCount(Struct, frozen=True, gc=False):
    """How many docks of one kind are free. GBFS 2.2 allows any number here, the others whole ones."""

    count: Annotated[float, Meta(ge=0)]


class Station(Struct, Generic[Time], gc=False):
    """A row of station_status."""

    station_id: Text
    is_installed: Flag
    is_renting: Flag
    is_returning: Flag
    num_bikes_available: Count | None = None
    num_vehicles_available: Count | None = None
    num_docks_available: Count | None = None
    num_bikes_disabled: Count | None = None
    num_vehicles_disabled: Count | None = None
    num_docks_disabled: Count | None = None
    vehicle_types_available: tuple[TypeCount, ...] | None = None
    vehicle_docks_available: tuple[DockCount, ...] | None = None
    last_reported: Time | None = None


class Place(Struct, Generic[Said]):
    """A row of station_information."""

    station_id: Text
    name: Said
    lat: Latitude
    lon: Longitude
    address: Words | None = None
    capacity: Count | None = None


class System(Struct, Generic[Said]):
    """The data of system_information."""

    name: Said
    operator: Said | None = None
    timezone: Words | None = None


class VehicleType(Struct):
    """A row of vehicle_types."""

    vehicle_type_id: Text
    propulsion_type: str
    max_range_meters: Metres | None = None


class Vehicle(Struct, gc=False):
    """A row of vehicle_status, or of free_bike_status."""

    is_reserved: Flag
    is_disabled: Flag
    vehicle_id: Text | None = None
    bike_id: Text | None = None
    vehicle_type_id: Words | None = None
    station_id: Words | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
    current_fuel_percent: Share | None = None
    current_range_meters: Metres | None = None


class Stations(Struct, Generic[Row]):
    """The data of station_status and of station_information."""

    stations: Rows[Row]


class Vehicles(Struct, Generic[Row]):
    """The data of vehicle_status, or of free_bike_status."""

    vehicles: Rows[Row] | None = None
    bikes: Rows[Row] | None = None

    @property
    def rows(self) -> list[Row]:
        """By whichever name they stand. Raises ValidationError where by none."""
        rows = self.bikes if self.vehicles is None else self.vehicles
        if rows is None:
            raise msgspec.ValidationError("Object has neither vehicles nor bikes - at $.data")
        return rows


class Types(Struct):
    """The data of vehicle_types."""

    vehicle_types: Rows[Raw]


_plain = Decoder().decode


def leniently(kind: type[Row]) -> Callable[[Raw | bytes], Row]:
    """Reads a row as `kind`: by its types, or else as the module's docstring tells."""
    strict = Decoder(kind).decode

    def decode(raw: Raw | bytes) -> Row:
        try:
            return strict(raw)
        except UNREADABLE:
            return msgspec.convert(_with_ids_as_text(_plain(raw)), kind, strict=False)

    return decode


def _with_ids_as_text(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_ids_as_text(each) for each in part]
    if isinstance(part, dict):
        return {name: _id_as_text(value) if name.endswith("_id") else _with_ids_as_text(value)
                for name, value in part.items()}  # fmt: skip
    return part


def _id_as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value  # True is an int too, and no id


def row_of(
    electric_types: frozenset[str] | None, station: Station[Any], reported_at: datetime | None
) -> StationRow:
    """What a row of station_status says. E-bikes are counted where `electric_types` are known, else null."""
    return StationRow(
        station_id=station.station_id,
        reading=Reading(
            bikes_available=station.num_bikes_available or 0,
            ebikes_available=_ebikes(electric_types, station.vehicle_types_available),
            docks_available=_docks(station),
            bikes_disabled=_first(station.num_bikes_disabled, station.num_vehicles_disabled),
            docks_disabled=station.num_docks_disabled,
            is_installed=bool(station.is_installed),
            is_renting=bool(station.is_renting),
            is_returning=bool(station.is_returning),
        ),
        reported_at=reported_at,
    )


def _first(count: int | None, other: int | None) -> int | None:
    return other if count is None else count


def _ebikes(electric_types: frozenset[str] | None, counts: tuple[TypeCount, ...] | None) -> int | None:
    if electric_types is None or counts is None:
        return None
    ebikes = sum(each.count for each in counts if each.vehicle_type_id in electric_types)
    return ebikes if ebikes <= MAX_COUNT else None


def _docks(station: Station[Any]) -> int | None:
    """Free docks; where only those of each kind are given, their sum, to which the specification says they add up."""
    if station.num_docks_available is not None or not station.vehicle_docks_available:
        return docks(station.num_docks_available)
    counts = [each.count for each in station.vehicle_docks_available]
    return int(sum(counts)) if DOCKS_NOT_GIVEN not in counts and sum(counts) <= MAX_COUNT else None


def vehicle_of(row: Vehicle) -> tuple[str, VehicleReading]:
    """A vehicle's id and what its row says. Raises ValidationError where it has no id, or no place."""
    vehicle_id = row.vehicle_id or row.bike_id
    if vehicle_id is None:
        raise msgspec.ValidationError("Object has neither vehicle_id nor bike_id")
    if (row.lat is None) is not (row.lon is None):
        raise msgspec.ValidationError("Object has one of lat and lon without the other")
    station_id = row.station_id or None
    if row.lat is None and station_id is None:
        raise msgspec.ValidationError("Object has neither lat and lon nor station_id")
    share = row.current_fuel_percent
    return vehicle_id, VehicleReading(
        row.vehicle_type_id or None, station_id, row.lat, row.lon, bool(row.is_reserved), bool(row.is_disabled),
        None if share is None else round(share * 100, 1), row.current_range_meters,
    )  # fmt: skip
