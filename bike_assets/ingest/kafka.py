"""What all who write to Kafka need: to hand over, to read a topic to its end, to know that another took over."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from bike_assets.logs import KAFKA_LOG
from bike_assets.model.errors import BrokerUnavailable

ANSWER_S = 30.0
"""How long the broker may take to answer before who waits says so and tries again."""

_FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})  # noqa: SLF001


def is_fenced(error: KafkaError) -> bool:
    """Whether another producer took over what this one wrote."""
    return error.code() in _FENCED


def produce_all(
    producer: Producer, topic: str, partition: int, messages: list[dict[str, Any]],
    delivered: Callable[[KafkaError | None, Message], None] | None = None,
) -> None:
    """Hand a transaction's messages, `key` and `value` each, to Kafka's client, which tells `delivered` of each.

    Raises KafkaException where it takes one of them not.
    """
    if producer.produce_batch(topic, messages, partition, delivered) != len(messages):
        raise KafkaException(next(each["_error"] for each in messages if "_error" in each))


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
