"""A database that takes SQL: how a part of the lake gets into it, whole or not at all.

Rows are loaded by the database's own bulk path into a table beside, and from there, in one transaction with the
book's entry, put in the place of what was there. Whatever is killed and when, a reader sees the part as it was or as
it is now, and the next export begins the part anew.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from bike_assets.exports.days import Part
from bike_assets.exports.star import BOOK, SCHEMA, bare, star
from bike_assets.exports.troubles import told
from bike_assets.model.errors import DatabaseRefuses
from bike_assets.model.schema import Table
from bike_assets.model.star import DIMENSIONS, FACTS, bounds, references, time_key

STAGE = "_bike_new"
"""How the tables beside end: no others are dropped."""


class Store:
    """One database. All methods raise NotServed."""

    kind: str = ""
    schema: str | None = SCHEMA

    def __init__(self, url: sa.URL, options: dict[str, Any]) -> None:
        self.url = url
        self.place = f"{self.kind} at {url.host}{f':{url.port}' if url.port else ''}/{url.database}"
        self.star = star(self.schema, is_partitioned=self.kind == "PostgreSQL")
        self.engine = sa.create_engine(url, connect_args=options, poolclass=sa.NullPool)
        self._waiting: list[tuple[Part, sa.Table, int]] = []

    # What differs between databases.

    def load(self, stage: sa.Table, rows: pa.RecordBatchReader) -> int:
        """Bring the rows into the table beside by the bulk path; how many they are."""
        raise NotImplementedError

    # What they share.

    def told(self) -> AbstractContextManager[None]:
        return told(self.place, self.url)

    def prepare(self) -> None:
        """Make schema and tables where they are missing; refuse those that are not as the model has them."""
        with self.told(), self.engine.begin() as con:
            there = sa.inspect(con)
            if self.schema and self.schema not in there.get_schema_names():
                con.execute(sa.schema.CreateSchema(self.schema, if_not_exists=self.kind == "PostgreSQL"))
            self.star.create_all(con)
            there.clear_cache()
            for name in there.get_table_names(self.schema):
                if name.endswith(STAGE):  # of an export that was killed, or found the disk full
                    sa.Table(name, sa.MetaData(schema=self.schema)).drop(con)
            for table in self.star.sorted_tables:
                self._refuse_other_columns(table, {each["name"] for each in there.get_columns(table.name, self.schema)})

    def _refuse_other_columns(self, table: sa.Table, there: set[str]) -> None:
        if wrong := there ^ {column.name for column in table.columns}:
            raise DatabaseRefuses(
                f"{self.place}: {table.fullname} has other columns than the warehouse ({', '.join(sorted(wrong))}): "
                "drop its tables, and export all days anew."
            )

    def book(self) -> dict[tuple[str, str], str]:
        """Which version of which part is there, by the table's and the part's name."""
        book = self.table(BOOK)
        with self.told(), self.engine.connect() as con:
            rows = con.execute(sa.select(book.c.table_name, book.c.part, book.c.lake_version)).all()
        return {(name, part): version for name, part, version in rows}

    def put_day(self, part: Part, rows: pa.RecordBatchReader) -> int:
        """Put a fact's day in the place of what was there; how many rows it has."""
        target, stage = self.table(part.table.path[1]), self.staged(part)
        with self.told(), self._beside(stage):
            count = self.load(stage, rows)
            with self.engine.begin() as con:
                con.execute(sa.delete(target).where(*_of_day(part, target)))
                con.execute(_copied(target, stage))
                self._note(con, part, count)
            self._drop(stage)
        return count

    def put_whole(self, part: Part, rows: pa.RecordBatchReader) -> int:
        """Bring a dimension up to date; rows that the lake has no more stay until `tidy`: facts may refer to them."""
        target, stage = self.table(part.table.path[1]), self.staged(part)
        with self.told(), self._beside(stage):
            count = self.load(stage, rows)
            with self.engine.begin() as con:
                _merge(con, part.table, target, stage)
        self._waiting.append((part, stage, count))
        return count

    def tidy(self) -> None:
        """Remove rows of the dimensions that the lake has no more and no fact refers to, and note them in the book."""
        with self.told():
            for part, stage, count in reversed(self._waiting):  # those that refer before those that are referred to
                target = self.table(part.table.path[1])
                with self.engine.begin() as con:
                    gone = _gone(part, target, stage)
                    # Whoever refers is looked through only where some row is gone.
                    if con.execute(_any(target, gone)).first():
                        con.execute(sa.delete(target).where(gone, *self._unreferenced(part.table)))
                    self._note(con, part, count)
                self._drop(stage)
        self._waiting.clear()

    def close(self) -> None:
        self.engine.dispose()

    def table(self, name: str) -> sa.Table:
        return self.star.tables[f"{self.schema}.{name}" if self.schema else name]

    def staged(self, part: Part) -> sa.Table:
        """The table beside, for the rows of the part; a dimension's is looked up by its key."""
        stage = bare(part.table, f"{part.table.path[1]}{STAGE}", self.schema)
        if part.day is None:
            stage.append_constraint(sa.PrimaryKeyConstraint(*part.table.grain))
        return stage

    @contextmanager
    def _beside(self, stage: sa.Table) -> Iterator[None]:
        """The table beside, made for the block; what fails in it leaves none, so that other parts have their room."""
        with self.engine.begin() as con:
            stage.create(con)
        try:
            yield
        except BaseException:
            with suppress(SQLAlchemyError):  # the server may be gone: the next export removes it
                self._drop(stage)
            raise

    def _drop(self, stage: sa.Table) -> None:
        with self.engine.begin() as con:
            stage.drop(con, checkfirst=True)

    def _note(self, con: sa.Connection, part: Part, count: int) -> None:
        book = self.table(BOOK)
        key = {"table_name": part.table.path[1], "part": part.name}
        con.execute(sa.delete(book).where(*(book.c[name] == value for name, value in key.items())))
        now = datetime.now(UTC)
        con.execute(sa.insert(book).values(**key, lake_version=part.version, row_count=count, exported_at=now))

    def _unreferenced(self, dimension: Table) -> Sequence[sa.ColumnElement[bool]]:
        target = self.table(dimension.path[1])
        return [
            ~sa.exists().where(self.table(each.path[1]).c[by.column] == target.c[by.key])
            for each in (*DIMENSIONS, *FACTS) for by in references(each) if by.dimension is dimension
        ]  # fmt: skip


