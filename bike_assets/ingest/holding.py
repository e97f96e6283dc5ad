"""The lanes of the partitions that a poller holds, as they come and go."""

import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import structlog

from bike_assets.ingest.lanes import Committed, Lane
from bike_assets.model.errors import Fenced
from bike_assets.model.topics import partition_of

log = structlog.get_logger()

CONTESTED_S = 300.0
"""A partition that was taken back once, and is fenced again within so long, has another writer who will not stop."""


class Lanes:
    """A lane for each partition held. Changed by one thread, read by many."""

    def __init__(self, partitions: int, make: Callable[[int], Lane]) -> None:
        """`partitions` is how many there are, `make` gives a new lane of one of them."""
        self.partitions = partitions
        self.held: dict[int, Lane] = {}
        self._make = make
        self._committed: Committed = lambda pairs: None
        self._lost: set[int] = set()
        self._fenced_at: dict[int, float] = {}
        self._taken_back_at: dict[int, float] = {}
        self._written_before: Counter[str] = Counter()

    @property
    def written(self) -> Counter[str]:
        """Messages committed so far, by topic."""
        return sum((lane.written for lane in self.held.values()), self._written_before)

    def begin(self, committed: Committed) -> None:
        """`committed` is called with each batch that is safe, of whatever lane."""
        self._committed = committed

    def partition(self, system_id: str) -> int:
        """Where a system's messages stand."""
        return partition_of(system_id, self.partitions)

    def of(self, system_id: str) -> Lane | None:
        """The system's lane; None where its partition is another's."""
        return self.held.get(self.partition(system_id))

    def report(self) -> list[dict[str, Any]]:
        """How each lane is."""
        return [lane.report() for _, lane in sorted(self.held.items())]

    def take(self, partitions: Collection[int]) -> None:
        """Open these, or go on with those that were lost and came back; what was lost and did not come back ends."""
        self.stop(self._lost.difference(partitions))
        self._lost.clear()
        for partition in partitions:
            lane = self.held.get(partition)
            if lane is not None and not lane.has_ended:
                lane.go_on()
            else:
                self._open(partition)

    def hold(self, partitions: Collection[int]) -> None:
        """Write nothing to these before they are taken again: they may be another's."""
        self._lost.update(partitions)
        for partition in self._lost & self.held.keys():
            self.held[partition].hold()

    def stop(self, partitions: Collection[int]) -> None:
        """Let these commit what is queued, all at the same time, and end."""
        ending = [self.held[partition] for partition in partitions if partition in self.held]
        for lane in ending:
            lane.stop_soon()
        for lane in ending:
            lane.stop()
            self._written_before += lane.written
        self.held = {each: lane for each, lane in self.held.items() if lane not in ending}
        self._lost.difference_update(partitions)
        for partition in partitions:
            self._fenced_at.pop(partition, None)

    def check(self, settled_s: float) -> None:
        """Raise what ended a lane, if one ended.

        Who is fenced has stopped, and is told within `settled_s` that the partition is another's. Where it is not, the
        one before us came late, after a cut in the network; the partition is taken back, once. A writer that knows
        nothing of the group comes again: then this poller stops.
        """
        for partition, lane in list(self.held.items()):
            try:
                lane.check()
            except Fenced:
                now = time.monotonic()
                fenced_at = self._fenced_at.setdefault(partition, now)
                if now - self._taken_back_at.get(partition, -CONTESTED_S) < CONTESTED_S or not settled_s:
                    raise
                if now - fenced_at > settled_s and partition not in self._lost:
                    log.warning("fenced, and still ours: taken back", partition=partition)
                    self._taken_back_at[partition] = now
                    self._open(partition)

    def _open(self, partition: int) -> None:
        before = self.held.get(partition)
        if before is not None:
            self._written_before += before.written
        self._fenced_at.pop(partition, None)
        lane = self._make(partition)
        lane.start(self._committed)
        self.held = {**self.held, partition: lane}
