"""What the versions of GBFS have in common: the feeds, their rows, and what the rows mean.

They differ in how a time and a text are written, which v2.py and v3.py say, and in words: GBFS 3 says
`vehicles` where the others say `bikes`. A producer who uses the other version's word means the same, so both
are read in all versions. So are these, which are no GBFS but what producers write, and mean one thing only:

- a flag as 0 or 1, as GBFS 1 has it, in all versions, or as a text;
- an id as a whole number, which stands for its digits: identity needs the same text at every poll;
- a number as a text (`"59.91"`), a POSIX time as a text, and `"null"`.

A row is held to its types first and read so leniently only where that fails. What would have to be guessed
is rejected: milliseconds for seconds, `"yes"`, 3.5 bikes, a count or an id with leading zeros as a number.

Every parser raises FeedMalformed where the envelope is broken, and rejects the rows that are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from operator import attrgetter
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

from bike_assets.model.answers import (
    Description,
    InformationPoll,
    StationPoll,
    StationRow,
    SystemPoll,
    TypesPoll,
)
from bike_assets.model.constants import DOCKS_NOT_GIVEN, MAX_COUNT
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.readings import Reading
from bike_assets.sources.rows import (
    UNREADABLE,
    Count,
    Latitude,
    Longitude,
    Text,
    Words,
    decoded,
    docks,
    from_seconds,
    good_rows,
    sort_out,
    why,
)
from bike_assets.sources.texts import RowForm, Texts, number, take_apart

ELECTRIC = frozenset({"electric", "electric_assist"})

Flag = bool | Literal[0, 1]
"""GBFS 1 has numbers."""

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


class Stations(Struct, Generic[Row]):
    """The data of station_status and of station_information."""

    stations: list[Row]


class Types(Struct):
    """The data of vehicle_types."""

    vehicle_types: list[Raw]


_station_id = attrgetter("station_id")
_type_id = attrgetter("vehicle_type_id")
_last_reported = attrgetter("last_reported")
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


_decode_type = leniently(VehicleType)


@dataclass(frozen=True)
class Version(Generic[Time, Said]):
    """How a version is read.

    `status` decodes a whole body in one typed step, `station` and `place` a row; the envelopes are read leniently.
    `check` raises ValidationError for a time out of bounds that its type lets through, and `instant` reads a time;
    `words` chooses among the languages of a text. Where times are numbers of `time_digits`, a status is compared
    by its text with the one before it.
    """

    name: str
    status: Callable[[bytes], Feed[Time, Stations[Station[Time]]]]
    rows: Decoder[Feed[Time, Stations[Raw]]]
    types: Decoder[Feed[Time, Types]]
    system: Decoder[Feed[Time, System[Said]]]
    station: Callable[[Raw | bytes], Station[Time]]
    place: Callable[[Raw | bytes], Place[Said]]
    check: Callable[[Time | None, str], None]
    instant: Callable[[Any], datetime | None]
    words: Callable[[Said], str]
    time_digits: int | None = None

    def parse_station_status(
        self,
        body: bytes,
        system_id: str,
        electric_types: frozenset[str] | None = None,
        before: StationPoll | None = None,
    ) -> StationPoll:
        """The stations of one poll. E-bikes are counted where `electric_types` are known, else null."""
        texts = before.texts.next(body) if before and before.texts else None
        if texts is not None:
            try:
                updated_at = self.instant(self.rows.decode(texts.envelope).last_updated)
                return _poll_of_texts(texts, updated_at, electric_types)
            except UNREADABLE:
                pass
        return self._read_whole(body, system_id, electric_types)

    def _read_whole(self, body: bytes, system_id: str, electric_types: frozenset[str] | None) -> StationPoll:
        feed = self._open("station_status", self.rows, body, system_id)
        raws = feed.data.stations
        stations, rejected = good_rows(
            lambda: list(map(self._settled, self.status(body).data.stations)), raws, self._row,
            _station_id, _last_reported,
        )  # fmt: skip
        times = list(map(_last_reported, stations))
        for station in stations:
            station.last_reported = None
        texts = take_apart(body, raws, stations, self._form) if self._form and not rejected else None
        if texts is not None:
            return _poll_of_texts(texts, self.instant(feed.last_updated), electric_types)
        return StationPoll(
            rows=stations,
            times=times,
            id_of=_station_id,
            row_of=partial(_row_of, electric_types),
            instant=self.instant,
            feed_updated_at=self.instant(feed.last_updated),
            rows_in=len(raws),
            rejected=rejected,
        )

    @cached_property
    def _form(self) -> RowForm[Station[Time]] | None:
        if self.time_digits is None:
            return None
        return RowForm("last_reported", self.time_digits, self._row, _station_id)

    def _row(self, raw: Raw | bytes) -> Station[Time]:
        return self._settled(self.station(raw))

    def _settled(self, station: Station[Time]) -> Station[Time]:
        """A row whose time is in bounds and whose `num_bikes_available` is set, by GBFS 3's word where need be."""
        self.check(station.last_reported, "last_reported")
        if station.num_bikes_available is None:
            if station.num_vehicles_available is None:
                raise msgspec.ValidationError("Object has neither num_bikes_available nor num_vehicles_available")
            station.num_bikes_available = station.num_vehicles_available
        return station

    def parse_station_information(self, body: bytes, system_id: str) -> InformationPoll:
        """What the stations are; of two rows for one station the first stands."""
        feed = self._open("station_information", self.rows, body, system_id)
        places, rejected = sort_out(feed.data.stations, self.place, _station_id)
        descriptions = {
            each.station_id: Description(
                name=self.words(each.name),
                address=each.address,
                lat=each.lat,
                lon=each.lon,
                capacity=each.capacity,
                has_payment_terminal=None,
            )
            for each in places
        }
        return InformationPoll(descriptions, self.instant(feed.last_updated), len(feed.data.stations), rejected)

    def parse_system_information(self, body: bytes, system_id: str) -> SystemPoll:
        """Who runs the system, and by which clock."""
        feed = self._open("system_information", self.system, body, system_id)
        system = feed.data
        operator = None if system.operator is None else self.words(system.operator)
        return SystemPoll(
            self.words(system.name), operator or None, system.timezone or None, self.instant(feed.last_updated)
        )

    def parse_vehicle_types(self, body: bytes, system_id: str) -> TypesPoll:
        """Which types of vehicle are electric."""
        feed = self._open("vehicle_types", self.types, body, system_id)
        raws = feed.data.vehicle_types
        types, rejected = sort_out(raws, _decode_type, _type_id)
        electric = [each.vehicle_type_id for each in types if each.propulsion_type in ELECTRIC]
        return TypesPoll(electric, len(types), self.instant(feed.last_updated), len(raws), rejected)

    def _open(
        self, name: str, decoder: Decoder[Feed[Time, Data]], body: bytes, system_id: str
    ) -> Feed[Time, Data]:
        try:
            feed = decoded(decoder.decode, body)
            self.check(feed.last_updated, "last_updated")
        except UNREADABLE as err:
            raise FeedMalformed(system_id, f"the answer is no {name} of {self.name}: {why(err)}") from None
        return feed


def _poll_of_texts(
    texts: Texts[Station[Any]], updated_at: datetime | None, electric_types: frozenset[str] | None
) -> StationPoll:
    return StationPoll(
        rows=texts.rows,
        times=texts.times,
        id_of=_station_id,
        row_of=partial(_row_of, electric_types),
        instant=_instant,
        feed_updated_at=updated_at,
        rows_in=len(texts.rows),
        texts=texts,
    )


def _instant(written: bytes) -> datetime | None:
    return from_seconds(number(written))


def _row_of(
    electric_types: frozenset[str] | None, station: Station[Any], reported_at: datetime | None
) -> StationRow:
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
