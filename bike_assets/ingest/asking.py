"""What to ask of one source when its turn comes, with what is known from its answers before."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from bike_assets.model.answers import Answer
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.messages import Outcome, Poll
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
from bike_assets.sources.reading import feed_name

STATUS_FEED = "station_status"
FIRST_WITHIN_S = 5.0
"""The first polls of a start are spread over so long at the most."""


class SourceAsker:
    """Asks one source: its status at every turn, its other feeds when they are due.

    Used by one thread at a time, which holds `turn`; but for `committed`, which a lane calls.
    """

    def __init__(self, source: Source, defaults: Defaults, fetcher: Fetcher) -> None:
        self._source = source
        self._defaults = defaults
        self._fetcher = fetcher
        self._plans = plans_for(source, defaults)
        self._next: dict[str, float] = {}
        self._etags: dict[str, str] = {}
        self._began_at: datetime | None = None
        self.turn = threading.Lock()
        self.system_ids = frozenset(source.system_ids)
        self.poll_seconds = float(source.poll_seconds or defaults.poll_seconds)
        self.first_within_s = min(FIRST_WITHIN_S, self.poll_seconds)

    def ask(self) -> Iterator[Answer]:
        """Answers in the order in which they are to be committed: the status comes last."""
        self._began_at = self._began_at or datetime.now(UTC)
        if isinstance(self._source, GbfsSource):
            yield from self._discover(self._source)
        for plan in self._plans:
            if plan.feed != DISCOVERY and (feed_name(plan.feed) == STATUS_FEED or self._is_due(plan.feed)):
                yield self._fetch(plan)

    def committed(self, answer: Answer, poll: Poll) -> None:
        """Learn what became of an answer: only a good one may be asked for by its ETag again.

        An answer from before the first question is that of an asker before this one, perhaps of another server.
        """
        if self._began_at is None or answer.fetched_at < self._began_at:
            return
        if poll.outcome is Outcome.OK and answer.etag is not None and not answer.is_shared:
            self._etags[answer.feed] = answer.etag
        elif poll.outcome is not Outcome.NOT_MODIFIED:
            self._etags.pop(answer.feed, None)

    def _discover(self, source: GbfsSource) -> Iterator[Answer]:
        """Where the feeds are: asked once a day, and until it was answered."""
        if not self._is_due(DISCOVERY):
            return
        answer = self._fetch(plans_for(source, self._defaults)[0])
        yield answer
        if answer.body is None:
            return
        try:
            urls = parse_discovery(answer.body, source.system_id).urls
        except FeedMalformed:
            self._next.pop(DISCOVERY)  # its poll record says what was wrong with it
            return
        self._plans = plans_from_discovery(source, urls, self._defaults)

    def _is_due(self, feed: str) -> bool:
        return time.monotonic() >= self._next.get(feed, 0.0)

    def _fetch(self, plan: FeedPlan) -> Answer:
        answer = self._fetcher.fetch(plan.request(self._etags.get(plan.feed)), lambda: datetime.now(UTC))
        interval = plan.every(ttl_of(answer.body) if answer.body else None)
        if answer.failure is None:
            self._next[plan.feed] = time.monotonic() + interval
        if feed_name(plan.feed) == STATUS_FEED and answer.body:
            self.poll_seconds = interval
        return answer
