"""Recordings through the same parsers, with their own times. Replaying twice adds nothing."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Protocol

import structlog

from bike_assets.ingest.memory import Memories
from bike_assets.ingest.routing import parts
from bike_assets.model.answers import ALL_CONTRACTS, Answer
from bike_assets.model.errors import BrokerUnavailable
from bike_assets.model.messages import Poll
from bike_assets.model.topics import partition_of
from bike_assets.sources.reading import feed_name

log = structlog.get_logger()

BATCH_ANSWERS = 50
REOPENINGS = 20
"""How often in a row, without a commit between, a lost writer is opened again before replay gives up."""


class Writer(Protocol):
    """What replay needs of a partition's writer."""

    partition: int
    memories: Memories
    written: Counter[str]

    def open(self) -> None: ...
    def write(self, answers: list[Answer]) -> list[Poll]: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Replayed:
    """What a replay did: lines read, answers committed, those not newer than what was known."""

    lines: int = 0
    written: int = 0
    skipped: int = 0
    events: int = 0
    rejected: int = 0

    def add(self, other: "Replayed") -> None:
        """Add the counts of another recording."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Replay:
    """Feeds answers to the writers of their partitions, a batch a transaction, in the recording's order."""

    def __init__(self, open_writer: Callable[[int], Writer], partitions: int) -> None:
        self._open_writer = open_writer
        self._partitions = partitions
        self._writers: dict[int, Writer] = {}
        self.done = Replayed()

    def run(self, answers: Iterable[Answer], on_progress: Callable[[Replayed], None]) -> Replayed:
        """Replay to the end. A broker that fails in between is waited for; nothing is written twice."""
        stream = iter(answers)
        try:
            while batch := list(islice(stream, BATCH_ANSWERS)):
                self.done.lines += len(batch)
                self._batch(batch)
                on_progress(self.done)
        finally:
            for writer in self._writers.values():
                writer.close()
        return self.done

    def _batch(self, answers: list[Answer]) -> None:
        by_partition: dict[int, list[Answer]] = {}
        for answer in answers:
            if answer.system_id == ALL_CONTRACTS:
                # Which contracts it should have held is known once the answers before it are taken.
                self._write_all(by_partition)
            for part in parts(answer, self._shared_systems):
                by_partition.setdefault(partition_of(part.system_id, self._partitions), []).append(part)
        self._write_all(by_partition)

    def _write_all(self, by_partition: dict[int, list[Answer]]) -> None:
        for partition, own in by_partition.items():
            self._write(partition, own)
        by_partition.clear()

    def _shared_systems(self) -> set[str]:
        """Systems whose last good poll came in an answer with all contracts: expected in the next."""
        every = (self._writer(partition) for partition in range(self._partitions))
        shared = {id_ for writer in every for id_, memory in writer.memories.items() if memory.is_shared_feed}
        return shared - {ALL_CONTRACTS}  # what stands under it is rows that name no contract

    def _write(self, partition: int, answers: list[Answer]) -> None:
        for attempt in range(REOPENINGS):
            try:
                fresh = list(newer(self._writer(partition).memories, answers))
                polls = self._writer(partition).write(fresh) if fresh else []
            except BrokerUnavailable as err:
                self._writers.pop(partition, None)
                if attempt == REOPENINGS - 1:
                    raise
                log.warning("replay goes on from what was committed", reason=str(err))
                continue
            self.done.written += len(polls)
            self.done.skipped += len(answers) - len(fresh)
            self.done.events += sum(poll.events for poll in polls)
            self.done.rejected += sum(poll.rows_rejected for poll in polls)
            return

    def _writer(self, partition: int) -> Writer:
        if partition not in self._writers:
            writer = self._open_writer(partition)
            writer.open()
            self._writers[partition] = writer
        return self._writers[partition]


def newer(memories: Memories, answers: list[Answer]) -> Iterator[Answer]:
    """Answers newer than what is known and than each other, by system and feed."""
    last: dict[tuple[str, str], datetime] = {}
    for answer in answers:
        key = (answer.system_id, feed_name(answer.feed))
        known = last.get(key)
        if known is None and answer.system_id in memories:
            known = memories[answer.system_id].observed_at.get(key[1])
        if known is None or answer.fetched_at > known:
            last[key] = answer.fetched_at
            yield answer