def _of_day(part: Part, target: sa.Table) -> Sequence[sa.ColumnElement[bool]]:
    if part.day is None:
        raise ValueError(part)
    column = target.c[time_key(part.table).name]
    begin, end = bounds(part.table, part.day)
    return column >= begin, column < end


def _copied(target: sa.Table, stage: sa.Table, *only: sa.ColumnElement[bool]) -> sa.Insert:
    names = [column.name for column in target.columns]
    return sa.insert(target).from_select(names, sa.select(*(stage.c[name] for name in names)).where(*only))


def _same(table: Table, target: sa.Table, stage: sa.Table) -> Sequence[sa.ColumnElement[bool]]:
    return [target.c[name] == stage.c[name] for name in table.grain]


def _gone(part: Part, target: sa.Table, stage: sa.Table) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(*_same(part.table, target, stage))


def _any(target: sa.Table, condition: sa.ColumnElement[bool]) -> sa.Select[int]:
    return sa.select(sa.literal(1)).select_from(target).where(condition).limit(1)


def _merge(con: sa.Connection, table: Table, target: sa.Table, stage: sa.Table) -> None:
    others = {column.name: stage.c[column.name] for column in target.columns if column.name not in table.grain}
    differs = sa.or_(*(target.c[name].is_distinct_from(value) for name, value in others.items()))
    con.execute(sa.update(target).values(others).where(*_same(table, target, stage), differs))
    con.execute(_copied(target, stage, ~sa.exists().where(*_same(table, target, stage))))
