"""An export into a database: dimensions first, then the days, each as the lake has it now.

A part that is refused keeps no other from being brought: what was not is told at the end.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from bike_assets.exports.days import NOTHING, WHOLE, Part, parts_of, rows_of
from bike_assets.model.errors import LakeBroken, NotServed
from bike_assets.model.schema import Table
from bike_assets.model.star import DIMENSIONS, FACTS, references

Days = tuple[date, date]
Book = Mapping[tuple[str, str], str]

GIVES_UP_AFTER = 2
"""So many parts in a row that may be tried again: the database is down or full, and asking for each would take long."""

NAMED = 3
"""So many of the parts that were not brought are named, and so many reasons."""


class Database(Protocol):
    """What an export asks of a database. All methods raise NotServed; `put_*` raise what reading the rows raises."""

    def prepare(self) -> None: ...
    def book(self) -> Book: ...
    def put_whole(self, part: Part, rows: pa.RecordBatchReader) -> int: ...
    def put_day(self, part: Part, rows: pa.RecordBatchReader) -> int: ...
    def tidy(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Served:
    """A part that was brought into a database."""

    table: str
    part: str
    rows: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a database is behind the lake: days that it lacks, or has as they were."""

    days: int
    oldest: date | None


def serve(
    lake: Path, database: Database, days: Days | None, on_part: Callable[[Served], None] = lambda _: None
) -> list[Served]:
    """Bring the dimensions and these days, or all days, up to what the lake has; what is there already is left alone.

    The newest day is first. Raises NotServed and LakeBroken: once all parts were tried where it is a part's trouble,
    with those that were not brought. All others are there then, and noted in the book.
    """
    database.prepare()
    book = database.book()
    export = _Export(lake, on_part)
    export.put_all(_dimensions(lake, book), database.put_whole)
    export.put_all(behind(lake, book, days), database.put_day)
    try:
        database.tidy()
    except NotServed as err:
        raise export.told(err) from None
    if export.failed:
        raise export.told()
    return export.done


class _Export:
    """What was brought, and what was not."""

    def __init__(self, lake: Path, on_part: Callable[[Served], None]) -> None:
        self._lake, self._on_part = lake, on_part
        self.done: list[Served] = []
        self.failed: list[tuple[Part, NotServed | LakeBroken]] = []
        self._in_a_row = 0
        self._left = 0

    def put_all(self, parts: Iterable[Part], how: Callable[[Part, pa.RecordBatchReader], int]) -> None:
        """Bring the parts, until the database seems to take none at all."""
        for part in parts:
            if self._in_a_row >= GIVES_UP_AFTER:
                self._left += 1
                continue
            try:
                self._put(part, how)
            except (NotServed, LakeBroken) as err:
                self.failed.append((part, err))
                self._in_a_row = self._in_a_row + 1 if err.retryable else 0

    def _put(self, part: Part, how: Callable[[Part, pa.RecordBatchReader], int]) -> None:
        with rows_of(self._lake, part) as rows:
            count = how(part, rows)
        self._in_a_row = 0
        self.done.append(Served(part.table.path[1], part.name, count))
        self._on_part(self.done[-1])

    def told(self, at_the_end: NotServed | None = None) -> NotServed | LakeBroken:
        """All that failed in a sentence, of the kind of the first: others may have failed for want of that part."""
        errors = [*(err for _, err in self.failed), *([at_the_end] if at_the_end else [])]
        names = [f"{part.table.path[1]} {part.name}" for part, _ in self.failed]
        left = f"; {self._left} more were not tried" if self._left else ""
        reasons = "; ".join([*dict.fromkeys(str(err).rstrip(".") for err in errors)][:NAMED])
        what = f"Not brought: {_some(names)}{left}" if names else "Not brought to its end"
        return type(errors[0])(f"{what}. {reasons}.")


def _some(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _dimensions(lake: Path, book: Book) -> list[Part]:
    whole = [parts_of(lake, table).get(None) or Part(table, None, NOTHING) for table in _in_order(DIMENSIONS)]
    return [part for part in whole if book.get((part.table.path[1], WHOLE)) != part.version]


def _in_order(tables: tuple[Table, ...]) -> list[Table]:
    """Those that others refer to before them."""
    first = [table for table in tables if not references(table)]
    return [*first, *(table for table in tables if table not in first)]


def behind(lake: Path, book: Book, days: Days | None = None) -> list[Part]:
    """The parts of these days, or of all, that are not there as the lake has them; the newest day first."""
    parts = [part for table in FACTS for part in _of_table(lake, book, table, days)]
    return sorted(parts, key=lambda part: part.day or date.min, reverse=True)


def _of_table(lake: Path, book: Book, table: Table, days: Days | None) -> list[Part]:
    there = parts_of(lake, table)
    noted = {date.fromisoformat(part): version for (name, part), version in book.items() if name == table.path[1]}
    asked = _each_of(days) if days else {*there, *noted}
    parts = [there.get(day) or Part(table, day, NOTHING) for day in asked if day is not None]
    return [part for part in parts if part.day and noted.get(part.day, NOTHING) != part.version]


def lag(lake: Path, book: Book) -> Lag:
    """How far the database is behind."""
    days = {part.day for part in behind(lake, book) if part.day}
    return Lag(len(days), min(days, default=None))


def _each_of(days: Days) -> list[date | None]:
    first, last = days
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
