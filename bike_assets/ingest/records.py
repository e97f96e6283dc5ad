"""One answer becomes one atom: its events, poll record, rejections and new state, as Kafka records."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog

from bike_assets.ingest.detect import (
    Detected,
    describe,
    detect,
    detect_unmodified,
    forget_descriptions,
    hour_of,
)
from bike_assets.ingest.memory import SystemMemory, VehicleMemory, station_state, vehicle_state
from bike_assets.ingest.profiles import Profile, system_information
from bike_assets.ingest.vehicles import DetectedVehicles, detect_vehicles
from bike_assets.model import topics
from bike_assets.model.answers import (
    Answer,
    DiscoveryPoll,
    InformationPoll,
    Parsed,
    RejectedRow,
    StationPoll,
    SystemPoll,
    TypesPoll,
    VehiclePoll,
)
from bike_assets.model.constants import ABSENT_STATIONS, MAX_GAP
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.messages import GOOD, Outcome, Poll, Rejection
from bike_assets.model.topics import Topic, station_key
from bike_assets.sources.reading import VEHICLE_FEED, feed_name, read
from bike_assets.sources.shapes import shape_of

log = structlog.get_logger()

STATUS_FEED = "station_status"
PAYLOAD_CHARACTERS = 10_000
PAYLOADS_CHARACTERS = 1_000_000
"""Of all the rows that one answer rejects; the others are told and counted without their bytes, which `raw/` has."""
REASON_CHARACTERS = 1_000
"""What is wrong is told in a sentence; one that repeats a feed's own words can be too long for a message of Kafka."""
SHORT_REASON_CHARACTERS = 200
"""Of a row that is told without its bytes."""

_SHAPED = frozenset({Outcome.OK, Outcome.INVALID})
"""Of these outcomes are bodies whose fields are told: where all times became milliseconds, no body is good."""

_encode = msgspec.json.Encoder().encode


class Record(msgspec.Struct, frozen=True, gc=False):
    """A Kafka record to be: a value of None forgets its key."""

    topic: Topic
    key: str
    value: bytes | None


@dataclass(slots=True)
class Verdict:
    """What an answer turned out to be, before anything is made of it."""

    outcome: Outcome
    error: str | None = None
    parsed: Parsed | None = None
    rejected: list[RejectedRow] = field(default_factory=list)
    rows_in: int = 0
    rows_accepted: int = 0
    feed_updated_at: datetime | None = None


class Atom(NamedTuple):
    """All that one answer writes, and its poll record for whoever asked."""

    poll: Poll
    records: list[Record]


def take(memory: SystemMemory, answer: Answer, profile: Profile) -> Atom:
    """Judge an answer, move the memory on, and give the records to commit together."""
    feed = feed_name(answer.feed)
    verdict = judge(memory, feed, answer)
    found, vehicles = Detected(), None
    if verdict.outcome in GOOD:
        found = _follow(memory, feed, answer, verdict)
        if found.crowded_out:
            log.warning("more stations are absent than are remembered: ids that change at each poll?",
                        system_id=memory.system_id, remembered=ABSENT_STATIONS, forgotten_early=found.crowded_out)
        vehicles = _follow_vehicles(memory, feed, answer.fetched_at, verdict)
    if verdict.outcome is not Outcome.OUT_OF_ORDER:
        memory.observed_at[feed] = answer.fetched_at
    poll = _poll_record(memory, feed, answer, verdict, _events_made(feed, found, vehicles))
    records = [*_events(memory, found, answer.fetched_at)]
    if vehicles is not None:
        records += _vehicle_records(memory, vehicles, answer.fetched_at)
    records += _rejections(memory.system_id, feed, answer, verdict.rejected)
    if verdict.outcome is Outcome.OK:
        records += _system(memory, feed, verdict.parsed, answer.fetched_at, profile)
    if verdict.outcome in _SHAPED:
        records += _fields(memory, feed, answer)
    records.append(Record(topics.POLLS, memory.system_id, _encode(poll)))
    if verdict.outcome is not Outcome.OUT_OF_ORDER:
        records.append(Record(topics.STATION_STATE, memory.system_id, _encode(memory.as_state())))
    return Atom(poll, records)


