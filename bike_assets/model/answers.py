"""What a fetch brings, before anyone has read it; and the same as a line of a recording."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import Struct

from bike_assets.model.messages import Outcome
from bike_assets.model.readings import Reading, VehicleReading

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

    `rows` are as the feed's decoder made them, but without their own times, which stand in `times` as
    `instant` reads them. Equal rows mean that nothing changed; a parser that was given the poll before gives
    the very same rows where it can. So only rows that moved are made into a StationRow: 97 of 100 are not.
    `texts` is what the parser compares the next body with, and nobody else's.
    """

    rows: list[Any]
    times: Sequence[Any]
    id_of: Callable[[Any], str]
    row_of: Callable[[Any, datetime | None], StationRow]
    instant: Callable[[Any], datetime | None]
    feed_updated_at: datetime | None
    rows_in: int
    rejected: Sequence[RejectedRow] = field(default=())
    texts: Any = None

    def read(self, place: int) -> StationRow:
        """The row at a place."""
        return self.row_of(self.rows[place], self.reported_at(place))

    def reported_at(self, place: int) -> datetime | None:
        """Its own time."""
        return self.instant(self.times[place])


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
    """A read `vehicle_types`: the ids of those that are electric, how far each goes when full, in m, and all `types`
    whose rows were accepted.
    """

    electric_types: list[str]
    rows: int
    feed_updated_at: datetime | None
    rows_in: int
    rejected: Sequence[RejectedRow] = field(default=())
    ranges_m: dict[str, float] = field(default_factory=dict)
    types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class VehiclePoll:
    """A read `vehicle_status`, which GBFS 1 and 2 call `free_bike_status`: readings by vehicle id."""

    vehicles: dict[str, VehicleReading]
    feed_updated_at: datetime | None
    rows_in: int
    rejected: Sequence[RejectedRow] = field(default=())


@dataclass(frozen=True, slots=True)
class DiscoveryPoll:
    """A read `gbfs`: the URL of each feed; or `gbfs_versions`: that of each version."""

    urls: dict[str, str]
    rows_in: int
    rejected: Sequence[RejectedRow] = field(default=())


# `rows_in` is the length of the answer's array as it came, counted apart from what became of its rows.
Parsed = StationPoll | InformationPoll | SystemPoll | TypesPoll | VehiclePoll | DiscoveryPoll
