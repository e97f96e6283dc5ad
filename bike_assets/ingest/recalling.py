"""What a partition's systems were at the last commit, read back from Kafka's compacted topics."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from bike_assets.ingest.memory import Memories, recall
from bike_assets.model import topics
from bike_assets.model.errors import BrokerUnavailable
from bike_assets.model.messages import (
    StationInformation,
    StationState,
    SystemInformation,
    SystemState,
    VehicleFeedState,
    VehicleState,
)
from bike_assets.model.topics import Topic

log = structlog.get_logger()
KAFKA_LOG = logging.getLogger("bike_assets.kafka")

ANSWER_S = 30.0
"""How long the broker may take to answer before the poller says so and tries again."""

REMEMBERED = (
    topics.STATION_STATE, topics.STATION_INFORMATION, topics.SYSTEM_INFORMATION, topics.VEHICLE_STATE,
)  # fmt: skip

Newest = Mapping[str, Mapping[str, bytes]]
"""By topic and key, the newest message of each."""

T = TypeVar("T")


def read_memories(bootstrap_servers: str, partition: int) -> Memories:
    """The partition's memories, from the topics to their ends. Raises BrokerUnavailable, KafkaException."""
    newest: dict[str, dict[str, bytes]] = {topic.name: {} for topic in REMEMBERED}
    for message in read_to_end(bootstrap_servers, [*newest], partition):
        values = newest[message.topic() or ""]
        key, value = (message.key() or b"").decode(errors="replace"), message.value()
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
    return remembered(newest)


def remembered(newest: Newest) -> Memories:
    """The memories that these messages make.

    One that cannot be read is left out, told and counted: of what it said nothing is known then, as if it had never
    been seen. Whoever took the partition over could else never poll any of its systems again.
    """
    unreadable: list[str] = []

    def read(topic: Topic, decode: Callable[[str, bytes], T]) -> Iterator[T]:
        for key, value in newest.get(topic.name, {}).items():
            try:
                yield decode(key, value)
            except (msgspec.MsgspecError, UnicodeDecodeError) as err:
                unreadable.append(key)
                log.error("left out of what is remembered: unreadable", topic=topic.name, key=key, reason=str(err))

    memories = recall(
        read(topics.STATION_STATE, _decode_state),
        read(topics.STATION_INFORMATION, lambda _, value: msgspec.json.decode(value, type=StationInformation)),
        read(topics.SYSTEM_INFORMATION, lambda _, value: msgspec.json.decode(value, type=SystemInformation)),
        read(topics.VEHICLE_STATE, decode_vehicle_state),
    )
    memories.unreadable = len(unreadable)
    return memories


def _decode_state(key: str, value: bytes) -> StationState | SystemState:
    if "/" in key:
        return msgspec.json.decode(value, type=StationState)
    return msgspec.json.decode(value, type=SystemState)


def decode_vehicle_state(key: str, value: bytes) -> VehicleState | VehicleFeedState:
    """A message of `vehicle_state`: of a vehicle, or of its system."""
    if "/" in key:
        return msgspec.json.decode(value, type=VehicleState)
    return msgspec.json.decode(value, type=VehicleFeedState)


def read_to_end(bootstrap_servers: str, names: Sequence[str], partition: int) -> Iterable[Message]:
    """All committed messages of the topics' partition, each topic in its order."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "bike-recall",  # named because librdkafka wants one; nothing is committed to it
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,  # an end is told only after this wait
            "logger": KAFKA_LOG,
        }
    )
    unread = set(names)
    try:
        consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING) for name in names])
        while unread:
            message = consumer.poll(ANSWER_S)
            if message is None:
                raise BrokerUnavailable(f"Kafka did not give {min(unread)} to its end within {ANSWER_S:.0f} s.")
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                unread.discard(message.topic() or "")
            else:
                raise KafkaException(error)
    finally:
        consumer.close()
