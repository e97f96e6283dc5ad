"""JCDecaux's stations, version 1: `GET /vls/v1/stations`, with or without `contract`.

The body is an array of stations, counts and description in one row, `last_update` in ms since 1970. One from before
2000 is in seconds, and rejected with its row, as nothing is guessed at; but for 0, which stands for never.
Specification: https://developer.jcdecaux.com/#/opendata/vls?page=dynamic
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

from msgspec import Raw, Struct, ValidationError, field
from msgspec.json import Decoder

from bike_assets.model.answers import ALL_CONTRACTS, Description, RejectedRow, StationPoll, StationRow
from bike_assets.model.readings import Reading
from bike_assets.sources.jcdecaux.arrays import V1, Number, of_nobody, station_rows
from bike_assets.sources.rows import (
    Count,
    Latitude,
    Longitude,
    Milliseconds,
    Words,
    docks,
    from_milliseconds,
    good_rows,
)
from bike_assets.sources.texts import RowForm, Texts, newest, number, take_apart


class Position(Struct, frozen=True, gc=False):
    """Where a station stands."""

    lat: Latitude
    lon: Longitude = field(name="lng")


class Station(Struct, gc=False):
    """A row of the answer, as far as it is read."""

    number: Number
    name: Words
    position: Position
    status: str
    available_bikes: Count
    available_bike_stands: Count | None = None
    bike_stands: Count | None = None
    address: Words | None = None
    banking: bool | None = None
    last_update: Milliseconds | None = None


_EARLIEST_MS = 946_684_800_000
"""2000-01-01, by which there was no JCDecaux; seconds taken for ms end in March 1970."""

_decode_all = Decoder(list[Station]).decode
_decode = Decoder(Station).decode


def _decode_row(raw: Raw | bytes) -> Station:
    return _in_bounds(_decode(raw))


def _in_bounds(station: Station) -> Station:
    if station.last_update and station.last_update < _EARLIEST_MS:
        raise ValidationError("Expected milliseconds since 1970, got seconds - at $.last_update")
    return station


_number = attrgetter("number")
_last_update = attrgetter("last_update")
_form = RowForm("last_update", 13, _decode_row, _number)


def parse_stations(body: bytes, system_id: str, before: StationPoll | None = None) -> StationPoll:
    """The stations of one contract. Raises FeedMalformed where the body is no JSON array.

    What is left under the id of all contracts is rows that name none: each of them is rejected.
    """
    if system_id == ALL_CONTRACTS:
        raws = station_rows(body, system_id)
        return _poll([], [], len(raws), of_nobody(V1, raws))
    texts = before.texts.next(body) if before and before.texts else None
    return _read_whole(body, system_id) if texts is None else _poll_of_texts(texts)


def _read_whole(body: bytes, system_id: str) -> StationPoll:
    raws = station_rows(body, system_id)
    stations, rejected = good_rows(
        lambda: list(map(_in_bounds, _decode_all(body))), raws, _decode_row, _number, _last_update
    )
    times = list(map(_last_update, stations))
    stations = list(map(_form.without_time, stations))
    texts = None if rejected else take_apart(body, raws, stations, _form)
    return _poll(stations, times, len(raws), rejected) if texts is None else _poll_of_texts(texts)


def _poll(
    stations: list[Station], times: Sequence[int | None], rows_in: int, rejected: list[RejectedRow]
) -> StationPoll:
    newest = max(filter(None, times), default=None)
    return StationPoll(
        rows=stations,
        times=times,
        id_of=_id_of,
        row_of=_row_of,
        instant=from_milliseconds,
        feed_updated_at=from_milliseconds(newest),
        rows_in=rows_in,
        rejected=rejected,
    )


def _poll_of_texts(texts: Texts[Station]) -> StationPoll:
    return StationPoll(
        rows=texts.rows,
        times=texts.times,
        id_of=_id_of,
        row_of=_row_of,
        instant=_instant,
        feed_updated_at=_instant(newest(texts.times)),
        rows_in=len(texts.rows),
        texts=texts,
    )


def _instant(written: bytes) -> datetime | None:
    return from_milliseconds(number(written))


def _id_of(station: Station) -> str:
    return str(station.number)


def _row_of(station: Station, reported_at: datetime | None) -> StationRow:
    is_open = station.status == "OPEN"
    return StationRow(
        station_id=str(station.number),
        reading=Reading(
            bikes_available=station.available_bikes,
            ebikes_available=None,
            docks_available=docks(station.available_bike_stands),
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
            lat=station.position.lat,
            lon=station.position.lon,
            capacity=station.bike_stands,
            has_payment_terminal=station.banking,
        ),
    )
