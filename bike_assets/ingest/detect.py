"""Change detection: one good poll of a system's stations becomes its events.

Nothing here reads a clock or the network. `memory` moves on to the poll; if what comes of it cannot be
committed, the memory is thrown away and recalled from Kafka.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from itertools import accumulate, compress
from operator import is_not

from bike_assets.ingest.memory import Known, SystemMemory, VehicleMemory, one_of
from bike_assets.model.answers import Description, StationPoll, StationRow
from bike_assets.model.constants import (
    ABSENCE_MEMORY,
    ABSENT_STATIONS,
    DESCRIPTION_MEMORY,
    UNLISTED_CHARACTERS,
    UNLISTED_STATIONS,
)
from bike_assets.model.messages import EventKind, StationInformation, StationStatus
from bike_assets.model.readings import Reading, State, state_of

INFORMATION_FEED = "station_information"


@dataclass(slots=True)
class Detected:
    """What a poll made: events, new descriptions, stations whose state must be stored or forgotten, and those whose
    description must. `crowded_out` are absent stations that were forgotten early since this was told last, an hour ago.
    """

    events: list[StationStatus] = field(default_factory=list)
    information: list[StationInformation] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    undescribed: list[str] = field(default_factory=list)
    crowded_out: int = 0


def opens_an_hour(memory: SystemMemory | VehicleMemory, at: datetime) -> bool:
    """Whether `at` is the first good poll of its UTC hour."""
    last = memory.last_good_poll_at
    return last is None or hour_of(last) != hour_of(at)


def detect_unmodified(memory: SystemMemory, at: datetime) -> Detected:
    """The events of a 304: keyframes from memory at the start of an hour, else none."""
    found = Detected()
    if opens_an_hour(memory, at):
        for station_id, known in memory.stations.items():
            if known.absent_since is None:
                found.events.append(_keyframe(memory, station_id, known, at, known.reported_at))
        _repeat_absences(memory, at, found)
    memory.last_good_poll_at = at
    return found


def detect(memory: SystemMemory, poll: StationPoll, at: datetime) -> Detected:
    """The events of a good body: changes, then absences, and keyframes at the start of an hour."""
    found = Detected()
    opens = opens_an_hour(memory, at)
    moved = _moved_rows(memory.last_poll, poll)
    _changes(memory, map(poll.read, range(len(poll.rows)) if moved is None else moved), at, found)
    if opens:
        changed = set(found.touched)
        found.events.extend(
            _keyframe(memory, station_id, memory.stations[station_id], at, poll.reported_at(place))
            for place, station_id in enumerate(map(poll.id_of, poll.rows))
            if station_id not in changed
        )
        # Before the new absences are noted, so that none is written twice.
        _repeat_absences(memory, at, found)
    if moved is None:
        _absences(memory, set(map(poll.id_of, poll.rows)), at, found)
        _make_room(memory, found)
    if opens:
        found.crowded_out, memory.crowded_out = memory.crowded_out, 0
        if INFORMATION_FEED not in memory.observed_at:  # else its list says which stations there are
            found.undescribed = forget_descriptions(memory, (), at)
    memory.last_poll = poll
    memory.last_good_poll_at = at
    return found


def describe(
    memory: SystemMemory, descriptions: Iterable[tuple[str, Description]], at: datetime
) -> list[StationInformation]:
    """The descriptions that differ from what is known, as events."""
    news = [(id_, each) for id_, each in descriptions if memory.descriptions.get(id_) != each]
    memory.descriptions.update(news)
    return [
        StationInformation(
            system_id=memory.system_id,
            station_id=station_id,
            observed_at=at,
            name=each.name,
            address=each.address,
            lat=each.lat,
            lon=each.lon,
            capacity=each.capacity,
            has_payment_terminal=each.has_payment_terminal,
        )
        for station_id, each in news
    ]


def forget_descriptions(memory: SystemMemory, listed: Collection[str], at: datetime) -> list[str]:
    """Forget what stations were that are neither `listed` nor remembered by the status, a month after that is first
    seen and the oldest where they are too many, and say which these are.
    """
    before = memory.unlisted_since
    unlisted = {each: before.get(each, at) for each in memory.descriptions.keys() - listed - memory.stations.keys()}
    gone = {each for each, since in unlisted.items() if at - since > DESCRIPTION_MEMORY}
    newest = sorted(unlisted, key=lambda each: (unlisted[each], each), reverse=True)
    lengths = accumulate(map(len, newest))
    gone |= {each for place, (each, characters) in enumerate(zip(newest, lengths, strict=True))
             if place >= UNLISTED_STATIONS or characters > UNLISTED_CHARACTERS}  # fmt: skip
    memory.unlisted_since = {each: unlisted[each] for each in sorted(unlisted.keys() - gone)}
    for station_id in gone:
        del memory.descriptions[station_id]
    return sorted(gone)


def hour_of(at: datetime) -> tuple[int, ...]:
    """The UTC hour in which an instant lies."""
    return at.timetuple()[:4]


def _moved_rows(before: StationPoll | None, now: StationPoll) -> list[int] | None:
    """Places whose row moved; None where the two bodies do not list the same stations in the same order."""
    if before is None or len(before.rows) != len(now.rows):
        return None
    new = compress(range(len(now.rows)), map(is_not, now.rows, before.rows))
    moved = [place for place in new if now.rows[place] != before.rows[place]]
    return None if any(now.id_of(now.rows[place]) != before.id_of(before.rows[place]) for place in moved) else moved


def _changes(memory: SystemMemory, rows: Iterable[StationRow], at: datetime, found: Detected) -> None:
    """Write the changes and new descriptions among the rows."""
    described = []
    stations = memory.stations
    for row in rows:
        if row.information is not None:
            described.append((row.station_id, row.information))
        known = stations.get(row.station_id)
        if known is None or known.absent_since is not None:
            _appear(memory, row, at, found)
        elif known.reading != row.reading:
            _change(memory, row, known, at, found)
    found.information.extend(describe(memory, described, at))


def _appear(memory: SystemMemory, row: StationRow, at: datetime, found: Detected) -> None:
    known = Known(one_of(row.reading), state_of(row.reading), at, row.reported_at)
    _store(memory, row.station_id, known, found)
    found.events.append(_event(memory, row.station_id, EventKind.CHANGE, known, None, at))


def _change(memory: SystemMemory, row: StationRow, before: Known, at: datetime, found: Detected) -> None:
    state = state_of(row.reading)
    since = before.state_since if state is before.state else at
    known = Known(one_of(row.reading), state, since, row.reported_at)
    _store(memory, row.station_id, known, found)
    found.events.append(_event(memory, row.station_id, EventKind.CHANGE, known, before, at))


def _store(memory: SystemMemory, station_id: str, known: Known, found: Detected) -> None:
    memory.remember(station_id, known)
    found.touched.append(station_id)


def _absences(memory: SystemMemory, seen: set[object], at: datetime, found: Detected) -> None:
    """Stations that this good poll no longer shows."""
    for station_id in sorted(memory.stations.keys() - seen - memory.absent):
        before = memory.stations[station_id]
        last_seen = memory.last_good_poll_at
        if last_seen is None or at - last_seen > ABSENCE_MEMORY:
            _forget(memory, station_id, found)
            continue
        gone = before._replace(absent_since=at, last_seen_at=last_seen)
        _store(memory, station_id, gone, found)
        found.events.append(_absence(memory, station_id, gone, before, at))


def _repeat_absences(memory: SystemMemory, at: datetime, found: Detected) -> None:
    """With the hour's keyframes, for as long as an absence is remembered."""
    for station_id in sorted(memory.absent):
        known = memory.stations[station_id]
        if known.last_seen_at is None or at - known.last_seen_at > ABSENCE_MEMORY:
            _forget(memory, station_id, found)
        else:
            found.events.append(_absence(memory, station_id, known, None, at))


