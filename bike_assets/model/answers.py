"""What a fetch brings, before anyone has read it; and the same as a line of a recording."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import Struct

from bike_assets.model.messages import Outcome
from bike_assets.model.readings import Reading

ALL_CONTRACTS = "jcdecaux"
"""The `system_id` of an answer that holds every JCDecaux contract."""

JCDECAUX_PREFIX = "jcdecaux:"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer to one request, or why there is none.

    `feed` says how to read it (`gbfs.station_status`, `jcdecaux.v1.stations`); `failure` is set when
    nothing was answered that could be read, with `error` saying it in a sentence. A 304 has no body.
    `is_shared` marks the part of an answer with all contracts that is one system's.
    """

    system_id: str
    feed: str
    fetched_at: datetime
    request_id: str
    http_status: int | None = None
    body: bytes | None = None
    seconds: float | None = None
    failure: Outcome | None = None
    error: str | None = None
    etag: str | None = None
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row of an answer that was refused, and why."""

    row_index: int
    reason: str
    payload: bytes


class StationRow(Struct, frozen=True, gc=False):
    """One accepted row of a station feed. `information` is set where the same row describes the station."""

    station_id: str
    reading: Reading
    reported_at: datetime | None
    information: "Description | None" = None


class Description(Struct, frozen=True, gc=False):
    """What a station is, as its feed says; the fields of StationInformation without whose and when."""

    name: str
    address: str | None
    lat: float
    lon: float
    capacity: int | None
    has_payment_terminal: bool | None


@dataclass(frozen=True, slots=True)
class StationPoll:
    """A read `station_status`.

    `rows` are as the feed's decoder made them; `keys` hold, for each row in order, first what its feed
    tells stations by and then everything that its reading and description are made of. Equal keys mean
    that nothing changed, so that only rows whose key moved are made into a StationRow by `read`: 97 of
    100 are not. `id_of` gives a row's station id, and `reported_at` its own time, which is no part of its
    key.
    """

    rows: Sequence[Any]
    keys: Sequence[tuple[Any, ...]]
    id_of: Callable[[Any], str]
    read: Callable[[Any], StationRow]
    reported_at: Callable[[Any], datetime | None]
    feed_updated_at: datetime | None
    rows_in: int
    rejected: Sequence[RejectedRow] = field(default=())


@dataclass(frozen=True, slots=True)
class InformationPoll:
    """A read `station_information`: descriptions by station id."""

    descriptions: dict[str, Description]
    feed_updated_at: datetime | None
    rows_in: int
    rejected: Sequence[RejectedRow] = field(default=())


@dataclass(frozen=True, slots=True)
class SystemPoll:
    """A read `system_information`; `timezone` is None where the feed gives none."""

    name: str
    operator: str | None
    timezone: str | None
    feed_updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class TypesPoll:
    """A read `vehicle_types`: the ids of those that are electric."""

    electric_types: list[str]
    rows: int
    feed_updated_at: datetime | None
    rows_in: int
    rejected: Sequence[RejectedRow] = field(default=())


@dataclass(frozen=True, slots=True)
class DiscoveryPoll:
    """A read `gbfs`: the URL of each feed."""

    urls: dict[str, str]
    rows_in: int
    rejected: Sequence[RejectedRow] = field(default=())


# `rows_in` is the length of the answer's array as it came, counted apart from what became of its rows.
Parsed = StationPoll | InformationPoll | SystemPoll | TypesPoll | DiscoveryPoll
