"""A poll of the members API: page after page, from the one before where the last poll ended, to the first short one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec.structs import replace

from bike_assets.ingest.members.taking import REFUSED_REMEMBERED, Taken, cursor_record, refusal, take_page
from bike_assets.ingest.members.writer import MembersWriter
from bike_assets.model.answers import Answer
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.messages import MemberCursor
from bike_assets.model.personal import Keyed
from bike_assets.sources.members import read_page, seed_of
from bike_assets.sources.redaction import redact_url

RESULTS = 100
MAX_PAGES = 50
"""So many pages a poll: the next one goes on there. An API without an end has no last page."""

OVERLAP = 1
"""So many full pages are looked at again: where members left, later ones have moved to the pages before."""

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

Ask = Callable[[int, int], Answer]
"""Gives the answer to a page of so many results."""


@dataclass(slots=True)
class Polled:
    """What a poll gave; `error` says why it ended early."""

    pages: int = 0
    is_at_end: bool = False
    counts: Taken = field(default_factory=Taken)
    error: str | None = None


class MembersPoll:
    """A poll of one API, whose answers `ask` gives."""

    def __init__(self, writer: MembersWriter, keyed: Keyed, url: str, ask: Ask, max_pages: int = MAX_PAGES) -> None:
        self._writer, self._keyed, self._ask, self._max_pages = writer, keyed, ask, max_pages
        self._source, self._seed = redact_url(url), seed_of(url)

    def run(self) -> Polled:
        """Poll. What was committed stays, whatever comes after. Raises BrokerUnavailable, Fenced, WrongSettings."""
        done = Polled()
        self._writer.open()
        try:
            page: int | None = max(1, self._cursor().page - OVERLAP)
            while page is not None and done.pages < self._max_pages:
                page = self._page(page, done)
        finally:
            self._writer.close()
        return done

    def _page(self, page: int, done: Polled) -> int | None:
        """Take a page, and say which is next; None where there is none, or it was no answer."""
        answer = self._ask(page, RESULTS)
        if answer.failure is not None or answer.body is None:
            done.error = answer.error or f"status {answer.http_status}"
            return None
        try:
            rows = read_page(answer.body, self._seed, page)
        except FeedMalformed as err:
            done.error = err.reason
            self._writer.commit([refusal(-1, err.reason, answer.fetched_at)])
            return None
        is_shorter_than_before = not rows and page > 1 and not done.pages
        done.pages += 1
        done.counts.add(self._take(rows, page, answer.fetched_at))
        done.is_at_end = len(rows) < RESULTS and not is_shorter_than_before
        if is_shorter_than_before:
            return 1  # what is known is known: the list is read again, and nothing is doubled
        return None if done.is_at_end else page + 1

    def _take(self, rows: list[bytes], page: int, at: datetime) -> Taken:
        known, before = self._writer.known, self._cursor()
        taken = take_page(rows, known.members, known.forgotten, before.refused, self._keyed, at)
        reached = max(before.page, page + (len(rows) >= RESULTS))
        after = replace(before, page=reached, refused=[*before.refused, *taken.refused][-REFUSED_REMEMBERED:])
        if taken.records or after != known.cursor:
            after = replace(after, moved_at=at)
            self._writer.commit([*taken.records, cursor_record(after)])
            known.cursor = after
            known.members.update(taken.keys)
        return taken.counts

    def _cursor(self) -> MemberCursor:
        """How far this very list was read; another one begins at its first page."""
        known = self._writer.known.cursor
        if known is not None and (known.source, known.seed, known.results) == (self._source, self._seed, RESULTS):
            return known
        return MemberCursor(
            source=self._source, seed=self._seed, results=RESULTS, page=1,
            moved_at=_NEVER, key_check=self._keyed.check, refused=[],
        )  # fmt: skip