def refuse(memory: SystemMemory, answer: Answer, reason: str) -> Atom:
    """The atom of an answer of which nothing can be made: its record, and the body with the reason."""
    feed = feed_name(answer.feed)
    verdict = Verdict(Outcome.INVALID, reason, rejected=[RejectedRow(-1, reason, answer.body or b"")])
    memory.observed_at[feed] = answer.fetched_at
    poll = _poll_record(memory, feed, answer, verdict, 0)
    return Atom(poll, [
        *_rejections(memory.system_id, feed, answer, verdict.rejected),
        Record(topics.POLLS, memory.system_id, _encode(poll)),
        Record(topics.STATION_STATE, memory.system_id, _encode(memory.as_state())),
    ])  # fmt: skip


def judge(memory: SystemMemory, feed: str, answer: Answer) -> Verdict:
    """The outcome of an answer, without touching the memory."""
    last = memory.observed_at.get(feed)
    if last is not None and answer.fetched_at <= last:
        return Verdict(Outcome.OUT_OF_ORDER, f"not newer than the poll before it ({last.isoformat()})")
    if answer.failure is not None:
        return Verdict(answer.failure, answer.error)
    if answer.http_status == 304:
        return _judge_unmodified(memory, feed, answer.fetched_at)
    if answer.http_status is not None and not 200 <= answer.http_status < 300:
        return Verdict(Outcome.HTTP_ERROR, answer.error or f"status {answer.http_status}")
    try:
        parsed = read(answer, memory.electric_types, memory.last_poll)
    except FeedMalformed as err:
        body = RejectedRow(-1, err.reason, answer.body or b"")
        return Verdict(Outcome.INVALID, err.reason, rejected=[body])
    return _judge_parsed(memory, answer.fetched_at, parsed)


def _judge_unmodified(memory: SystemMemory, feed: str, at: datetime) -> Verdict:
    if not _is_known(memory, feed):
        return Verdict(Outcome.INVALID, "not modified, but nothing was known")
    if feed not in (STATUS_FEED, VEHICLE_FEED):
        return Verdict(Outcome.NOT_MODIFIED)
    clock = memory.vehicles if feed == VEHICLE_FEED else memory
    error = _staleness(clock, clock.feed_updated_at, at)
    outcome = Outcome.STALE if error else Outcome.NOT_MODIFIED
    return Verdict(outcome, error, feed_updated_at=clock.feed_updated_at)


def _is_known(memory: SystemMemory, feed: str) -> bool:
    """Whether there is something that a 304 can confirm."""
    match feed:
        case "station_status":
            return memory.last_good_poll_at is not None
        case "station_information":
            return bool(memory.descriptions)
        case "vehicle_types":
            return memory.electric_types is not None
        case "vehicle_status":
            return memory.vehicles.last_good_poll_at is not None
    return feed in memory.observed_at


def _judge_parsed(memory: SystemMemory, at: datetime, parsed: Parsed) -> Verdict:
    rejected = [] if isinstance(parsed, SystemPoll) else list(parsed.rejected)
    rows_in = 1 if isinstance(parsed, SystemPoll) else parsed.rows_in
    updated_at = None if isinstance(parsed, DiscoveryPoll) else parsed.feed_updated_at
    verdict = Verdict(Outcome.OK, None, parsed, rejected, rows_in, _accepted(parsed), updated_at)
    if isinstance(parsed, StationPoll):
        if not parsed.rows and memory.stations:
            return replace(verdict, outcome=Outcome.INVALID, error="no accepted row where stations are known")
        error = _staleness(memory, parsed.feed_updated_at, at)
        if error:
            return replace(verdict, outcome=Outcome.STALE, error=error)
    if isinstance(parsed, TypesPoll) and not parsed.rows and (parsed.rows_in or memory.electric_types):
        return replace(verdict, outcome=Outcome.INVALID, error="no accepted row where vehicle types are known")
    if isinstance(parsed, VehiclePoll):
        # A list without any row says that all are ridden, as in a small system they may be.
        if parsed.rows_in and not parsed.vehicles and memory.vehicles.known:
            return replace(verdict, outcome=Outcome.INVALID, error="no accepted row where vehicles are known")
        error = _staleness(memory.vehicles, parsed.feed_updated_at, at)
        if error:
            return replace(verdict, outcome=Outcome.STALE, error=error)
    return verdict


