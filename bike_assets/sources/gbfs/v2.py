"""GBFS 2: `station_status`, `station_information`, `system_information`, `vehicle_types`.

Specification: https://github.com/MobilityData/gbfs/blob/v2.3/gbfs.md. Times are POSIX seconds. Every
parser raises FeedMalformed where the envelope is broken, and rejects the rows that are.
"""

from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Generic, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.json import Decoder

from bike_assets.model.answers import (
    Description,
    InformationPoll,
    RejectedRow,
    StationPoll,
    StationRow,
    SystemPoll,
    TypesPoll,
)
from bike_assets.model.constants import MAX_COUNT
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.readings import Reading
from bike_assets.sources.rows import (
    UNREADABLE,
    Count,
    Latitude,
    Longitude,
    Seconds,
    Text,
    Words,
    decoded,
    docks,
    from_seconds,
    sort_out,
    why,
)
from bike_assets.sources.texts import RowForm, Texts, number, take_apart

ELECTRIC = frozenset({"electric", "electric_assist"})

Data = TypeVar("Data")


class Feed(Struct, Generic[Data]):
    """The envelope of every feed; `ttl` and `version` are read where feeds are planned and dispatched."""

    last_updated: Seconds
    data: Data


class TypeCount(Struct, frozen=True, gc=False):
    """How many vehicles of one type a station has."""

    vehicle_type_id: str
    count: Count


class Station(Struct, gc=False):
    """A row of station_status. `num_vehicles_available` is GBFS 3's word, which some 2.3 feeds use."""

    station_id: Text
    is_installed: bool
    is_renting: bool
    is_returning: bool
    num_bikes_available: Count | None = None
    num_vehicles_available: Count | None = None
    num_docks_available: Count | None = None
    num_bikes_disabled: Count | None = None
    num_docks_disabled: Count | None = None
    vehicle_types_available: tuple[TypeCount, ...] | None = None
    last_reported: Seconds | None = None


class Place(Struct):
    """A row of station_information."""

    station_id: Text
    name: Words
    lat: Latitude
    lon: Longitude
    address: Words | None = None
    capacity: Count | None = None


class System(Struct):
    """The data of system_information."""

    name: Text
    operator: Words | None = None
    timezone: Words | None = None


class VehicleType(Struct):
    """A row of vehicle_types."""

    vehicle_type_id: Text
    propulsion_type: str


class _Stations(Struct):
    stations: list[Station]


class _RawStations(Struct):
    stations: list[Raw]


class _RawTypes(Struct):
    vehicle_types: list[Raw]


_decode_status = Decoder(Feed[_Stations]).decode
_status_rows = Decoder(Feed[_RawStations])
_type_rows = Decoder(Feed[_RawTypes])
_system = Decoder(Feed[System])
_decode_station = Decoder(Station).decode
_decode_place = Decoder(Place).decode
_decode_type = Decoder(VehicleType).decode

_station_id = attrgetter("station_id")
_type_id = attrgetter("vehicle_type_id")
_bikes = attrgetter("num_bikes_available")
_last_reported = attrgetter("last_reported")


def parse_station_status(
    body: bytes, system_id: str, electric_types: frozenset[str] | None = None, before: StationPoll | None = None
) -> StationPoll:
    """The stations of one poll. E-bikes are counted where `electric_types` are known, else null."""
    texts = before.texts.next(body) if before and before.texts else None
    if texts is not None:
        try:
            return _poll_of_texts(texts, electric_types)
        except UNREADABLE:
            pass
    return _read_whole(body, system_id, electric_types)


def _read_whole(body: bytes, system_id: str, electric_types: frozenset[str] | None) -> StationPoll:
    try:
        stations = _decode_status(body).data.stations
    except UNREADABLE:
        stations = []
    feed = _open("station_status", _status_rows, body, system_id)
    raws = feed.data.stations
    rejected: list[RejectedRow] = []
    if not stations or None in map(_bikes, stations) or len(set(map(_station_id, stations))) < len(stations):
        stations, rejected = sort_out(raws, _settled, _station_id, _last_reported)
    times = list(map(_last_reported, stations))
    stations = list(map(_form.without_time, stations))
    texts = None if rejected else take_apart(body, raws, stations, _form)
    if texts is not None:
        return _poll_of_texts(texts, electric_types)
    return StationPoll(
        rows=stations,
        times=times,
        id_of=_station_id,
        row_of=partial(_row_of, electric_types),
        instant=from_seconds,
        feed_updated_at=from_seconds(feed.last_updated),
        rows_in=len(raws),
        rejected=rejected,
    )


