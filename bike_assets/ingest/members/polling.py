"""A poll of the members API: page after page, from the one before where the last poll ended, to the last one.

The last one is empty, or has fewer rows than another of this poll. Not fewer than were asked for: an API may give no
page more than so many, whatever it is asked for, and says nowhere how many.

Then a few of the earlier ones, in turn, so that whoever was missed is found some polls later.
"""

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

LOOKED_AT_AGAIN = 5
"""So many of all earlier pages are looked at again after each poll, the next ones after the next."""

NOT_FOUND = 404

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

Ask = Callable[[int, int], Answer]
"""Gives the answer to a page of so many results."""


@dataclass(slots=True)
class Polled:
    """What a poll gave; `error` says why it ended early."""

    pages: int = 0
    longest: int = 0
    """How many rows the longest of its pages had."""
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
            first = max(1, self._cursor().page - OVERLAP)
            page: int | None = first
            while page is not None and done.pages < self._max_pages:
                first, page = min(first, page), self._page(page, done)
            if done.is_at_end:
                self._look_again(first, done)
        finally:
            self._writer.close()
        return done

    def _page(self, page: int, done: Polled) -> int | None:
        """Take a page, and say which is next; None where there is none, or it was no answer."""
        found = self._rows(page, done)
        if found is None:
            return None
        rows, at = found
        if not rows and page > 1 and done.pages == 1:
            # The list is shorter than before: it is read again, and nothing is doubled, for what is known is known.
            done.counts.add(self._take(rows, at, page=1))
            return 1
        if rows or page == 1:
            # Where members left, the end has come nearer; a cursor that stayed behind it would skip who signs up next.
            done.counts.add(self._take(rows, at, page=page + (len(rows) >= RESULTS)))
        done.is_at_end = not rows or len(rows) < done.longest
        done.longest = max(done.longest, len(rows))
        return None if done.is_at_end else page + 1

    def _look_again(self, before: int, done: Polled) -> None:
        """Look at a few of the pages before this one, in turn: a member who moves while pages are read is on none."""
        for _ in range(min(LOOKED_AT_AGAIN, before - 1)):
            again = self._cursor().again
            page = again if again < before else 1
            found = self._rows(page, done)
            if found is None:
                return
            done.counts.add(self._take(*found, again=page + 1))

    def _rows(self, page: int, done: Polled) -> tuple[list[bytes], datetime] | None:
        """The rows of a page and when they came; None, and why, where they did not."""
        answer = self._ask(page, RESULTS)
        if answer.http_status == NOT_FOUND and 0 < done.longest < RESULTS and not done.is_at_end:
            done.is_at_end = True  # whether there was a page more was to be seen, and some say so that there is none
            return None
        if answer.failure is not None or answer.body is None:
            done.error = answer.error or f"status {answer.http_status}"
            return None
        try:
            rows = read_page(answer.body, self._seed, page)
        except FeedMalformed as err:
            done.error = err.reason
            self._writer.commit([refusal(-1, err.reason, answer.fetched_at)])
            return None
        done.pages += 1
        return rows, answer.fetched_at

    def _take(self, rows: list[bytes], at: datetime, **moved: int) -> Taken:
        """Commit what is new of these rows with the cursor moved there."""
        known, before = self._writer.known, self._cursor()
        taken = take_page(rows, known.members, known.forgotten, before.refused, self._keyed, at)
        after = replace(before, refused=[*before.refused, *taken.refused][-REFUSED_REMEMBERED:], **moved)
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
