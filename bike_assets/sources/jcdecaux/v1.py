"""JCDecaux's stations, version 1: `GET /vls/v1/stations`, with or without `contract`.

The body is an array of stations, counts and description in one row, `last_update` in ms since 1970.
Specification: https://developer.jcdecaux.com/#/opendata/vls?page=dynamic
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Annotated

from msgspec import Meta, Raw, Struct, field
from msgspec.json import Decoder

from bike_assets.model.answers import (
    ALL_CONTRACTS,
    JCDECAUX_PREFIX,
    Answer,
    Description,
    RejectedRow,
    StationPoll,
    StationRow,
)
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.readings import Reading
from bike_assets.sources.rows import (
    UNREADABLE,
    Count,
    Latitude,
    Longitude,
    Milliseconds,
    Words,
    decoded,
    docks,
    from_milliseconds,
    sort_out,
    why,
)
from bike_assets.sources.texts import RowForm, Texts, newest, number, take_apart


class Position(Struct, frozen=True, gc=False):
    """Where a station stands."""

    lat: Latitude
    lon: Longitude = field(name="lng")


class Station(Struct, gc=False):
    """A row of the answer, as far as it is read."""

    number: Annotated[int, Meta(ge=0, le=10**15)]
    name: Words
    position: Position
    status: str
    available_bikes: Count
    available_bike_stands: Count | None = None
    bike_stands: Count | None = None
    address: Words | None = None
    banking: bool | None = None
    last_update: Milliseconds | None = None


class _OfContract(Struct, gc=False):
    contract_name: Annotated[str, Meta(pattern=r"^[^/\x00-\x1f\x7f]+$")]


_decode_all = Decoder(list[Station]).decode
_decode_row = Decoder(Station).decode
_decode_rows = Decoder(list[Raw]).decode
_decode_contract = Decoder(_OfContract).decode
_decode_contracts = Decoder(list[_OfContract]).decode

_number = attrgetter("number")
_last_update = attrgetter("last_update")
_form = RowForm("last_update", 13, _decode_row, _number)


def parse_stations(body: bytes, system_id: str, before: StationPoll | None = None) -> StationPoll:
    """The stations of one contract. Raises FeedMalformed where the body is no JSON array.

    What is left under the id of all contracts is rows that name none: each of them is rejected.
    """
    if system_id == ALL_CONTRACTS:
        rows = _rows(body, system_id)
        return _poll([], [], len(rows), [_of_nobody(i, raw) for i, raw in enumerate(rows)])
    texts = before.texts.next(body) if before and before.texts else None
    return _read_whole(body, system_id) if texts is None else _poll_of_texts(texts)


def _read_whole(body: bytes, system_id: str) -> StationPoll:
    try:
        stations = _decode_all(body)
    except UNREADABLE:
        stations = []
    rows = _rows(body, system_id)
    rejected: list[RejectedRow] = []
    if not stations or len(set(map(_number, stations))) < len(stations):
        stations, rejected = sort_out(rows, _decode_row, _id_of, _last_update)
    times = list(map(_last_update, stations))
    stations = list(map(_form.without_time, stations))
    texts = None if rejected else take_apart(body, rows, stations, _form)
    return _poll(stations, times, len(rows), rejected) if texts is None else _poll_of_texts(texts)


def _rows(body: bytes, system_id: str) -> list[Raw]:
    try:
        return decoded(_decode_rows, body)
    except UNREADABLE as err:
        raise FeedMalformed(system_id, f"the answer is no JSON array of stations: {why(err)}") from None


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


def split_by_contract(answer: Answer) -> dict[str, Answer]:
    """An answer with all contracts as one for each, by system id, with the very bytes of its rows.

    Rows whose contract cannot be read stay under the id of all contracts, to be rejected there.
    Raises FeedMalformed where the body is no JSON array.
    """
    body = answer.body or b""
    rows_of: dict[str, list[Raw]] = {}
    rows = _rows(body, answer.system_id)
    for system_id, raw in zip(_owners(body, rows), rows, strict=True):
        rows_of.setdefault(system_id, []).append(raw)
    return {
        system_id: replace(answer, system_id=system_id, body=b"[" + b",".join(map(bytes, own)) + b"]")
        for system_id, own in rows_of.items()
    }


def _owners(body: bytes, rows: list[Raw]) -> list[str]:
    """The system of each row."""
    try:
        contracts = _decode_contracts(body)
    except UNREADABLE:
        return [_owner(raw) for raw in rows]
    return [JCDECAUX_PREFIX + each.contract_name.lower() for each in contracts]


def _owner(raw: Raw) -> str:
    try:
        return JCDECAUX_PREFIX + _decode_contract(raw).contract_name.lower()
    except UNREADABLE:
        return ALL_CONTRACTS


def _of_nobody(index: int, raw: Raw) -> RejectedRow:
    try:
        _decode_contract(raw)
    except UNREADABLE as err:
        return RejectedRow(index, f"bad_contract: {why(err)}", bytes(raw))
    return RejectedRow(index, "bad_contract: not one contract's answer", bytes(raw))
