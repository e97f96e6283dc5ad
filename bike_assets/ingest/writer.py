"""The one writer of a partition: whole answers into Kafka, each in one transaction or not at all."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from bike_assets.ingest.kafka import ANSWER_S, produce_all
from bike_assets.ingest.memory import Memories
from bike_assets.ingest.recalling import read_memories
from bike_assets.ingest.records import Record
from bike_assets.ingest.taking import MESSAGE_BYTES, ProfileOf, take_alone
from bike_assets.logs import KAFKA_LOG
from bike_assets.model.answers import Answer
from bike_assets.model.errors import BikeAssetsError, BrokerUnavailable, Fenced, KafkaRefuses
from bike_assets.model.messages import Poll

log = structlog.get_logger()

TRANSACTION_S = 60.0
"""How long a transaction may last before the broker ends it."""

_FOR_GOOD = frozenset({
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
})  # fmt: skip

_PRODUCER: dict[str, Any] = {
    "enable.idempotence": True,
    "transaction.timeout.ms": int(TRANSACTION_S * 1000),
    "compression.type": "lz4",
    "message.max.bytes": MESSAGE_BYTES,
    "linger.ms": 5,
    # The transaction bounds what is under way; a limit on messages would only split a keyframe poll.
    "queue.buffering.max.messages": 0,
    "queue.buffering.max.kbytes": 1_048_576,
}

_RECALLING = threading.Lock()
"""One partition at a time: what is read takes as much memory as what is remembered, and more threads read no faster."""


class PartitionWriter:
    """Holds a partition: its memories, and the transactional producer `poll-<partition>`.

    Opening it fences whoever wrote the partition before, then reads what that one had committed. A
    transaction that fails takes the memories with it: they are read back, and the answers taken again.
    """

    def __init__(self, bootstrap_servers: str, partition: int, profile_of: ProfileOf) -> None:
        self._servers = bootstrap_servers
        self.partition = partition
        self._profile_of = profile_of
        self.memories = Memories()
        self.written: Counter[str] = Counter()
        self._producer: Producer | None = None

    def open(self) -> None:
        """Fence, then recall. Raises BrokerUnavailable where the broker does not answer."""
        self._producer = Producer(
            {
                **_PRODUCER,
                "bootstrap.servers": self._servers,
                "transactional.id": f"poll-{self.partition}",
                "logger": KAFKA_LOG,
            }
        )
        try:
            self._producer.init_transactions(ANSWER_S)
            with _RECALLING:
                self.memories = read_memories(self._servers, self.partition)
        except KafkaException as err:
            raise BrokerUnavailable(f"Kafka at {self._servers} does not answer: {_words(err)}.") from None

    def write(self, answers: Sequence[Answer]) -> list[Poll]:
        """Commit the answers in one transaction and give their poll records.

        Raises BrokerUnavailable when the commit was not confirmed: `open` must come first again, and
        tells by what it recalls whether it was stored after all. Raises Fenced when another writer took
        over, KafkaRefuses for what Kafka will never take.
        """
        atoms = [take_alone(self.memories, answer, self._profile_of) for answer in answers]
        self.commit(record for atom in atoms for record in atom.records)
        return [atom.poll for atom in atoms]

    def commit(self, records: Iterable[Record]) -> None:
        """Commit records in one transaction. The memories are as they were. Raises as `write`."""
        began = time.monotonic()
        try:
            self._commit(records)
        except KafkaException as err:
            self.close()
            raise self._named(err, time.monotonic() - began) from None

    def close(self) -> None:
        """Let go of the producer; what it had not committed is aborted by whoever opens next."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None
        self.memories = Memories()

    def _named(self, err: KafkaException, lasted_s: float) -> BikeAssetsError:
        """The error as one of ours."""
        code = err.args[0].code()
        if code in _FOR_GOOD:
            return KafkaRefuses(f"Kafka refuses what is written to partition {self.partition}: {_words(err)}.")
        # A transaction that the broker ended after its time is told in the same word as one that was taken over.
        if code == KafkaError._FENCED and lasted_s < TRANSACTION_S:  # noqa: SLF001
            return Fenced(
                f"Another writer took partition {self.partition} of {self._servers} over: "
                "two pollers write to one Kafka; end one of them."
            )
        return BrokerUnavailable(f"Kafka did not commit: {_words(err)}.")

    def _commit(self, records: Iterable[Record]) -> None:
        if self._producer is None:
            raise BrokerUnavailable("The writer is not open.")
        self._producer.begin_transaction()
        by_topic: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in records:
            by_topic[record.topic.name].append({"key": record.key, "value": record.value})
        for topic, messages in by_topic.items():
            produce_all(self._producer, topic, self.partition, messages)
        self._commit_patiently(self._producer)
        self.written.update({topic: len(messages) for topic, messages in by_topic.items()})

    def _commit_patiently(self, producer: Producer) -> None:
        """Ask again while the broker may still say yes: only its answer tells what was stored."""
        while True:
            try:
                producer.commit_transaction(ANSWER_S)
                return
            except KafkaException as err:
                if not err.args[0].retriable():
                    raise
                log.warning("Kafka is slow to commit", partition=self.partition, reason=_words(err))


def _words(err: KafkaException) -> str:
    return str(err.args[0].str())