def _make_room(memory: SystemMemory, found: Detected) -> None:
    """Forget those that were seen least lately where more stations are absent than are remembered."""
    excess = len(memory.absent) - ABSENT_STATIONS
    if excess <= 0:
        return
    crowded_out = set(nsmallest(excess, memory.absent, key=lambda each: (memory.stations[each].last_seen_at, each)))
    found.touched = [each for each in found.touched if each not in crowded_out]
    for station_id in sorted(crowded_out):
        _forget(memory, station_id, found)
    memory.crowded_out += excess


def _forget(memory: SystemMemory, station_id: str, found: Detected) -> None:
    memory.forget(station_id)
    found.forgotten.append(station_id)


def _keyframe(
    memory: SystemMemory, station_id: str, known: Known, at: datetime, reported_at: datetime | None
) -> StationStatus:
    reading, state = known.reading, known.state
    return StationStatus(
        memory.system_id, station_id, at, EventKind.KEYFRAME, *reading, state, known.state_since,
        reading.bikes_available, reading.docks_available, state, reported_at,
    )  # fmt: skip


def _event(
    memory: SystemMemory, station_id: str, kind: EventKind, known: Known, before: Known | None, at: datetime
) -> StationStatus:
    return StationStatus(
        memory.system_id, station_id, at, kind, *known.reading, known.state, known.state_since,
        *_before(before), known.reported_at,
    )  # fmt: skip


def _before(before: Known | None) -> tuple[int | None, int | None, State | None]:
    """An event's `bikes_before`, `docks_before` and `state_before`."""
    if before is None:
        return None, None, None
    return before.reading.bikes_available, before.reading.docks_available, before.state


def _absence(
    memory: SystemMemory, station_id: str, gone: Known, before: Known | None, at: datetime
) -> StationStatus:
    bikes_before, docks_before, state_before = _before(before)
    return StationStatus(
        system_id=memory.system_id,
        station_id=station_id,
        observed_at=at,
        kind=EventKind.ABSENT,
        **dict.fromkeys(Reading._fields),
        state=State.UNKNOWN,
        state_since=gone.absent_since or at,
        bikes_before=bikes_before,
        docks_before=docks_before,
        state_before=state_before,
        reported_at=None,
    )
