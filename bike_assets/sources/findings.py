"""What the answers of a system's feeds, one of each, say of the system: what it has, and what is wrong with it."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from bike_assets.model.answers import (
    Answer,
    Description,
    DiscoveryPoll,
    InformationPoll,
    Parsed,
    StationPoll,
    StationRow,
    SystemPoll,
    TypesPoll,
    VehiclePoll,
)
from bike_assets.model.constants import MAX_GAP
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.messages import FeedField
from bike_assets.model.readings import is_open
from bike_assets.sources.plan import VERSIONS, ttl_of
from bike_assets.sources.reading import GBFS_PARSERS, feed_name, read
from bike_assets.sources.redaction import redact_url
from bike_assets.sources.rows import UNREADABLE
from bike_assets.sources.shapes import shape_of

STATUS = "station_status"
TYPES = "vehicle_types"
INFORMATION = "station_information"


class Checked(Struct, frozen=True):
    """A system as its feeds showed it. It is usable where a poll of it would be good and have a station, or a vehicle
    where it lists no stations.

    `version` is the one that the feeds name, `versions` are those that it says it can be had in, `feeds` are those that
    it lists; `rejected` are rows of all feeds, by
    `reasons`; `age_s` and `ttl_s` are those of the status: how old it says it is, and how long it says it holds.
    `faults` keep the system from being used, `remarks` do not.
    """

    system_id: str
    url: str
    is_usable: bool
    version: str | None
    feeds: list[str]
    stations: int
    rejected: int
    reasons: dict[str, int]
    age_s: float | None
    ttl_s: int | None
    faults: list[str]
    remarks: list[str]
    vehicles: int = 0
    versions: list[str] = []


class _Versioned(Struct):
    version: str | None = None


_VERSION = re.compile(r"\d{1,3}\.\d{1,3}")
_decode_version = msgspec.json.Decoder(_Versioned).decode


class Findings:
    """Takes the answers of one system's feeds, the status last, and then says what they come to.

    `fields` are those of all the bodies.
    """

    def __init__(self, system_id: str, url: str, timezone: str | None = None) -> None:
        """`timezone` is what is known of it whatever its feeds say."""
        self.system_id, self._url = system_id, url
        self._has_zone = timezone is not None
        self._version: str | None = None
        self._versions: dict[str, str] = {}
        self._feeds: list[str] = []
        self._electric_types: frozenset[str] | None = None
        self._descriptions: dict[str, Description] | None = None
        self._status: StationPoll | None = None
        self._vehicles: VehiclePoll | None = None
        self._age_s: float | None = None
        self._ttl_s: int | None = None
        self._rejected: Counter[str] = Counter()
        self.fields: list[FeedField] = []
        self._faults: list[str] = []
        self._remarks: list[str] = []

    def cannot_be_asked(self, reason: str) -> None:
        """There is no answer, and why."""
        self._faults.append(reason)

    def take(self, answer: Answer) -> Parsed | None:
        """What the answer was read as; None where it is none."""
        feed = feed_name(answer.feed)
        if answer.failure is None and answer.body:
            self.fields += shape_of(answer.body, self.system_id, feed, answer.fetched_at)
        parsed, reason = self._read(answer)
        if parsed is None:
            # Without the list of its feeds nothing is asked, and without the status nothing is known.
            (self._faults if feed in {"gbfs", STATUS} else self._remarks).append(f"{feed}: {reason}")
            return None
        if feed == VERSIONS and isinstance(parsed, DiscoveryPoll):
            self._versions = parsed.urls
        else:
            self._version = _version(answer) or self._version
            self._learn(parsed, answer)
        if not isinstance(parsed, SystemPoll):
            self._rejected.update(f"{feed}: {_kind(row.reason)}" for row in parsed.rejected)
        return parsed

    def _read(self, answer: Answer) -> tuple[Parsed | None, str]:
        """What the answer was read as, or why it was not."""
        if answer.failure is not None:
            return None, answer.error or str(answer.failure)
        try:
            return read(answer, self._electric_types), ""
        except FeedMalformed as err:
            is_page = (answer.body or b"").lstrip()[:1] == b"<"
            return None, "it answers a web page, not JSON" if is_page else err.reason

    def _learn(self, parsed: Parsed, answer: Answer) -> None:
        match parsed:
            case DiscoveryPoll(urls=urls):
                self._feeds = sorted(urls)
            case SystemPoll(timezone=timezone):
                self._has_zone = self._has_zone or timezone is not None
            case TypesPoll(electric_types=types):
                self._electric_types = frozenset(types)
            case InformationPoll(descriptions=descriptions):
                self._descriptions = descriptions
            case VehiclePoll():
                self._vehicles = parsed
            case StationPoll(feed_updated_at=updated_at):
                self._status = parsed
                self._ttl_s = ttl_of(answer.body or b"")
                self._look_at_time(updated_at, answer.fetched_at)

    def _look_at_time(self, updated_at: datetime | None, at: datetime) -> None:
        if updated_at is None:
            self._remarks.append("its status does not say how old it is")
            return
        self._age_s = (at - updated_at).total_seconds()
        said = f"{updated_at:%Y-%m-%d %H:%M} UTC"
        if at - updated_at > MAX_GAP:
            self._remarks.append(f"its own time stands at {said}: it is frozen, or its clock is wrong")
        elif updated_at - at > MAX_GAP:
            self._remarks.append(f"its own time is {said}, in the future: its clock is wrong")

    def checked(self) -> Checked:
        """What all answers come to."""
        rows = [self._status.read(place) for place in range(len(self._status.rows))] if self._status else []
        vehicles = len(self._vehicles.vehicles) if self._vehicles else 0
        has_vehicles_alone = vehicles > 0 and STATUS not in self._feeds
        faults = [*self._faults, *(() if has_vehicles_alone else self._faults_of_status(rows))]
        remarks = [*self._remarks, *(self._remarks_on(rows) if rows else ()), *self._remark_on_versions()]
        if has_vehicles_alone:
            remarks.append(f"it lists no {STATUS}: it has vehicles alone")
        return Checked(
            system_id=self.system_id,
            url=self._url,
            is_usable=bool(rows or has_vehicles_alone) and not faults,
            version=self._version,
            feeds=self._feeds,
            stations=len(rows),
            rejected=self._rejected.total(),
            reasons=dict(self._rejected.most_common()),
            age_s=self._age_s,
            ttl_s=self._ttl_s,
            faults=faults,
            remarks=remarks,
            vehicles=vehicles,
            versions=sorted(self._versions, key=_order),
        )

    def _remark_on_versions(self) -> list[str]:
        """Whether it can be had in a newer version that is read here, and where."""
        newest = max(filter(_is_read, self._versions), key=_order, default=None)
        if newest is None or self._version is None or _order(newest) <= _order(self._version):
            return []
        return [f"it can be had in GBFS {newest} too: {redact_url(self._versions[newest])}"]

    def _faults_of_status(self, rows: Sequence[StationRow]) -> list[str]:
        if self._status is None:
            is_listed = STATUS in self._feeds or not self._feeds
            return [] if is_listed else [f"it lists no {STATUS}: it has no station to poll"]
        if rows:
            return []
        refused = self._status.rows_in
        return [f"{STATUS}: all {refused} rows are rejected" if refused else f"{STATUS}: it lists no station"]

    def _remarks_on(self, rows: Sequence[StationRow]) -> list[str]:
        """What is missing for the measures, though the system can be polled."""
        known = self._known(rows)
        count = len(rows)
        without_docks = sum(row.reading.docks_available is None for row in rows)
        without_capacity = sum(each.capacity is None for each in known.values())
        nameless = sum(row.station_id not in known for row in rows)
        found = [
            (not any(is_open(row.reading) for row in rows), "no station is open"),
            (without_docks, f"{without_docks} of {count} stations give no docks, or 999: they are never full"),
            (nameless, f"{nameless} of {count} stations are in no {INFORMATION}: without a name and a place"),
            (without_capacity, f"{without_capacity} of {len(known)} stations have no capacity"),
            (self._feeds and TYPES not in self._feeds, f"no {TYPES}: e-bikes are not told apart"),
            (not self._has_zone, "no time zone: its days are UTC's, unless the sources file says `timezone`"),
        ]
        return [sentence for is_so, sentence in found if is_so]

    def _known(self, rows: Sequence[StationRow]) -> dict[str, Description]:
        """The stations that are described, be it by the rows of the status."""
        own = {row.station_id: row.information for row in rows if row.information is not None}
        return own or self._descriptions or {}


def _version(answer: Answer) -> str | None:
    """As the body names it; of JCDecaux's answers, which do not, as they were asked for."""
    if answer.feed.startswith("jcdecaux."):
        return f"JCDecaux {answer.feed.split('.')[1]}"
    try:
        return _decode_version(answer.body or b"").version
    except UNREADABLE:
        return None


def _order(version: str) -> tuple[int, ...]:
    """By which versions are in order; what is none, as a release candidate, comes first."""
    return tuple(map(int, version.split("."))) if _VERSION.fullmatch(version) else ()


def _is_read(version: str) -> bool:
    return bool(_VERSION.fullmatch(version)) and version.partition(".")[0] in GBFS_PARSERS


def _kind(reason: str) -> str:
    """A reason without what is of one row only."""
    return "duplicate" if reason.startswith("duplicate") else reason
