"""Reading GBFS's feeds. A version is how it writes times and texts, which v2.py and v3.py say; the rest is here.

Every parser raises FeedMalformed where the envelope is broken, and rejects the rows that are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw
from msgspec.json import Decoder

from bike_assets.model.answers import Description, InformationPoll, StationPoll, SystemPoll, TypesPoll, VehiclePoll
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.readings import VehicleReading
from bike_assets.sources.gbfs.rows import (
    Feed,
    Place,
    Said,
    Station,
    Stations,
    System,
    Time,
    Types,
    Vehicle,
    Vehicles,
    VehicleType,
    leniently,
    row_of,
    vehicle_of,
)
from bike_assets.sources.rows import UNREADABLE, decoded, from_seconds, good_rows, sort_out, why
from bike_assets.sources.texts import RowForm, Texts, number, take_apart

ELECTRIC = frozenset({"electric", "electric_assist"})
MAX_ELECTRIC = 100_000
"""Characters of the ids of all electric types together: they are remembered in one message of Kafka."""

Data = TypeVar("Data")

_station_id = attrgetter("station_id")
_type_id = attrgetter("vehicle_type_id")
_last_reported = attrgetter("last_reported")
_decode_type = leniently(VehicleType)
_decode_vehicle = leniently(Vehicle)


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
    vehicles: Decoder[Feed[Time, Vehicles[Vehicle]]]
    vehicle_rows: Decoder[Feed[Time, Vehicles[Raw]]]
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
            row_of=partial(row_of, electric_types),
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
        """Which types of vehicle are electric, and how far each goes."""
        feed = self._open("vehicle_types", self.types, body, system_id)
        raws = feed.data.vehicle_types
        types, rejected = sort_out(raws, _decode_type, _type_id)
        electric = [each.vehicle_type_id for each in types if each.propulsion_type in ELECTRIC]
        ranges = {each.vehicle_type_id: each.max_range_meters for each in types if each.max_range_meters}
        if max(sum(map(len, electric)), sum(map(len, ranges))) > MAX_ELECTRIC:
            raise FeedMalformed(system_id, "the answer has more electric vehicle types than can be remembered")
        ids = frozenset(each.vehicle_type_id for each in types)
        return TypesPoll(electric, len(types), self.instant(feed.last_updated), len(raws), rejected, ranges, ids)

    def parse_vehicle_status(self, body: bytes, system_id: str) -> VehiclePoll:
        """The vehicles of one poll."""
        feed = self._open("vehicle_status", self.vehicle_rows, body, system_id)
        try:
            raws = feed.data.rows
        except UNREADABLE as err:
            raise FeedMalformed(system_id, f"the answer is no vehicle_status of {self.name}: {why(err)}") from None
        vehicles, rejected = good_rows(
            lambda: list(map(vehicle_of, self.vehicles.decode(body).data.rows)), raws, _vehicle, _vehicle_id, _no_time
        )
        return VehiclePoll(dict(vehicles), self.instant(feed.last_updated), len(raws), rejected)

    def _open(
        self, name: str, decoder: Decoder[Feed[Time, Data]], body: bytes, system_id: str
    ) -> Feed[Time, Data]:
        try:
            feed = decoded(decoder.decode, body)
            self.check(feed.last_updated, "last_updated")
        except UNREADABLE as err:
            raise FeedMalformed(system_id, f"the answer is no {name} of {self.name}: {why(err)}") from None
        return feed


def _vehicle(raw: Raw) -> tuple[str, VehicleReading]:
    return vehicle_of(_decode_vehicle(raw))


def _vehicle_id(vehicle: tuple[str, VehicleReading]) -> str:
    return vehicle[0]


def _no_time(_: tuple[str, VehicleReading]) -> None:
    """Of two rows for one vehicle the first stands."""


def _poll_of_texts(
    texts: Texts[Station[Any]], updated_at: datetime | None, electric_types: frozenset[str] | None
) -> StationPoll:
    return StationPoll(
        rows=texts.rows,
        times=texts.times,
        id_of=_station_id,
        row_of=partial(row_of, electric_types),
        instant=_instant,
        feed_updated_at=updated_at,
        rows_in=len(texts.rows),
        texts=texts,
    )


def _instant(written: bytes) -> datetime | None:
    return from_seconds(number(written))
