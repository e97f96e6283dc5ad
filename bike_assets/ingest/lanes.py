"""A lane: the queue before a partition, and the thread that commits what stands in it."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from bike_assets.ingest.replay import Writer, newer
from bike_assets.model.answers import Answer
from bike_assets.model.errors import BrokerUnavailable
from bike_assets.model.messages import GOOD, Poll
from bike_assets.sources.reading import VEHICLE_FEED

log = structlog.get_logger()

QUEUE_ANSWERS = 500
QUEUE_BYTES = 64_000_000
"""Of bodies. A lane is full with half of either, and what is under way then still finds its place."""

BATCH_ANSWERS = 200
BATCH_BYTES = 2_000_000
"""Of bodies in one transaction, about: where each row is an event, its messages take ten times as much."""

RETRY_S = 1.0
"""Between two tries of one batch: a broker that says no at once is not asked a thousand times a second."""
_IDLE_S = 0.5
STOP_S = 5.0

Committed = Callable[[Iterable[tuple[Answer, Poll]]], None]


class Lane:
    """Commits a partition's answers a few times a second, in the order in which they came."""

    def __init__(self, writer: Writer, commit_seconds: float) -> None:
        self._writer = writer
        self._commit_s = commit_seconds
        self._queue: queue.Queue[Answer] = queue.Queue(QUEUE_ANSWERS)
        self._stopping = threading.Event()
        self._is_ours = threading.Event()
        self._is_ours.set()
        self._is_open = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"lane-{writer.partition}", daemon=True)
        self._committed: Committed = lambda pairs: None
        self._outcomes: Counter[str] = Counter()
        self._failing: dict[str, str] = {}
        self._events = 0
        self._committed_at: datetime | None = None
        self._waits_since: datetime | None = None

    @property
    def is_full(self) -> bool:
        """Whether no more should be asked for it, so that a broker that is down costs polls and never memory."""
        if self._error is not None:
            return True
        with self._queue.mutex:
            waiting = len(self._queue.queue)
            size = sum(len(answer.body or b"") for answer in self._queue.queue)
        return waiting >= QUEUE_ANSWERS // 2 or size >= QUEUE_BYTES // 2

    def start(self, committed: Committed) -> None:
        """Open the writer and begin; `committed` is called with each batch that is safe."""
        self._committed = committed
        self._thread.start()

    def put(self, answer: Answer) -> None:
        """Queue an answer; one for a lane that has ended goes nowhere, as one that is under way at a stop."""
        self._waits_since = self._waits_since or datetime.now(UTC)
        while self._error is None and not self._stopping.is_set():
            with suppress(queue.Full):
                self._queue.put(answer, timeout=_IDLE_S)
                return

    def hold(self) -> None:
        """Write nothing until `go_on`: the partition may be another's. What is queued stays."""
        self._is_ours.clear()
        self._is_open = False

    def go_on(self) -> None:
        """The partition is ours again: go on from what whoever had it meanwhile committed."""
        self._is_ours.set()

    def last_good_poll_at(self, system_id: str, feed: str) -> datetime | None:
        """When the last good poll of the system's status feed was, of whatever process; None where none is known."""
        memory = self._writer.memories.get(system_id)
        if memory is None:
            return None
        return memory.vehicles.last_good_poll_at if feed == VEHICLE_FEED else memory.last_good_poll_at

    def check(self) -> None:
        """Raise what ended the lane, if it ended."""
        if self._error is not None:
            raise self._error

    @property
    def written(self) -> Counter[str]:
        """Messages committed so far, by topic."""
        return self._writer.written

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself; `check` raises why."""
        return self._error is not None

    def stop_soon(self) -> None:
        """Commit what is queued and end; does not wait."""
        self._stopping.set()

    def stop(self) -> None:
        """Commit what is queued and end; waits a little, for a broker that is down must not hold it."""
        self.stop_soon()
        self._thread.join(timeout=STOP_S)

    def report(self) -> dict[str, Any]:
        return {
            "partition": self._writer.partition,
            "queued": self._queue.qsize(),
            "committed_at": self._committed_at and self._committed_at.isoformat(),
            "waits_since": self._waits_since and self._waits_since.isoformat(),
            "events": self._events,
            "written": dict(self._writer.written),
            "polls": dict(self._outcomes),
            "failing": dict(self._failing),
            "unreadable": self._writer.memories.unreadable,
        }

    def _run(self) -> None:
        try:
            self._open()
            while not (self._stopping.is_set() and self._queue.empty()):
                batch = self._next_batch()
                if batch:
                    self._commit(batch)
        except BaseException as err:
            self._error = err
        finally:
            self._writer.close()

    def _open(self) -> None:
        """Fence whoever had the partition, and recall; not while it may be another's."""
        while not self._stopping.is_set():
            if not self._is_ours.wait(_IDLE_S):
                continue
            try:
                self._writer.open()
            except BrokerUnavailable as err:
                log.warning("waiting for Kafka", partition=self._writer.partition, reason=str(err))
            else:
                self._is_open = self._is_ours.is_set()
                return

    def _next_batch(self) -> list[Answer]:
        """The answers of the next `commit_seconds`, at most BATCH_ANSWERS, or BATCH_BYTES and the last one."""
        try:
            batch = [self._queue.get(timeout=_IDLE_S)]
        except queue.Empty:
            return []
        ends, size = time.monotonic() + self._commit_s, len(batch[0].body or b"")
        while len(batch) < BATCH_ANSWERS and size < BATCH_BYTES and (left := ends - time.monotonic()) > 0:
            try:
                answer = self._queue.get(timeout=left)
            except queue.Empty:
                break
            batch.append(answer)
            size += len(answer.body or b"")
        return batch

    def _commit(self, batch: list[Answer]) -> None:
        is_retried = False
        while not self._stopping.is_set() or not is_retried:
            if not self._is_open:
                self._writer.close()
                self._open()
                is_retried = True
            if not self._is_open:
                continue  # lost once more, or told to stop
            # After a failure only what is newer than the state read back: the commit may have come through.
            answers = list(newer(self._writer.memories, batch)) if is_retried else batch
            try:
                polls = self._writer.write(answers) if answers else []
            except BrokerUnavailable as err:
                log.warning("commit failed, taken again", partition=self._writer.partition, reason=str(err))
                is_retried, self._is_open = True, False
                self._stopping.wait(RETRY_S)
                continue
            self._count(polls)
            self._committed(zip(answers, polls, strict=True))
            return

    def _count(self, polls: list[Poll]) -> None:
        self._outcomes.update(str(poll.outcome) for poll in polls)
        self._events += sum(poll.events for poll in polls)
        for poll in polls:
            name = f"{poll.system_id} {poll.feed}"
            self._failing.pop(name, None)
            if poll.outcome not in GOOD:
                self._failing[name] = poll.error or str(poll.outcome)
        self._committed_at = datetime.now(UTC)
        self._waits_since = None if self._queue.empty() else self._committed_at


