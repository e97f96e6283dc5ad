"""The poller: asks each source when its time has come, and hands the answers to their writers."""

import heapq
import random
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
from bike_assets.ingest.lanes import Lane
from bike_assets.ingest.raw import RawStore
from bike_assets.ingest.roster import Roster
from bike_assets.ingest.routing import expected_parts
from bike_assets.ingest.turns import Turns
from bike_assets.model.answers import Answer
from bike_assets.model.constants import MAX_GAP
from bike_assets.model.messages import Poll
from bike_assets.model.topics import TOPICS, partition_of

log = structlog.get_logger()

HEARTBEAT_S = 1.0
JITTER = 0.05
"""By how much of its interval a poll may come early or late, so that systems do not march in step."""

FIRST_A_SECOND = 100
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
    answers. A full lane holds back the sources that write to it, so
    that a broker that is down costs polls and never memory. What the lanes remember of a system stays while
    it is not polled: one that comes back into the sources file goes on from its state.
    """

    def __init__(
        self,
        roster: Roster,
        lanes: Sequence[Lane],
        raw: RawStore,
        turns: Turns,
        heartbeat: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._roster = roster
        self._asker_of = _by_system(roster.askers)
        self._since = dict.fromkeys(self._asker_of, datetime.now(UTC))
        self._lanes = lanes
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
        """Poll until `stop`, or until a lane ended: its error is raised."""
        for lane in self._lanes:
            lane.start(self._committed)
        self._begin(self._roster.askers)
        try:
            while not stop.is_set():
                for lane in self._lanes:
                    lane.check()
                if self._roster.look():
                    self._take_up()
                self._heartbeat(self.report())
                self._poll_due(time.monotonic() + HEARTBEAT_S)
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            for lane in self._lanes:
                lane.stop()

    def poll_now(self, system_id: str, timeout_s: float) -> list[Poll]:
        """Ask a system's source at once and wait for the commit. Raises KeyError, TimeoutError."""
        future: Future[list[Poll]] = Future()
        with self._wake:
            asker = self._asker_of[system_id]
            self._waiting[system_id].append(future)
        self._schedule(asker, 0.0)
        try:
            return future.result(timeout_s)
        finally:
            with suppress(ValueError):  # answered, and gone with that
                self._waiting[system_id].remove(future)

    def report(self) -> dict[str, Any]:
        """What the heartbeat says."""
        lanes = [lane.report() for lane in self._lanes]
        rows = Counter({f"topics/{topic.name}": 0 for topic in TOPICS})
        rows["raw/answers"] = self._answers
        for lane in lanes:
            lane["failing"] = {name: error for name, error in lane["failing"].items() if self._is_polled(name)}
            rows.update({f"topics/{topic}": count for topic, count in lane["written"].items()})
        quiet = self.quiet(datetime.now(UTC))
        return {
            "rows": rows,
            "systems": len(self._asker_of),
            "sources_trouble": self._roster.trouble,
            "down": sum(asker.is_down for asker in self._roster.askers),
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
            last = self._lane(system_id).last_good_poll_at(system_id) or self._good_at.get(system_id)
            if last is not None:
                self._good_at[system_id] = last
            began_at = self._since[system_id]
            if max(last or began_at, began_at) < since:
                found[system_id] = last
        return found

    def _take_up(self) -> None:
        """Ask whom the roster names now: who is new begins, and who is no more in it is asked no more."""
        with self._wake:
            before, now = self._asker_of, _by_system(self._roster.askers)
            self._since = {each: self._since.get(each, datetime.now(UTC)) for each in now}
            self._asker_of = now
            for asker in set(before.values()) - set(now.values()):
                self._due_at.pop(asker, None)
                self._turns.leave(asker)
            self._begin(set(now.values()) - set(before.values()))
        for system_id in before.keys() - now.keys():
            for future in self._who_wait(system_id):
                future.set_exception(KeyError(system_id))

    def _is_asked(self, asker: SourceAsker) -> bool:
        return all(self._asker_of.get(system_id) is asker for system_id in asker.system_ids)

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
        return any(self._lane(system_id).is_full for system_id in asker.system_ids)

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
        for part in expected_parts(answer, asker.system_ids):
            self._lane(part.system_id).put(part)

    def _lane(self, system_id: str) -> Lane:
        return self._lanes[partition_of(system_id, len(self._lanes))]

    def _committed(self, pairs: Iterable[tuple[Answer, Poll]]) -> None:
        """Called by a lane after its commit."""
        by_system: dict[str, list[Poll]] = {}
        for answer, poll in pairs:
            by_system.setdefault(poll.system_id, []).append(poll)
            if asker := self._asker_of.get(poll.system_id):
                asker.committed(answer, poll)
        for system_id, polls in by_system.items():
            if any(poll.feed == "station_status" for poll in polls):
                for future in self._who_wait(system_id):
                    future.set_result(polls)

    def _who_wait(self, system_id: str) -> Iterator[Future[list[Poll]]]:
        """Those who wait for a system's poll, each given to one thread only."""
        with suppress(IndexError):
            while True:
                yield self._waiting[system_id].popleft()


def _by_system(askers: Iterable[SourceAsker]) -> dict[str, SourceAsker]:
    return {system_id: asker for asker in askers for system_id in asker.system_ids}
