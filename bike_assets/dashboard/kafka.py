"""The feed from Kafka: the two information topics and the two states', each from its beginning, then on."""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from bike_assets.dashboard.feed import Written
from bike_assets.dashboard.live import Forgotten, Message
from bike_assets.logs import KAFKA_LOG
from bike_assets.model.errors import BrokerUnavailable
from bike_assets.model.topics import STATION_INFORMATION, STATION_STATE, SYSTEM_INFORMATION, VEHICLE_STATE

log = structlog.get_logger()

# Descriptions first: where a partition's messages come in this order, stations appear with their names.
_TOPICS = {topic.name: topic for topic in (SYSTEM_INFORMATION, STATION_INFORMATION, STATION_STATE, VEHICLE_STATE)}
NAMES = tuple(_TOPICS)

ANSWER_S = 3.0
"""How long the broker may take to say what it has."""

LOOK_S = 10.0
"""How often the broker is asked whether it is there and still the same, however quiet the topics are."""

AT_ONCE = 10_000
"""Messages a read gives at most."""

_CONSUMER: dict[str, Any] = {
    "group.id": "bike-page",  # named because librdkafka wants one; nothing is committed to it
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "reconnect.backoff.ms": 500,
    "reconnect.backoff.max.ms": 2_000,
    "logger": KAFKA_LOG,
}

Layout = dict[str, Any]


class KafkaFeed:
    """A consumer without a group's say: it is assigned all partitions and commits no offsets."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._consumer: Consumer | None = None
        self._layout: Layout = {}
        self._unread: set[tuple[str, int]] = set()
        self._looked_at = 0.0

    @property
    def is_caught_up(self) -> bool:
        """Whether the end of every partition was seen since `open`."""
        return self._consumer is not None and not self._unread

    def open(self) -> None:
        """Assign every partition, from its beginning. Raises BrokerUnavailable, also for missing topics."""
        self._consumer = Consumer(
            {**_CONSUMER, "bootstrap.servers": self._servers, "error_cb": self._look_soon}
        )
        self._layout = self._look()
        self._unread = {(name, number) for name in NAMES for number in range(self._layout[name])}
        self._consumer.assign(
            [TopicPartition(name, number, OFFSET_BEGINNING) for name, number in sorted(self._unread)]
        )

    def read(self, timeout_s: float) -> list[Written]:
        """The next messages. Raises BrokerUnavailable where it is gone, or is another than before."""
        consumer = self._opened()
        if time.monotonic() - self._looked_at > LOOK_S and self._look() != self._layout:
            raise BrokerUnavailable(f"Kafka at {self._servers} has other topics than before.")
        # consume() alone would wait for its whole number or the whole time, poll() does not.
        first = consumer.poll(timeout_s)
        if first is None:
            return []
        written = [self._taken(message) for message in (first, *consumer.consume(AT_ONCE - 1, 0))]
        return [one for one in written if one is not None]

    def close(self) -> None:
        """Let go of the broker."""
        if self._consumer is not None:
            self._consumer.close()
        self._consumer, self._layout, self._unread = None, {}, set()

    def _opened(self) -> Consumer:
        if self._consumer is None:
            raise BrokerUnavailable("The feed is not open.")
        return self._consumer

    def _look_soon(self, _: KafkaError) -> None:
        """A lost connection may come back by itself: the next read asks."""
        self._looked_at = 0.0

    def _look(self) -> Layout:
        """Which cluster it is, and how many partitions each topic has."""
        try:
            found = self._opened().list_topics(timeout=ANSWER_S)
        except KafkaException as err:
            raise self._unavailable(err.args[0]) from None
        missing = [name for name in NAMES if name not in found.topics or found.topics[name].error]
        if missing:
            raise BrokerUnavailable(f"Kafka at {self._servers} has no topic {', '.join(missing)} yet.")
        self._looked_at = time.monotonic()
        return {"cluster": found.cluster_id, **{name: len(found.topics[name].partitions) for name in NAMES}}

    def _taken(self, message: KafkaMessage) -> Written | None:
        """A message, or None where it says only where the reader stands."""
        error = message.error()
        if error is None:
            decoded = _decoded(message)
            _, written_ms = message.timestamp()
            at = datetime.fromtimestamp(written_ms / 1000, UTC)
            return None if decoded is None else Written(decoded, at)
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            self._unread.discard((message.topic(), message.partition()))
            return None
        raise self._unavailable(error)

    def _unavailable(self, error: KafkaError) -> BrokerUnavailable:
        return BrokerUnavailable(f"Kafka at {self._servers} does not answer: {error.str()}.")


def _decoded(message: KafkaMessage) -> Message | None:
    """The message as ours; one that cannot be read is logged and left out."""
    topic, key, value = str(message.topic()), (message.key() or b"").decode(), message.value()
    if value is None:
        return Forgotten(topic, key)
    try:
        found: Message = msgspec.json.decode(value, type=_TOPICS[topic].kind_of(key))
    except msgspec.DecodeError as err:
        log.warning("message left out", topic=topic, key=key, offset=message.offset(), reason=str(err))
        return None
    return found
