"""JCDecaux's stations, version 3: `GET /vls/v3/stations`, with or without `contract`.

The body is an array of stations, counts and description in one row, `lastUpdate` by RFC 3339. `totalStands` are the
`mainStands` and the `overflowStands` together, and all that is read: neither part is what a rider finds there. A
station is open by its `status`; `connected` says whether it reports, which `lastUpdate` tells better.
Specification: https://developer.jcdecaux.com/#/opendata/vls?page=dynamic
"""

from datetime import datetime
from operator import attrgetter

from msgspec import Raw, Struct
from msgspec.json import Decoder

from bike_assets.model.answers import ALL_CONTRACTS, Description, RejectedRow, StationPoll, StationRow
from bike_assets.model.readings import Reading
from bike_assets.sources.jcdecaux.arrays import V3, Number, of_nobody, station_rows
from bike_assets.sources.rows import (
    Count,
    Instant,
    Latitude,
    Longitude,
    Words,
    check_instant,
    docks,
    from_instant,
    good_rows,
)


class Position(Struct, frozen=True, gc=False):
    """Where a station stands."""

    latitude: Latitude
    longitude: Longitude


class Availabilities(Struct, frozen=True, gc=False, rename="camel"):
    """What can be taken and where it can be brought back; of the bikes, those that are electric."""

    bikes: Count
    stands: Count | None = None
    electrical_bikes: Count | None = None


class Stands(Struct, frozen=True, gc=False):
    """Stands, and what is at them."""

    availabilities: Availabilities
    capacity: Count | None = None


class Station(Struct, gc=False, rename="camel"):
    """A row of the answer, as far as it is read."""

    number: Number
    name: Words
    position: Position
    status: str
    total_stands: Stands
    address: Words | None = None
    banking: bool | None = None
    last_update: Instant | None = None


_decode_all = Decoder(list[Station]).decode
_decode = Decoder(Station).decode

_number = attrgetter("number")
_last_update = attrgetter("last_update")


def parse_stations(body: bytes, system_id: str) -> StationPoll:
    """The stations of one contract. Raises FeedMalformed where the body is no JSON array.

    What is left under the id of all contracts is rows that name none: each of them is rejected.
    """
    raws = station_rows(body, system_id)
    if system_id == ALL_CONTRACTS:
        return _poll([], len(raws), of_nobody(V3, raws))
    stations, rejected = good_rows(
        lambda: list(map(_in_bounds, _decode_all(body))), raws, _decode_row, _number, _last_update
    )
    return _poll(stations, len(raws), rejected)


def _decode_row(raw: Raw) -> Station:
    return _in_bounds(_decode(raw))


def _in_bounds(station: Station) -> Station:
    check_instant(station.last_update, "lastUpdate")
    return station


def _poll(stations: list[Station], rows_in: int, rejected: list[RejectedRow]) -> StationPoll:
    times = list(map(_last_update, stations))
    for station in stations:
        station.last_update = None
    return StationPoll(
        rows=stations,
        times=times,
        id_of=_id_of,
        row_of=_row_of,
        instant=from_instant,
        feed_updated_at=from_instant(max(filter(None, times), default=None)),
        rows_in=rows_in,
        rejected=rejected,
    )


def _id_of(station: Station) -> str:
    return str(station.number)


def _row_of(station: Station, reported_at: datetime | None) -> StationRow:
    is_open = station.status == "OPEN"
    stands = station.total_stands
    return StationRow(
        station_id=str(station.number),
        reading=Reading(
            bikes_available=stands.availabilities.bikes,
            ebikes_available=stands.availabilities.electrical_bikes,
            docks_available=docks(stands.availabilities.stands),
            bikes_disabled=None,
            docks_disabled=None,
            is_installed=is_open,
            is_renting=is_open,
            is_returning=is_open,
        ),
        reported_at=reported_at,
        information=Description(
            name=station.name,
            address=station.address,
            lat=station.position.latitude,
            lon=station.position.longitude,
            capacity=stands.capacity,
            has_payment_terminal=station.banking,
        ),
    )
