"""The poller: asks each source when its time has come, and hands the answers to their writers."""

import heapq
import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from math import inf
from statistics import quantiles
from typing import Any

import structlog

from bike_assets.ingest.asking import SourceAsker
from bike_assets.ingest.holding import Lanes
from bike_assets.ingest.raw import RawStore
from bike_assets.ingest.roster import Roster
from bike_assets.ingest.routing import expected_parts
from bike_assets.ingest.sharing import Share
from bike_assets.ingest.turns import Turns
from bike_assets.model.answers import Answer
from bike_assets.model.constants import MAX_GAP
from bike_assets.model.errors import ServiceNotReady
from bike_assets.model.messages import Poll
from bike_assets.model.topics import POLLED

log = structlog.get_logger()

HEARTBEAT_S = 1.0
JOIN_S = 0.25
"""So long is waited for news of the group at a time, while nothing is ours to poll."""

JITTER = 0.05
"""By how much of its interval a poll may come early or late, so that systems do not march in step."""

FIRST_A_SECOND = 60
"""So many sources begin in a second where many begin together."""

LATE_POLLS = 1_000
"""Of so many polls, the last ones, it is told how late they were."""


@dataclass(order=True, slots=True)
class _Due:
    at: float
    order: int
    asker: SourceAsker


class Poller:
    """Plans, fetches in a pool of threads as turns are free, and routes; one lane a partition commits.

    A source has at most one fetch under way; one that is down is asked less often, until it or another of its host
    answers. A full lane holds back the sources that write to it, so that a broker that is down costs polls and never
    memory. The share says which partitions' systems are polled here, and when that changes. What the lanes remember of
    a system stays while it is not polled: one that comes back into the sources file goes on from its state.
    """

    def __init__(
        self,
        roster: Roster,
        share: Share,
        lanes: Lanes,
        raw: RawStore,
        turns: Turns,
        heartbeat: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._roster = roster
        self._share = share
        self._lanes = lanes
        self._asker_of: dict[str, SourceAsker] = {}
        self._since: dict[str, datetime] = {}
        self._raw = raw
        self._turns = turns
        self._pool = ThreadPoolExecutor(turns.threads, thread_name_prefix="fetch")
        self._heartbeat = heartbeat
        self._order = count()
        self._answers = 0
        self._good_at: dict[str, datetime] = {}
        self._plan: list[_Due] = []
        self._due_at: dict[SourceAsker, float] = {}
        self._late_s: deque[float] = deque(maxlen=LATE_POLLS)
        self._wake = threading.Condition()
        self._waiting: defaultdict[str, deque[Future[list[Poll]]]] = defaultdict(deque)

    def run(self, stop: threading.Event) -> None:
        """Poll until `stop`, or until a lane ended for good: its error is raised."""
        self._lanes.begin(self._committed)
        self._share.begin(self)
        try:
            while not stop.is_set():
                self._share.look(0.0 if self._lanes.held else JOIN_S)
                self._lanes.check(self._share.settled_s)
                if self._roster.look():
                    self._reconsider()
                self._heartbeat(self.report())
                self._poll_due(time.monotonic() + (HEARTBEAT_S if self._lanes.held else 0.0))
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._share.end()
            self._lanes.stop(self._lanes.held)

    def take(self, partitions: Collection[int]) -> None:
        """Poll the systems of these partitions from now on, and those of no partition that was lost and is not here."""
        self._lanes.take(partitions)
        for asker in self._roster.askers:
            if any(self._lanes.partition(system_id) in partitions for system_id in asker.system_ids):
                asker.forget()
        self._reconsider()

    def give_up(self, partitions: Collection[int]) -> None:
        """Commit what is queued for these partitions, and poll their systems no more."""
        self._lanes.stop(partitions)
        self._reconsider()

    def lose(self, partitions: Collection[int]) -> None:
        """Poll on, for who took them over is not known, and write nothing."""
        self._lanes.hold(partitions)

    def poll_now(self, system_id: str, timeout_s: float) -> list[Poll]:
        """Ask a system's source at once and wait for the commit.

        Raises KeyError for a system that nobody polls, ServiceNotReady for another poller's, TimeoutError.
        """
        future: Future[list[Poll]] = Future()
        with self._wake:
            asker = self._asker_of.get(system_id)
            if asker is None:
                raise self._why_not(system_id)
            self._waiting[system_id].append(future)
        self._schedule(asker, 0.0)
        try:
            return future.result(timeout_s)
        finally:
            with suppress(ValueError):  # answered, and gone with that
                self._waiting[system_id].remove(future)

    def report(self) -> dict[str, Any]:
        """What the heartbeat says."""
        lanes = self._lanes.report()
        rows = {f"topics/{topic.name}": self._lanes.written[topic.name] for topic in POLLED}
        for lane in lanes:
            lane["failing"] = {name: error for name, error in lane["failing"].items() if self._is_polled(name)}
        quiet = self.quiet(datetime.now(UTC))
        return {
            "rows": rows | {"raw/answers": self._answers},
            "partitions": sorted(self._lanes.held),
            "of_partitions": self._lanes.partitions,
            "systems": len(self._asker_of),
            "sources_trouble": self._roster.trouble,
            "down": sum(asker.is_down for asker in set(self._asker_of.values())),
            "late_p95_s": self._late_p95_s(),
            "quiet": quiet,
            "is_seeing": len(quiet) < len(self._asker_of),
            "raw_dropped": self._raw.dropped,
            "lanes": lanes,
        }

    def quiet(self, now: datetime) -> dict[str, datetime | None]:
        """The systems whose last good poll is too long ago, and when it was; while nobody polled, none was missed."""
        found = {}
        for system_id, asker in self._asker_of.items():
            since = now - max(MAX_GAP, 2 * timedelta(seconds=asker.poll_seconds))
            # A lane that lost Kafka knows nothing until it has read its memories back.
            lane = self._lanes.of(system_id)
            last = (lane and lane.last_good_poll_at(system_id, asker.status_feed)) or self._good_at.get(system_id)
            if last is not None:
                self._good_at[system_id] = last
            began_at = self._since[system_id]
            if max(last or began_at, began_at) < since:
                found[system_id] = last
        return found

    def _reconsider(self) -> None:
        """Ask whom the roster names now and whose partition is ours: who is new begins, who is not there is left."""
        with self._wake:
            before, now = self._asker_of, _by_system(self._roster.askers)
            now = {system_id: asker for system_id, asker in now.items() if self._lanes.of(system_id) is not None}
            self._since = {each: self._since.get(each, datetime.now(UTC)) for each in now}
            self._asker_of = now
            for asker in set(before.values()) - set(now.values()):
                self._due_at.pop(asker, None)
                self._turns.leave(asker)
            self._begin(set(now.values()) - set(before.values()))
        for system_id in before.keys() - now.keys():
            for future in self._who_wait(system_id):
                future.set_exception(self._why_not(system_id))

    def _why_not(self, system_id: str) -> Exception:
        """Why a system is not asked here."""
        if system_id in _by_system(self._roster.askers):
            return ServiceNotReady(f"{system_id} is another poller's now, or soon: ask in that one's home.")
        return KeyError(system_id)

    def _is_asked(self, asker: SourceAsker) -> bool:
        return any(self._asker_of.get(system_id) is asker for system_id in asker.system_ids)

    def _is_polled(self, feed: str) -> bool:
        """Whether a feed, as a lane names it, is one of a system that is still polled."""
        return feed.rpartition(" ")[0] in self._asker_of

    def _begin(self, askers: Collection[SourceAsker]) -> None:
        """Plan first polls: spread, so that many do not come at once, now and at each interval after."""
        for asker in askers:
            within_s = max(asker.first_within_s, min(len(askers) / FIRST_A_SECOND, asker.poll_seconds))
            self._schedule(asker, time.monotonic() + random.uniform(0, within_s))  # noqa: S311

    def _schedule(self, asker: SourceAsker, at: float) -> None:
        """Plan the source's next poll, unless an earlier one is planned; not that of one asked no more."""
        with self._wake:
            if not self._is_asked(asker) or self._due_at.get(asker, inf) <= at:
                return
            self._due_at[asker] = at  # what else the plan has for it is passed over
            heapq.heappush(self._plan, _Due(at, next(self._order), asker))
            self._wake.notify()

    def _poll_due(self, until: float) -> None:
        """Start the polls that become due before `until`, each as soon as it is its source's turn."""
        while (now := time.monotonic()) < until:
            with self._wake:
                self._let_wait(now)
                for asker, due_at in self._turns.begin():
                    self._pool.submit(self._poll, asker, due_at)
                next_at = self._plan[0].at if self._plan else until
                self._wake.wait(max(min(next_at, until) - now, 0.001))

    def _let_wait(self, now: float) -> None:
        """Let those whose time has come wait for their turn."""
        while self._plan and self._plan[0].at <= now:
            due = heapq.heappop(self._plan)
            if self._due_at.get(due.asker) != due.at:
                continue
            del self._due_at[due.asker]
            if self._is_held_back(due.asker):
                self._schedule(due.asker, now + HEARTBEAT_S)
            else:
                self._turns.wait(due.asker, due.at)

    def _is_held_back(self, asker: SourceAsker) -> bool:
        lanes = map(self._lanes.of, asker.system_ids)
        return any(lane is not None and lane.is_full for lane in lanes)

    def _poll(self, asker: SourceAsker, due_at: float) -> None:
        """A turn of a source, and when its next one is."""
        started = time.monotonic()
        self._late_s.append(started - due_at)
        was_down, next_at = asker.is_down, started + asker.interval_s
        try:
            if self._ask(asker):
                spread = random.uniform(-JITTER, JITTER)  # noqa: S311
                next_at = started + asker.interval_s * (1 + spread)  # a feed's ttl may have raised it
            else:
                next_at = started
        except Exception:
            # The pool would keep it to itself; the source must be asked again whatever happened.
            log.exception("poll failed", systems=sorted(asker.system_ids)[:3])
        finally:
            with self._wake:
                hosts = self._turns.end(asker)
                self._schedule(asker, max(next_at, time.monotonic()))
                if was_down and not asker.is_down:
                    self._begin([each for each in self._roster.askers if each.is_down and each.hosts & hosts])
                self._wake.notify()

    def _ask(self, asker: SourceAsker) -> bool:
        """Ask a source, and hand on what it answers; whether all of it could be asked in this turn."""
        for answer in asker.ask():
            # Whoever took its place may be under way already: what came since then is not the system's.
            if not self._is_asked(asker):
                break
            self._raw.keep(answer)
            self._answers += 1
            self._route(answer, asker)
            if not self._turns.covers(asker):
                return False
        return True

    def _late_p95_s(self) -> float | None:
        """By how much 95 of 100 polls began later than planned at the most, in s."""
        late = list(self._late_s)
        return round(quantiles(late, n=20, method="inclusive")[18], 3) if len(late) > 1 else None

    def _route(self, answer: Answer, asker: SourceAsker) -> None:
        """Hand each part to its partition's lane; a part of another's is brought by that one's own request."""
        for part in expected_parts(answer, asker.system_ids):
            lane = self._lanes.of(part.system_id)
            if lane is not None:
                lane.put(part)

    def _committed(self, pairs: Iterable[tuple[Answer, Poll]]) -> None:
        """Called by a lane after its commit."""
        by_system: dict[str, list[Poll]] = {}
        for answer, poll in pairs:
            by_system.setdefault(poll.system_id, []).append(poll)
            if asker := self._asker_of.get(poll.system_id):
                try:
                    asker.committed(answer, poll)
                except Exception:  # what one source learns is not worth the lane, which is of many
                    log.exception("nothing learnt of a poll", system_id=poll.system_id)
        for system_id, polls in by_system.items():
            asker = self._asker_of.get(system_id)
            if asker is not None and any(poll.feed == asker.status_feed for poll in polls):
                for future in self._who_wait(system_id):
                    future.set_result(polls)

    def _who_wait(self, system_id: str) -> Iterator[Future[list[Poll]]]:
        """Those who wait for a system's poll, each given to one thread only."""
        with suppress(IndexError):
            while True:
                yield self._waiting[system_id].popleft()


def _by_system(askers: Iterable[SourceAsker]) -> dict[str, SourceAsker]:
    return {system_id: asker for asker in askers for system_id in asker.system_ids}
