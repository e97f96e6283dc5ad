"""An export into a database: dimensions first, then the days, each as the lake has it now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from bike_assets.exports.days import NOTHING, WHOLE, Part, parts_of, rows_of
from bike_assets.model.schema import Table
from bike_assets.model.star import DIMENSIONS, FACTS, references

Days = tuple[date, date]
Book = Mapping[tuple[str, str], str]


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

    The newest day is first. Raises NotServed and LakeBroken; what was brought by then is there, and noted in the book.
    """
    done: list[Served] = []

    def put(part: Part, how: Callable[[Part, pa.RecordBatchReader], int]) -> None:
        with rows_of(lake, part) as rows:
            done.append(Served(part.table.path[1], part.name, how(part, rows)))
        on_part(done[-1])

    database.prepare()
    book = database.book()
    for part in _dimensions(lake, book):
        put(part, database.put_whole)
    for part in behind(lake, book, days):
        put(part, database.put_day)
    database.tidy()
    return done


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
