"""Which partitions are this poller's: Kafka's own group protocol shares them among all pollers of a cluster."""

import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, TopicPartition

from bike_assets.logs import KAFKA_LOG
from bike_assets.model.errors import AlreadyRunning, BrokerUnavailable
from bike_assets.model.topics import STATION_STATE

log = structlog.get_logger()

GROUP = "bike-pollers"
SESSION_S = 6.0
"""After so long without a sign of life a poller counts as dead; the least that a broker allows by default. The sign is
given by a thread of librdkafka's, which neither Python's lock nor a busy poller keeps waiting.
"""

STUCK_S = 60.0
"""A poller whose own loop stands still for so long leaves the group; the watchdog kills it before."""

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
        if error is None:
            return
        if error.code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL:
            log.warning("a replay is at work, perhaps of another home: nothing is polled until it is done")
        else:
            log.warning("the group of pollers", reason=error.str())

    def end(self) -> None:
        """Give all up and leave, so that the others need not wait."""
        self._consumer.close()


class Sole:
    """The only one who writes, of whatever home: while it is held, no poller gets a partition.

    It is a member of the pollers' group who asks for an assignment that no poller knows (`range`); a group has members
    of one protocol alone, so Kafka itself lets in either pollers or this one. Of two of these each gets a part of the
    partitions, and who does not get all leaves.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        own = {"partition.assignment.strategy": "range", "bootstrap.servers": bootstrap_servers, "logger": KAFKA_LOG}
        self._consumer = Consumer({**_CONSUMER, **own})
        self._has = 0
        self._is_lost = self._is_refused = False
        self._failed: Exception | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._stay, name="sole writer", daemon=True)

    def begin(self, partitions: int, patience_s: float) -> None:
        """Get all partitions. Raises AlreadyRunning where others have them.

        Who was killed is a member until its session is over: so long is waited for the last of them to go.
        """

        def assigned(consumer: Consumer, places: list[TopicPartition]) -> None:
            at_end = [TopicPartition(each.topic, each.partition, OFFSET_END) for each in places]
            consumer.assign(at_end)
            consumer.pause(at_end)
            self._has = len(places)

        def lost(consumer: Consumer, places: list[TopicPartition]) -> None:
            self._is_lost = True

        self._consumer.subscribe([STATION_STATE.name], on_assign=assigned, on_lost=lost)
        ends = time.monotonic() + patience_s
        while self._has < partitions:
            self._look(0.1)
            if time.monotonic() >= ends:
                if self._has or self._is_refused:
                    raise AlreadyRunning(f"A poller or a replay is at work on {self._servers}: end it first.")
                raise BrokerUnavailable(f"Kafka at {self._servers} did not answer in {patience_s:.0f} s.")
        self._is_lost = False
        self._thread.start()

    def check(self) -> None:
        """Raise AlreadyRunning where a poller may have come between: this process stood still for a session. Raise
        BrokerUnavailable where nothing keeps the pollers out any more.
        """
        if self._failed is not None:
            reason = _said(self._failed)
            raise BrokerUnavailable(f"The pollers of {self._servers} could not be held off: {reason}. Do it again.")
        if self._is_lost:
            raise AlreadyRunning(f"Others may have written to {self._servers} meanwhile: do it again.")

    def end(self) -> None:
        """Let pollers in."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()

    def _stay(self) -> None:
        try:
            while not self._ending.is_set():
                self._look(0.25)
        except Exception as err:  # whatever it is: a thread's own end is seen by nobody
            self._failed = err
            log.exception("out of the group of pollers: nothing keeps them out any more")

    def _look(self, wait_s: float) -> None:
        message = self._consumer.poll(wait_s)
        error = None if message is None else message.error()
        if error is not None:
            self._is_refused = error.code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL
            if not self._is_refused:
                log.warning("the group of pollers", reason=error.str())


@contextmanager
def sole_writer(bootstrap_servers: str, partitions: int, patience_s: float = 2 * SESSION_S) -> Iterator[Sole]:
    """Held by who writes and is no poller. Raises AlreadyRunning where pollers are at work on this Kafka."""
    held = Sole(bootstrap_servers)
    try:
        held.begin(partitions, patience_s)
        yield held
    finally:
        held.end()


def _said(err: Exception) -> str:
    told = err.args[0] if err.args else None
    return (told.str() if isinstance(told, KafkaError) else str(err)).rstrip(".")


def _numbers(places: Sequence[TopicPartition]) -> list[int]:
    return sorted(each.partition for each in places)