def _accepted(parsed: Parsed) -> int:
    match parsed:
        case StationPoll():
            return len(parsed.rows)
        case InformationPoll():
            return len(parsed.descriptions)
        case VehiclePoll(vehicles=vehicles):
            return len(vehicles)
        case TypesPoll():
            return parsed.rows
        case DiscoveryPoll(urls=urls):
            return len(urls)
        case SystemPoll():
            return 1


def _staleness(memory: SystemMemory | VehicleMemory, updated_at: datetime | None, at: datetime) -> str | None:
    """Why a body is stale: older than the last good one, or behind after it used to advance."""
    if updated_at is None:
        return None
    if memory.feed_updated_at is not None and updated_at < memory.feed_updated_at:
        return f"older than the body before it ({memory.feed_updated_at.isoformat()})"
    if memory.feed_has_advanced and at - updated_at > MAX_GAP:
        return f"its own time stands still at {updated_at.isoformat()}"
    return None


def _follow(memory: SystemMemory, feed: str, answer: Answer, verdict: Verdict) -> Detected:
    """Move the memory on to a good answer."""
    at = answer.fetched_at
    match verdict.parsed:
        case StationPoll() as poll:
            _follow_time(memory, poll.feed_updated_at, at)
            memory.is_shared_feed = answer.is_shared
            return detect(memory, poll, at)
        case InformationPoll(descriptions=descriptions):
            news = describe(memory, descriptions.items(), at)
            return Detected(information=news, undescribed=forget_descriptions(memory, descriptions.keys(), at))
        case TypesPoll(electric_types=types, rejected=rejected, types=accepted):
            # A type whose row is rejected stays what it was.
            kept = memory.electric_types - accepted if rejected and memory.electric_types else frozenset()
            electric = kept.union(types)
            if memory.electric_types != electric:
                memory.electric_types = electric
                memory.last_poll = None  # equal rows now mean other readings
        case None if feed == STATUS_FEED:
            return detect_unmodified(memory, at)
    return Detected()


def _follow_vehicles(
    memory: SystemMemory, feed: str, at: datetime, verdict: Verdict
) -> DetectedVehicles | None:
    """Move the memory of the vehicles on to a good answer; None where it says nothing new of them."""
    own = memory.vehicles
    match verdict.parsed:
        case VehiclePoll() as poll:
            _follow_time(own, poll.feed_updated_at, at)
            return detect_vehicles(memory.system_id, own, poll, at)
        case TypesPoll(ranges_m=told, rejected=rejected, types=accepted):
            kept = {each: far for each, far in own.ranges_m.items() if rejected and each not in accepted}
            ranges_m = kept | told
            if ranges_m != own.ranges_m:
                own.ranges_m = ranges_m
                return DetectedVehicles()
        case None if feed == VEHICLE_FEED:
            return detect_vehicles(memory.system_id, own, None, at)
    return None


def _follow_time(memory: SystemMemory | VehicleMemory, updated_at: datetime | None, at: datetime) -> None:
    """Remember a body's own time. One in the future (a broken clock) counts as not given: by it, all
    that is to come would be called stale until that time is reached.
    """
    if updated_at is not None and updated_at - at > MAX_GAP:
        updated_at = None
    before = memory.feed_updated_at
    if before is not None and updated_at is not None and updated_at > before:
        memory.feed_has_advanced = True
    memory.feed_updated_at = updated_at


def _events_made(feed: str, found: Detected, vehicles: DetectedVehicles | None) -> int:
    """Events in the topic of the feed: a status that describes stations too has others beside them."""
    if vehicles is not None:
        return len(vehicles.events)
    return len(found.events) if feed == STATUS_FEED else len(found.information)


