"""Which partitions are this poller's: Kafka's own group protocol shares them among all pollers of a cluster."""

import logging
import time
from collections.abc import Collection, Sequence
from typing import Any, Protocol

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from bike_assets.model.errors import AlreadyRunning
from bike_assets.model.topics import STATION_STATE

log = structlog.get_logger()
KAFKA_LOG = logging.getLogger("bike_assets.kafka")

GROUP = "bike-pollers"
SESSION_S = 6.0
"""After so long without a sign of life a poller counts as dead; the least that a broker allows by default. The sign is
given by a thread of librdkafka's, which neither Python's lock nor a busy poller keeps waiting.
"""

STUCK_S = 60.0
"""A poller whose own loop stands still for so long leaves the group; the watchdog kills it before."""

ANSWER_S = 10.0

_CONSUMER: dict[str, Any] = {
    "group.id": GROUP,
    # Only what moves is given up: all other systems are polled on while a poller comes or goes.
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": int(SESSION_S * 1000),
    "heartbeat.interval.ms": int(SESSION_S * 1000 / 4),
    "max.poll.interval.ms": int(STUCK_S * 1000),
    "enable.auto.commit": False,
}


class Holder(Protocol):
    """Who works on partitions."""

    def take(self, partitions: Collection[int]) -> None:
        """These are yours now; what you had lost and is not among them is another's."""

    def give_up(self, partitions: Collection[int]) -> None:
        """Finish with these: another waits for them until you return."""

    def lose(self, partitions: Collection[int]) -> None:
        """These may be another's already: write nothing to them before you are told more."""


class Share(Protocol):
    """Says what is whose. Its methods are called by one thread, in which it calls the holder."""

    settled_s: float
    """s after which it has told what a fenced writer may have met before it was told."""

    def begin(self, holder: Holder) -> None: ...
    def look(self, wait_s: float) -> None: ...
    def end(self) -> None: ...


class Alone:
    """Everything is one poller's from the start."""

    settled_s = 0.0

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def begin(self, holder: Holder) -> None:
        """Take all."""
        holder.take(range(self._partitions))

    def look(self, wait_s: float) -> None:
        """Nothing changes."""

    def end(self) -> None:
        """There is nobody to tell."""


class Group:
    """A member of the group of all pollers. It reads no message: membership alone says who has which partition."""

    settled_s = 3 * SESSION_S

    def __init__(self, bootstrap_servers: str) -> None:
        self._consumer = Consumer({**_CONSUMER, "bootstrap.servers": bootstrap_servers, "logger": KAFKA_LOG})

    def begin(self, holder: Holder) -> None:
        """Join. What is ours is told by `look`."""

        def assigned(consumer: Consumer, places: list[TopicPartition]) -> None:
            at_end = [TopicPartition(each.topic, each.partition, OFFSET_END) for each in places]
            consumer.incremental_assign(at_end)
            consumer.pause(at_end)
            log.info("partitions taken", partitions=_numbers(places))
            holder.take(_numbers(places))

        def revoked(consumer: Consumer, places: list[TopicPartition]) -> None:
            holder.give_up(_numbers(places))
            log.info("partitions given up", partitions=_numbers(places))

        def lost(consumer: Consumer, places: list[TopicPartition]) -> None:
            log.warning("out of the group of pollers, rejoining", partitions=_numbers(places))
            holder.lose(_numbers(places))

        self._consumer.subscribe([STATION_STATE.name], on_assign=assigned, on_revoke=revoked, on_lost=lost)

    def look(self, wait_s: float) -> None:
        """Tell the holder what changed; waits so long for news at the most."""
        message = self._consumer.poll(wait_s)
        error = None if message is None else message.error()
        if error is not None:
            log.warning("the group of pollers", reason=error.str())

    def end(self) -> None:
        """Give all up and leave, so that the others need not wait."""
        self._consumer.close()


def refuse_beside_pollers(bootstrap_servers: str, patience_s: float = SESSION_S + 1) -> None:
    """Raise AlreadyRunning where pollers are at work on this Kafka, of whatever home: they would be fenced.

    One that was killed is a member until its session is over: so long is waited for the last of them to go.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    ends = time.monotonic() + patience_s
    while count := _members(admin):
        if time.monotonic() >= ends:
            raise AlreadyRunning(f"{count} pollers are at work on {bootstrap_servers}: end them first.")
        time.sleep(0.2)


def _members(admin: AdminClient) -> int:
    try:
        found = admin.describe_consumer_groups([GROUP], request_timeout=ANSWER_S)[GROUP].result()
    except KafkaException:
        return 0  # no such group: nobody ever polled
    return len(found.members)


def _numbers(places: Sequence[TopicPartition]) -> list[int]:
    return sorted(each.partition for each in places)
