"""A stand-in for Kafka and its transactional writer: committed records in memory, by topic and key.

It is not Kafka. It keeps the promises that the code relies on: a commit is whole or not at all, whoever opens a
partition fences the one before, and memories are read back from the newest record of each key. That Kafka keeps
them is shown by the tests that use a real broker.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import msgspec

from bike_assets.ingest.memory import Memories
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.recalling import REMEMBERED, remembered
from bike_assets.ingest.records import Record
from bike_assets.ingest.replay import Replay, Replayed
from bike_assets.ingest.taking import take_alone
from bike_assets.model.answers import Answer
from bike_assets.model.errors import BrokerUnavailable, Fenced
from bike_assets.model.messages import Poll
from bike_assets.model.topics import Topic

PARTITIONS = 3


class Fate(Enum):
    """What becomes of a commit: stored, lost, or stored with its confirmation lost on the way."""

    STORED = "stored"
    LOST = "lost"
    UNCONFIRMED = "unconfirmed"


class StandInKafka:
    """Committed records by partition; `fates` are those of the next commits, all later ones are stored."""

    def __init__(self, fates: Iterable[Fate] = ()) -> None:
        self.committed: dict[int, list[Record]] = {}
        self.epochs: Counter[int] = Counter()
        self.fates = list(fates)
        self.is_down = False

    def writer(self, partition: int) -> "StandInWriter":
        """A new writer of a partition, not yet opened: a process that has just started."""
        return StandInWriter(self, partition)

    def rows(self, topic: Topic) -> list[dict[str, Any]]:
        """All messages of a topic that is no compacted one, decoded, each as a row."""
        [message] = topic.message
        return [
            msgspec.structs.asdict(msgspec.json.decode(record.value, type=message))
            for partition in sorted(self.committed)
            for record in self.committed[partition]
            if record.topic is topic and record.value is not None
        ]

    def memories(self, partition: int) -> Memories:
        """What a restart finds: the memories of the newest record of each key."""
        newest: dict[str, dict[str, bytes]] = {topic.name: {} for topic in REMEMBERED}
        for record in self.committed.get(partition, []):
            values = newest.get(record.topic.name, {})
            if record.value is None:
                values.pop(record.key, None)
            else:
                values[record.key] = record.value
        return remembered(newest)


class StandInWriter:
    """What `PartitionWriter` is, on a `StandInKafka`."""

    def __init__(self, kafka: StandInKafka, partition: int) -> None:
        self.partition = partition
        self.memories = Memories()
        self.written: Counter[str] = Counter()
        self._kafka = kafka
        self._epoch: int | None = None

    def open(self) -> None:
        if self._kafka.is_down:
            raise BrokerUnavailable("The stand-in is down.")
        self._kafka.epochs[self.partition] += 1
        self._epoch = self._kafka.epochs[self.partition]
        self.memories = self._kafka.memories(self.partition)

    def write(self, answers: list[Answer]) -> list[Poll]:
        atoms = [take_alone(self.memories, answer, lambda _: Profile(timezone="Etc/UTC")) for answer in answers]
        self.commit([record for atom in atoms for record in atom.records])
        return [atom.poll for atom in atoms]

    def commit(self, records: list[Record]) -> None:
        if self._epoch is None or self._kafka.is_down:
            self._fail(BrokerUnavailable("The stand-in is down, or this writer is not open."))
        if self._epoch != self._kafka.epochs[self.partition]:
            self._fail(Fenced("Another writer took the partition over."))
        fate = self._kafka.fates.pop(0) if self._kafka.fates else Fate.STORED
        if fate is not Fate.LOST:
            self._kafka.committed.setdefault(self.partition, []).extend(records)
        if fate is not Fate.STORED:
            self._fail(BrokerUnavailable("The stand-in did not confirm."))
        self.written.update(record.topic.name for record in records)

    def close(self) -> None:
        self._epoch = None
        self.memories = Memories()

    def _fail(self, error: Exception) -> None:
        self.close()
        raise error


def replay(kafka: StandInKafka, answers: Iterable[Answer], on_progress: Callable[[Replayed], None] | None = None
           ) -> Replayed:
    """A replay by a new process: it opens its writers, so that it begins with what was committed."""
    return Replay(kafka.writer, PARTITIONS).run(answers, on_progress or (lambda done: None))