def _poll_record(memory: SystemMemory, feed: str, answer: Answer, verdict: Verdict, events: int) -> Poll:
    is_status = feed == STATUS_FEED
    totals = memory.totals.as_columns()
    if not (is_status and verdict.outcome in GOOD):
        totals = dict.fromkeys(totals)
    return Poll(
        system_id=memory.system_id,
        feed=feed,
        fetched_at=answer.fetched_at,
        request_id=answer.request_id,
        outcome=verdict.outcome,
        http_status=answer.http_status,
        seconds=answer.seconds,
        bytes=None if answer.body is None else len(answer.body),
        rows_in=verdict.rows_in,
        rows_accepted=verdict.rows_accepted,
        rows_rejected=sum(row.row_index >= 0 for row in verdict.rejected),
        events=events,
        feed_updated_at=verdict.feed_updated_at,
        error=verdict.error and verdict.error[:REASON_CHARACTERS],
        **totals,
    )


def _events(memory: SystemMemory, found: Detected, at: datetime) -> Iterable[Record]:
    system_id = memory.system_id
    prefix = station_key(system_id, "")
    for event in found.events:
        yield Record(topics.STATION_STATUS, prefix + event.station_id, _encode(event))
    for information in found.information:
        yield Record(topics.STATION_INFORMATION, prefix + information.station_id, _encode(information))
    for station_id in found.touched:
        state = station_state(system_id, station_id, memory.stations[station_id], at)
        yield Record(topics.STATION_STATE, prefix + station_id, _encode(state))
    for station_id in found.forgotten:
        yield Record(topics.STATION_STATE, prefix + station_id, None)
    for station_id in found.undescribed:
        yield Record(topics.STATION_INFORMATION, prefix + station_id, None)


def _vehicle_records(memory: SystemMemory, found: DetectedVehicles, at: datetime) -> Iterable[Record]:
    system_id, own = memory.system_id, memory.vehicles
    prefix = station_key(system_id, "")
    for event in found.events:
        yield Record(topics.VEHICLE_STATUS, prefix + event.vehicle_id, _encode(event))
    if found.totals is not None:
        yield Record(topics.VEHICLE_TOTALS, system_id, _encode(found.totals))
    for vehicle_id in found.touched:
        state = vehicle_state(system_id, vehicle_id, own.known[vehicle_id], at)
        yield Record(topics.VEHICLE_STATE, prefix + vehicle_id, _encode(state))
    for vehicle_id in found.forgotten:
        yield Record(topics.VEHICLE_STATE, prefix + vehicle_id, None)
    yield Record(topics.VEHICLE_STATE, system_id, _encode(own.as_state(system_id)))


def _rejections(
    system_id: str, feed: str, answer: Answer, rejected: Iterable[RejectedRow]
) -> Iterable[Record]:
    left = PAYLOADS_CHARACTERS
    for row in rejected:
        # A character takes 4 bytes at most, and a body can have millions.
        payload = row.payload[: 4 * PAYLOAD_CHARACTERS].decode("utf-8", "replace")[:PAYLOAD_CHARACTERS]
        left -= len(payload)
        rejection = Rejection(
            system_id=system_id,
            feed=feed,
            fetched_at=answer.fetched_at,
            row_index=row.row_index,
            reason=row.reason[: SHORT_REASON_CHARACTERS if left < 0 else REASON_CHARACTERS],
            payload=None if left < 0 else payload,
        )
        yield Record(topics.REJECTIONS, system_id, _encode(rejection))


def _system(
    memory: SystemMemory, feed: str, parsed: Parsed | None, at: datetime, profile: Profile
) -> Iterable[Record]:
    """What the system is, where that is new: told by its feed, or first seen by a good poll of stations."""
    told = parsed if isinstance(parsed, SystemPoll) else None
    if told is None and feed != STATUS_FEED:
        return
    information = system_information(memory, told, profile, at)
    if information is not None:
        memory.information = information
        yield Record(topics.SYSTEM_INFORMATION, memory.system_id, _encode(information))


def _fields(memory: SystemMemory, feed: str, answer: Answer) -> Iterable[Record]:
    """The fields of the hour's first body of a feed that has any."""
    last, at = memory.shaped_at.get(feed), answer.fetched_at
    if answer.body is None or (last is not None and hour_of(last) == hour_of(at)):
        return
    for found in shape_of(answer.body, memory.system_id, feed, at):
        memory.shaped_at[feed] = at
        yield Record(topics.FEED_FIELDS, memory.system_id, _encode(found))
