"""Systems put back to what they were at an instant, so that what follows can be replayed anew."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec

from bike_assets.ingest.memory import Memories, VehicleMemory, recall
from bike_assets.ingest.records import STATUS_FEED, Record
from bike_assets.ingest.routing import parts
from bike_assets.model import topics
from bike_assets.model.answers import ALL_CONTRACTS, Answer
from bike_assets.model.messages import StationInformation, StationState, SystemInformation, SystemState
from bike_assets.model.past import Past
from bike_assets.model.topics import Topic, station_key
from bike_assets.sources.reading import feed_name

_encode = msgspec.json.Encoder().encode


class Rewinding(Protocol):
    """What putting back needs of a partition's writer."""

    memories: Memories

    def open(self) -> None: ...
    def commit(self, records: list[Record]) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Covered:
    """What answers tell of a system: from when to when, and by which feeds."""

    first: datetime
    last: datetime
    feeds: set[str] = field(default_factory=set)

    def take(self, at: datetime, feed: str) -> None:
        """One answer more."""
        self.first, self.last = min(self.first, at), max(self.last, at)
        self.feeds.add(feed)


def covered(answers: Iterable[Answer]) -> dict[str, Covered]:
    """What a recording tells of each system.

    All of its answers with all contracts tell of each contract that stands in one of them: one that failed, or in
    which it is missing, says so of it.
    """
    found: dict[str, Covered] = {}
    shared: list[datetime] = []
    contracts: set[str] = set()
    for answer in answers:
        at, feed = answer.fetched_at, feed_name(answer.feed)
        if answer.system_id == ALL_CONTRACTS:
            contracts.update(part.system_id for part in parts(answer, lambda: ()))
            shared.append(at)
        else:
            found.setdefault(answer.system_id, Covered(at, at)).take(at, feed)
    for system_id in contracts:
        own = found.setdefault(system_id, Covered(shared[0], shared[0]))
        for at in (min(shared), max(shared)):
            own.take(at, STATUS_FEED)
    return found


def recalled(past: Past) -> Memories:
    """The memories of that time."""
    states: list[StationState | SystemState] = [*past.system_states, *past.station_states]
    return recall(states, past.stations, past.systems, [*past.vehicle_feeds, *past.vehicles])


def with_what_no_table_tells(past: Past, now: Mapping[str, Memories]) -> Past:
    """The past with the vehicle types, electric and how far they go, and the way of asking that are known now.

    They stand in no table. Before the first answer that told of them nothing was known.
    """
    told = []
    for state in past.system_states:
        memory = now[state.system_id][state.system_id]
        types = memory.electric_types if "vehicle_types" in state.observed_at else None
        told.append(msgspec.structs.replace(
            state,
            electric_types=None if types is None else sorted(types),
            is_shared_feed=memory.is_shared_feed and state.last_good_poll_at is not None,
        ))  # fmt: skip
    feeds_then = {state.system_id: state.observed_at for state in past.system_states}
    ranges = [
        msgspec.structs.replace(feed, ranges_m=now[feed.system_id][feed.system_id].vehicles.ranges_m)
        if "vehicle_types" in feeds_then[feed.system_id] else feed
        for feed in past.vehicle_feeds
    ]  # fmt: skip
    return msgspec.structs.replace(past, system_states=told, vehicle_feeds=ranges)


def without_forgotten(past: Past, now: Memories) -> Past:
    """The past without the descriptions that Kafka has forgotten, of stations that the status did not remember then.

    The tables keep what every station ever was: all of it would come back into the compacted topic. Who was remembered
    by the status is described still, for a description outlives its station's state.
    """
    remembered = {(each.system_id, each.station_id) for each in past.station_states}
    return msgspec.structs.replace(past, stations=[
        each for each in past.stations
        if (each.system_id, each.station_id) in remembered or each.station_id in now[each.system_id].descriptions
    ])  # fmt: skip


def differing(now: Memories, past: Past) -> tuple[list[StationInformation], list[SystemInformation]]:
    """What the systems and stations of these memories were, where it is not what is known of them now."""
    then = recalled(past)
    stations = [
        each for each in past.stations
        if now[each.system_id].descriptions.get(each.station_id)
        != then[each.system_id].descriptions[each.station_id]
    ]  # fmt: skip
    return stations, [each for each in past.systems if not _is_same(now[each.system_id].information, each)]


def _is_same(now: SystemInformation | None, then: SystemInformation) -> bool:
    return now is not None and msgspec.structs.replace(now, observed_at=then.observed_at) == then


def put_back(now: Memories, past: Past, system_ids: Collection[str]) -> list[Record]:
    """What makes the compacted topics' newest of these systems, all of the partition of `now`, what it was.

    What was not there then is forgotten. A description that is known as it was is left alone: a message of it would
    come into the table as another row.
    """
    own = past.of(system_ids)
    stations, systems = differing(now, own)
    records = [Record(topics.STATION_STATE, each.system_id, _encode(each)) for each in own.system_states]
    records += [_of_station(topics.STATION_STATE, each.system_id, each.station_id, _encode(each))
                for each in own.station_states]  # fmt: skip
    records += [_of_station(topics.STATION_INFORMATION, each.system_id, each.station_id, _encode(each))
                for each in stations]  # fmt: skip
    records += [Record(topics.SYSTEM_INFORMATION, each.system_id, _encode(each)) for each in systems]
    records += [Record(topics.VEHICLE_STATE, each.system_id, _encode(each)) for each in own.vehicle_feeds]
    records += [_of_station(topics.VEHICLE_STATE, each.system_id, each.vehicle_id, _encode(each))
                for each in own.vehicles]  # fmt: skip
    return [*records, *_forgotten(now, recalled(own), system_ids)]


def _forgotten(now: Memories, then: Memories, system_ids: Iterable[str]) -> Iterator[Record]:
    for system_id in system_ids:
        known, before = now[system_id], then[system_id]
        if not before.observed_at:
            yield Record(topics.STATION_STATE, system_id, None)
        for station_id in known.stations.keys() - before.stations.keys():
            yield _of_station(topics.STATION_STATE, system_id, station_id, None)
        for station_id in known.descriptions.keys() - before.descriptions.keys():
            yield _of_station(topics.STATION_INFORMATION, system_id, station_id, None)
        for vehicle_id in known.vehicles.known.keys() - before.vehicles.known.keys():
            yield _of_station(topics.VEHICLE_STATE, system_id, vehicle_id, None)
        if known.vehicles != VehicleMemory() and before.vehicles == VehicleMemory():
            yield Record(topics.VEHICLE_STATE, system_id, None)
        if known.information is not None and before.information is None:
            yield Record(topics.SYSTEM_INFORMATION, system_id, None)


def _of_station(topic: Topic, system_id: str, station_id: str, value: bytes | None) -> Record:
    return Record(topic, station_key(system_id, station_id), value)
