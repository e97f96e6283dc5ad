"""Days of `events.*` that are closed: all that was polled of them is in their tables, and Dagster may be told.

A day closes at CLOSES_AFTER past its end, once the tables hold all that the topics held then; a replayed day as soon
as they hold it. It is told again whenever it has got other rows since, was replaced, or has other local dates: where
a system's time zone is given later, its hours belong to other dates than those that they were built for.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from bike_assets.files import write_whole
from bike_assets.lake.tables import rows_by_day
from bike_assets.model.constants import EVENTS_GO
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_SYSTEM_INFORMATION, EVENTS_TABLES, EVENTS_VEHICLE_TOTALS
from bike_assets.stream.offsets import Offsets, lag
from bike_assets.stream.zones import NO_ZONE, days_polled, zones

CLOSES_AFTER = timedelta(minutes=30)
LOOK_S = 60.0

ZONED = (EVENTS_POLLS, EVENTS_VEHICLE_TOTALS)
"""What all facts of days hang on: where these are told again, no day keeps the dates of another zone."""

Rows = dict[str, dict[str, int | None]]
"""How many rows were told of each day, by table and then by day in ISO's words; null where it is to be told anew,
though it have no row any more.
"""


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
    rows: Mapping[str, Mapping[date | None, int]],
    told: Mapping[str, Mapping[str, int | None]],
    caught_up_at: datetime,
) -> Iterable[Closed]:
    """The days that could be closed at `caught_up_at`, and have other rows than was told of them.

    In a day that has polls, a table without a row is as complete as the others. A day that lost its rows to a
    replacement has none, and what was built of it goes; one that lost them to retention stays as it was told.
    """
    polled = rows[EVENTS_POLLS.name].keys()
    for table in EVENTS_TABLES:
        of_table, told_of = rows[table.name], told.get(table.name, {})
        replaced = {date.fromisoformat(day) for day, count in told_of.items() if count is None}
        for day in sorted(filter(None, polled | of_table.keys() | replaced)):
            count = of_table.get(day, 0)
            if closes_at(day) <= caught_up_at and told_of.get(day.isoformat()) != count:
                yield Closed(table, day, count)


class ClosingDays:
    """Looks once in LOOK_S which days have closed, and remembers in files what was told of them, and by which zones."""

    def __init__(self, lake: Path, note: Path, report: Report, events_days: int | None = None) -> None:
        """`events_days`: of how many days the events are kept; of all where it is None."""
        self._lake = lake
        self._events_days = events_days
        self._note = note
        self._zones_note = note.with_name("told_zones.json")
        self._report = report
        self._told = _noted(note)
        self._zones: dict[str, str] | None = _noted(self._zones_note) if self._zones_note.exists() else None
        self._zones_of: Mapping[date | None, int] | None = None
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
        if rows[EVENTS_SYSTEM_INFORMATION.name] != self._zones_of:
            self._look_at_zones(noted_at.date())
            self._zones_of = rows[EVENTS_SYSTEM_INFORMATION.name]
        for each in closed(rows, self._told, noted_at):
            self._report(each, lambda each=each: self._heard(each))  # type: ignore[misc]

    def _look_at_zones(self, today: date) -> None:
        """Let the days be told anew in which a system was polled that has another zone now than they were told by.

        But for those that can hardly be built again, because events of theirs or of the days around go: what was built
        of them stays.
        """
        now = zones(self._lake)
        before = now if self._zones is None else self._zones
        moved = [system_id for system_id in now.keys() | before.keys()
                 if now.get(system_id, NO_ZONE) != before.get(system_id, NO_ZONE)]  # fmt: skip
        if moved:
            first = date.min if self._events_days is None else today - timedelta(days=self._events_days) + EVENTS_GO
            _forget(self._told, ZONED, {day for day in days_polled(self._lake, moved) if day >= first})
            write_whole(self._note, json.dumps(self._told).encode())
        if now != self._zones:
            self._zones = now
            write_whole(self._zones_note, json.dumps(now).encode())

    def _heard(self, each: Closed) -> None:
        self._told.setdefault(each.table.name, {})[each.day.isoformat()] = each.rows
        write_whole(self._note, json.dumps(self._told).encode())


def forget_days(lake: Path, note: Path, first: date) -> None:
    """Let these days and all after them be told again, with however many rows, or with none: theirs are replaced.

    Done before the rows are taken out: a day that has none by then, retention has emptied, and what was built of it
    stays. The caller holds the stream's lock, so that no stream has the note in its memory.
    """
    told = _noted(note)
    there = {day for table in EVENTS_TABLES for day in rows_by_day(lake, table) if day is not None and day >= first}
    _forget(told, EVENTS_TABLES, there)
    note.parent.mkdir(parents=True, exist_ok=True)
    write_whole(note, json.dumps(told).encode())


def _forget(told: Rows, tables: Iterable[Table], days: Collection[date]) -> None:
    for table in tables:
        told.setdefault(table.name, {}).update({day.isoformat(): None for day in days})


def _noted(note: Path) -> Any:
    return json.loads(note.read_text()) if note.exists() else {}
