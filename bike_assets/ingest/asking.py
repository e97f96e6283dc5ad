"""What to ask of one source when its turn comes, with what is known from its answers before."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import structlog

from bike_assets.ingest.breaker import FAILURES, PROBE_S, Breaker
from bike_assets.model.answers import Answer
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.messages import GOOD, Outcome, Poll
from bike_assets.sources.config import GbfsSource, Source
from bike_assets.sources.gbfs.discovery import parse_discovery
from bike_assets.sources.http import Fetcher
from bike_assets.sources.plan import (
    DISCOVERY,
    Defaults,
    FeedPlan,
    plans_for,
    plans_from_discovery,
    ttl_of,
)
from bike_assets.sources.reading import VEHICLE_FEED, feed_name

log = structlog.get_logger()

STATUS_FEED = "station_status"
FIRST_WITHIN_S = 5.0
"""The first polls of a few sources are spread over so long at the most."""

EARLY = 0.1
"""A feed that is due at every turn may be asked by so much of its interval too early, as turns come: else it would be
asked at every other turn."""

GONE = frozenset({404, 410})
"""What a server says of an address that it knows no more: that is believed at once."""

REASK_S = 60.0
"""A feed that fails may have moved: where the feeds are is asked again so soon after it was asked last, and where that
helped nothing later and later, up to PROBE_S.
"""

SLOW_S = 2.0
"""A source that took longer for an answer the last time may hang: it has no claim to just any thread."""


class SourceAsker:
    """Asks one source: its status at every turn, its other feeds when they are due.

    Used by one thread at a time, but for `committed`, which a lane calls. A feed that fails again and again is asked
    less often; where it is the status, or the discovery without which there is none, the whole source is.
    """

    def __init__(self, source: Source, defaults: Defaults, fetcher: Fetcher) -> None:
        self._source = source
        self._defaults = defaults
        self._fetcher = fetcher
        self._plans = plans_for(source, defaults)
        self._turn_plan = _decisive(self._plans)
        self._next: dict[str, float] = {}
        self._etags: dict[str, str] = {}
        self._breakers: defaultdict[str, Breaker] = defaultdict(Breaker)
        self._began_at: datetime | None = None
        self._slowest_s = 0.0
        self._ttl_s: dict[str, int | None] = {}
        self._bad: dict[str, int] = {}
        self._reasked = 0
        self._reask_at = 0.0
        self.system_ids = frozenset(source.system_ids)
        self.first_within_s = min(FIRST_WITHIN_S, self.poll_seconds)

    @property
    def poll_seconds(self) -> float:
        """s from one turn to the next of a source that is well: its own, or what the last good body asks for."""
        if self._turn_plan is None:
            return float(self._source.poll_seconds or self._defaults.poll_seconds)
        return self._every_s(self._turn_plan)

    @property
    def hosts(self) -> frozenset[str]:
        """The servers that the next turn goes to, as far as they are known."""
        urls = [plan.url for plan in self._plans]
        if isinstance(self._source, GbfsSource) and self._is_discovery_due():
            urls.append(self._source.url)
        return frozenset(urlsplit(url).netloc.lower() for url in urls)

    @property
    def is_slow(self) -> bool:
        """Whether some answer of the last turn was long in coming, or did not come in time."""
        return self._slowest_s > SLOW_S

    @property
    def is_down(self) -> bool:
        """Whether it failed so often that it is asked less often now."""
        return self._breakers[self._decisive].is_open

    @property
    def interval_s(self) -> float:
        """s from one turn to the next."""
        return self._breakers[self._decisive].interval_s(self.poll_seconds)

    @property
    def _decisive(self) -> str:
        """The feed without which a turn brings nothing: the status, the vehicles where there is none, or where they
        stand.
        """
        return DISCOVERY if self._turn_plan is None else self._turn_plan.feed

    @property
    def status_feed(self) -> str:
        """The feed that a turn is for, as poll records name it: of a system of vehicles alone it is theirs."""
        return VEHICLE_FEED if feed_name(self._decisive) == VEHICLE_FEED else STATUS_FEED

    def ask(self) -> Iterator[Answer]:
        """Answers in the order in which they are to be committed: the status comes last.

        After the discovery the hosts may be others: who does not go on has the rest at the next turn.
        """
        self._began_at = self._began_at or datetime.now(UTC)
        self._slowest_s = 0.0
        if isinstance(self._source, GbfsSource) and self._is_discovery_due():
            yield self._discover(self._source)
        for plan in self._plans:
            if plan.feed != DISCOVERY and (plan.feed == self._decisive or self._is_due(plan.feed)):
                yield self._fetch(plan)

    def committed(self, answer: Answer, poll: Poll) -> None:
        """Learn what became of an answer: only a good one may be asked for by its ETag again, and says for how long it
        holds.

        An answer from before the first question is that of an asker before this one, perhaps of another server.
        """
        if self._began_at is None or answer.fetched_at < self._began_at:
            return
        if poll.outcome is Outcome.OK and answer.etag is not None and not answer.is_shared:
            self._etags[answer.feed] = answer.etag
        elif poll.outcome is not Outcome.NOT_MODIFIED:
            self._etags.pop(answer.feed, None)
        if not isinstance(self._source, GbfsSource) or answer.feed == DISCOVERY:
            return
        if poll.outcome is Outcome.OK and answer.body:
            self._ttl_s[answer.feed] = ttl_of(answer.body)
        if poll.outcome in GOOD:
            self._bad.pop(answer.feed, None)
        else:
            self._bad[answer.feed] = self._bad.get(answer.feed, 0) + (FAILURES if answer.http_status in GONE else 1)

    def forget(self) -> None:
        """Learn nothing from what was asked so far: since then, another may have asked and committed."""
        self._etags.clear()
        self._began_at = None

    def _discover(self, source: GbfsSource) -> Answer:
        """Where the feeds are: asked once a day, until it was answered, and where a feed may have moved."""
        self._reasked = self._reasked + 1 if self._is_doubted() else 0
        self._reask_at = time.monotonic() + min(REASK_S * 2.0 ** min(self._reasked, 16), PROBE_S)
        answer = self._fetch(plans_for(source, self._defaults)[0])
        if answer.failure is not None:
            return answer
        try:
            if answer.body is not None:
                urls = parse_discovery(answer.body, source.system_id).urls
                self._follow(plans_from_discovery(source, urls, self._defaults))
        except FeedMalformed:
            self._failed(DISCOVERY)  # its poll record says what was wrong with it
        except Exception:  # what nobody thought of: the same
            log.exception("discovery failed", system_id=source.system_id)
            self._failed(DISCOVERY)
        else:
            self._breakers[DISCOVERY].tell(is_answered=True)
        return answer

    def _follow(self, plans: tuple[FeedPlan, ...]) -> None:
        """Ask by these addresses from now on; by those from before, where no feed is listed that a turn is for."""
        turn_plan = _decisive(plans)
        if turn_plan is None and self._turn_plan is not None:
            self._bad[DISCOVERY] = FAILURES
            return
        before = {plan.feed: plan.url for plan in self._plans}
        self._plans, self._turn_plan = plans, turn_plan
        now = {plan.feed: plan.url for plan in plans}
        stayed = {feed for feed, url in now.items() if before.get(feed) == url}
        self._bad = {feed: count for feed, count in list(self._bad.items()) if feed in stayed}
        if turn_plan is None:
            self._bad[DISCOVERY] = FAILURES
        moved = before.keys() - stayed - {DISCOVERY}
        for feed in moved:
            self._breakers.pop(feed, None)
            self._next.pop(feed, None)
            self._ttl_s.pop(feed, None)
        if moved:
            self.forget()  # what still comes of an old address says nothing of the new one
            self._began_at = datetime.now(UTC)

    def _is_doubted(self) -> bool:
        """Whether a feed failed so that it may have moved, or the discovery lacks the one that matters."""
        return any(count >= FAILURES for count in list(self._bad.values()))

    def _is_discovery_due(self) -> bool:
        return self._is_due(DISCOVERY) or (self._is_doubted() and time.monotonic() >= self._reask_at)

    def _is_due(self, feed: str) -> bool:
        return time.monotonic() >= self._next.get(feed, 0.0)

    def _every_s(self, plan: FeedPlan) -> float:
        return plan.every(self._ttl_s.get(plan.feed))

    def _fetch(self, plan: FeedPlan) -> Answer:
        answer = self._fetcher.fetch(plan.request(self._etags.get(plan.feed)), lambda: datetime.now(UTC))
        self._slowest_s = max(self._slowest_s, answer.seconds or 0.0)
        if answer.failure is not None:
            self._failed(plan.feed)
            return answer
        if plan.feed != DISCOVERY:  # which must be read as well
            self._breakers[plan.feed].tell(is_answered=True)
        early = EARLY if feed_name(plan.feed) == VEHICLE_FEED else 0.0
        self._next[plan.feed] = time.monotonic() + self._every_s(plan) * (1 - early)
        return answer

    def _failed(self, feed: str) -> None:
        """Ask again at the next turn, or later after many failures; the decisive feed's turn comes later itself."""
        breaker = self._breakers[feed]
        breaker.tell(is_answered=False)
        self._next.pop(feed, None)
        if breaker.is_open and feed != self._decisive:
            self._next[feed] = time.monotonic() + breaker.interval_s(self.poll_seconds)


def _decisive(plans: Iterable[FeedPlan]) -> FeedPlan | None:
    """What a turn is for: the status, the vehicles where there is none."""
    of = {feed_name(plan.feed): plan for plan in plans}
    return of.get(STATUS_FEED) or of.get(VEHICLE_FEED)