def _poll_of_texts(texts: Texts[Station], electric_types: frozenset[str] | None) -> StationPoll:
    return StationPoll(
        rows=texts.rows,
        times=texts.times,
        id_of=_station_id,
        row_of=partial(_row_of, electric_types),
        instant=_instant,
        feed_updated_at=from_seconds(_decode_status(texts.envelope).last_updated),
        rows_in=len(texts.rows),
        texts=texts,
    )


def _instant(written: bytes) -> datetime | None:
    return from_seconds(number(written))


def _settled(raw: Raw | bytes) -> Station:
    """A row whose `num_bikes_available` is set, by GBFS 3's word where need be."""
    station = _decode_station(raw)
    if station.num_bikes_available is None:
        if station.num_vehicles_available is None:
            raise msgspec.ValidationError("Object missing required field num_bikes_available")
        station.num_bikes_available = station.num_vehicles_available
    return station


_form = RowForm("last_reported", 10, _settled, _station_id)


def _row_of(
    electric_types: frozenset[str] | None, station: Station, reported_at: datetime | None
) -> StationRow:
    return StationRow(
        station_id=station.station_id,
        reading=Reading(
            bikes_available=station.num_bikes_available or 0,
            ebikes_available=_ebikes(electric_types, station.vehicle_types_available),
            docks_available=docks(station.num_docks_available),
            bikes_disabled=station.num_bikes_disabled,
            docks_disabled=station.num_docks_disabled,
            is_installed=station.is_installed,
            is_renting=station.is_renting,
            is_returning=station.is_returning,
        ),
        reported_at=reported_at,
    )


def _ebikes(electric_types: frozenset[str] | None, counts: tuple[TypeCount, ...] | None) -> int | None:
    if electric_types is None or counts is None:
        return None
    ebikes = sum(each.count for each in counts if each.vehicle_type_id in electric_types)
    return ebikes if ebikes <= MAX_COUNT else None


def parse_station_information(body: bytes, system_id: str) -> InformationPoll:
    """What the stations are; of two rows for one station the first stands."""
    feed = _open("station_information", _status_rows, body, system_id)
    places, rejected = sort_out(feed.data.stations, _decode_place, _station_id)
    descriptions = {
        each.station_id: Description(
            name=each.name,
            address=each.address,
            lat=each.lat,
            lon=each.lon,
            capacity=each.capacity,
            has_payment_terminal=None,
        )
        for each in places
    }
    return InformationPoll(descriptions, from_seconds(feed.last_updated), len(feed.data.stations), rejected)


def parse_system_information(body: bytes, system_id: str) -> SystemPoll:
    """Who runs the system, and by which clock."""
    feed = _open("system_information", _system, body, system_id)
    system = feed.data
    return SystemPoll(
        system.name, system.operator or None, system.timezone or None, from_seconds(feed.last_updated)
    )


def parse_vehicle_types(body: bytes, system_id: str) -> TypesPoll:
    """Which types of vehicle are electric."""
    feed = _open("vehicle_types", _type_rows, body, system_id)
    types, rejected = sort_out(feed.data.vehicle_types, _decode_type, _type_id)
    electric = [each.vehicle_type_id for each in types if each.propulsion_type in ELECTRIC]
    return TypesPoll(electric, len(types), from_seconds(feed.last_updated), len(feed.data.vehicle_types), rejected)


def _open(name: str, decoder: Decoder[Feed[Data]], body: bytes, system_id: str) -> Feed[Data]:
    try:
        return decoded(decoder.decode, body)
    except UNREADABLE as err:
        raise FeedMalformed(system_id, f"the answer is no {name} of GBFS 2: {why(err)}") from None
