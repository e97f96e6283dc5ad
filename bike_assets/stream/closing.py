"""Days of `events.*` that are closed: all that was polled of them is in their tables, and Dagster may be told.

A day closes at CLOSES_AFTER past its end, once the tables hold all that the topics held then; a replayed day as soon
as they hold it. It is told again whenever it has got other rows since.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple

from bike_assets.files import write_whole
from bike_assets.lake.tables import rows_by_day
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_TABLES
from bike_assets.stream.offsets import Offsets, lag

CLOSES_AFTER = timedelta(minutes=30)
LOOK_S = 60.0

Rows = dict[str, dict[str, int]]
"""How many rows each day has, by table and then by day in ISO's words."""


class Closed(NamedTuple):
    """A day that is closed, with so many rows."""

    table: Table
    day: date
    rows: int


Report = Callable[[Closed, Callable[[], None]], None]
"""Tells of a closed day, and calls the second argument once that was heard."""


def closes_at(day: date) -> datetime:
    """From when on a day can be closed."""
    return datetime.combine(day + timedelta(days=1), time(), UTC) + CLOSES_AFTER


def closed(
    rows: Mapping[str, Mapping[date | None, int]], told: Mapping[str, Mapping[str, int]], caught_up_at: datetime
) -> Iterable[Closed]:
    """The days that could be closed at `caught_up_at`, and have other rows than was told of them.

    In a day that has polls, a table without a row is as complete as the others.
    """
    polled = rows[EVENTS_POLLS.name].keys()
    for table in EVENTS_TABLES:
        of_table = rows[table.name]
        for day in sorted(filter(None, polled | of_table.keys())):
            count = of_table.get(day, 0)
            if closes_at(day) <= caught_up_at and told.get(table.name, {}).get(day.isoformat()) != count:
                yield Closed(table, day, count)


class ClosingDays:
    """Looks once in LOOK_S which days have closed, and remembers in a file what was told of them."""

    def __init__(self, lake: Path, note: Path, report: Report) -> None:
        self._lake = lake
        self._note = note
        self._report = report
        self._told: Rows = json.loads(note.read_text()) if note.exists() else {}
        self._next_look = datetime.min.replace(tzinfo=UTC)
        self._noted: tuple[datetime, Offsets] | None = None

    def look(self, now: datetime, done: Offsets, ends: Callable[[], Offsets]) -> None:
        """Tell of what had closed when the topics' ends were last noted, once the tables hold all up to these.

        `done`: how far the tables are; `ends` asks for the topics' ends as they are now.
        """
        if now < self._next_look:
            return
        if self._noted is None:
            self._noted = now, ends()
        noted_at, wanted = self._noted
        if lag(done, wanted) > 0:
            return
        self._noted = None
        self._next_look = now + timedelta(seconds=LOOK_S)
        rows = {table.name: rows_by_day(self._lake, table) for table in EVENTS_TABLES}
        for each in closed(rows, self._told, noted_at):
            self._report(each, lambda each=each: self._heard(each))  # type: ignore[misc]

    def _heard(self, each: Closed) -> None:
        self._told.setdefault(each.table.name, {})[each.day.isoformat()] = each.rows
        write_whole(self._note, json.dumps(self._told).encode())


def forget_days(note: Path, first: date) -> None:
    """Let these days and all after them be told again, with however many rows: theirs are replaced.

    The caller holds the stream's lock, so that no stream has the note in its memory.
    """
    if note.exists():
        told: Rows = json.loads(note.read_text())
        kept = {table: {day: rows for day, rows in days.items() if day < first.isoformat()}
                for table, days in told.items()}  # fmt: skip
        write_whole(note, json.dumps(kept).encode())
