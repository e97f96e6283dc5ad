"""Where the topics end, and how far the stream has come."""

import logging
import time
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from bike_assets.model.errors import BrokerUnavailable, SomethingMissing
from bike_assets.stream.events import SOURCES

ANSWER_S = 10.0
Offsets = dict[str, dict[str, int]]
"""The offset after the last message, by topic and partition, as Spark writes it."""


def _admin(bootstrap_servers: str) -> AdminClient:
    config: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, "logger": logging.getLogger("bike_assets.kafka")}
    return AdminClient(config)


def topic_partitions(bootstrap_servers: str) -> dict[str, int]:
    """How many partitions each topic of ours has. Raises SomethingMissing where one is not there."""
    try:
        found = _admin(bootstrap_servers).list_topics(timeout=ANSWER_S).topics
    except KafkaException as err:
        raise BrokerUnavailable(f"Kafka at {bootstrap_servers} does not answer: {err.args[0].str()}.") from None
    missing = [topic.name for topic in SOURCES if topic.name not in found]
    if missing:
        raise SomethingMissing(f"Kafka has no topic {missing[0]}; `bike up` or `bike drain` makes them.")
    return {topic.name: len(found[topic.name].partitions) for topic in SOURCES}


def end_offsets(bootstrap_servers: str) -> Offsets:
    """The end of what is committed, now."""
    ends = time.monotonic() + ANSWER_S
    while True:
        try:
            return _end_offsets(bootstrap_servers)
        except KafkaException as err:
            # A topic that was made a moment ago has no leader yet.
            if time.monotonic() > ends:
                reason = err.args[0].str()
                raise BrokerUnavailable(f"Kafka at {bootstrap_servers} does not answer: {reason}.") from None
            time.sleep(0.1)


def _end_offsets(bootstrap_servers: str) -> Offsets:
    wanted = {
        TopicPartition(topic, partition): OffsetSpec.latest()  # type: ignore[no-untyped-call]
        for topic, count in topic_partitions(bootstrap_servers).items()
        for partition in range(count)
    }
    admin = _admin(bootstrap_servers)  # its answers come only while it lives
    asked = admin.list_offsets(
        wanted, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=ANSWER_S
    )
    found: Offsets = {}
    for place, future in asked.items():
        found.setdefault(place.topic, {})[str(place.partition)] = future.result(ANSWER_S).offset
    return found


def lag(done: Offsets, wanted: Offsets) -> int:
    """Messages that are still to come."""
    return sum(
        max(end - done.get(topic, {}).get(partition, 0), 0)
        for topic, ends in wanted.items()
        for partition, end in ends.items()
    )
