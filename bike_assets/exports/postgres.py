"""PostgreSQL: a day is a partition, loaded by ADBC in COPY's binary form and then put in the place of the old one.

Its keys are made after the rows are there: one sort, and one join for each foreign key, where a check of each row
costs several times as much. PostgreSQL takes all of it over when the partition is attached.
"""

from datetime import date
from typing import Any
from uuid import uuid4

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import AddConstraint, CreateIndex, DDLElement
from sqlalchemy.sql.compiler import DDLCompiler

from bike_assets.exports.days import Part
from bike_assets.exports.star import bare, constraints, indexed
from bike_assets.exports.store import STAGE, Store
from bike_assets.model.star import bounds, time_key

CONNECT_S = 10
SILENT_MS = 60_000
"""A server that says nothing for so long is gone: a query that works keeps the connection alive."""

LOCK_MS = 30_000
_OPTIONS = {
    "connect_timeout": CONNECT_S,
    "tcp_user_timeout": SILENT_MS,
    "keepalives_idle": 20,
    "application_name": "bike_export",  # libpq takes a plus for itself, not for a space
}


class Postgres(Store):
    """PostgreSQL 14 or newer."""

    kind = "PostgreSQL"

    def __init__(self, url: sa.URL) -> None:
        settings = f"-c lock_timeout={LOCK_MS} -c timezone=UTC"
        super().__init__(url.set(drivername="postgresql+psycopg"), {**_OPTIONS, "options": settings})

    def load(self, stage: sa.Table, rows: pa.RecordBatchReader) -> int:
        import adbc_driver_postgresql.dbapi as adbc

        plain = self.url.set(drivername="postgresql").update_query_dict({k: str(v) for k, v in _OPTIONS.items()})
        with adbc.connect(plain.render_as_string(hide_password=False)) as con, con.cursor() as cursor:
            count = cursor.adbc_ingest(stage.name, rows, mode="append", db_schema_name=stage.schema)
            con.commit()
        return int(count)

    def put_day(self, part: Part, rows: pa.RecordBatchReader) -> int:
        stage = self.staged(part)
        with self.told(), self._beside(stage):
            count = self.load(stage, rows)
            self._with_keys(part, stage)
            with self.engine.begin() as con:
                self._swap(con, part, stage)
                self._note(con, part, count)
        return count

    def staged(self, part: Part) -> sa.Table:
        return super().staged(part) if part.day is None else bare(part.table, f"{_partition(part)}{STAGE}", self.schema)

    def _with_keys(self, part: Part, stage: sa.Table) -> None:
        """Keys, and the bounds of its day: nothing is left to be looked at when it is attached."""
        begin, end = bounds(part.table, _day(part))
        column = stage.c[time_key(part.table).name]
        made = constraints(part.table, lambda each: self.table(each.dimension.path[1]).c[each.key])
        prefix = f"{_partition(part)}_{uuid4().hex[:8]}"  # an index keeps its name when its table gets another
        with self.engine.begin() as con:
            for each in (*made, sa.CheckConstraint(sa.and_(column >= begin, column < end))):
                stage.append_constraint(each)
                con.execute(AddConstraint(each))
            for name in indexed(part.table):
                con.execute(CreateIndex(sa.Index(f"{prefix}_by_{name}", stage.c[name])))

    def _swap(self, con: sa.Connection, part: Part, stage: sa.Table) -> None:
        old = sa.Table(_partition(part), sa.MetaData(schema=self.schema))
        old.drop(con, checkfirst=True)
        con.execute(Rename(stage, old.name))
        con.execute(Attach(self.table(part.table.path[1]), old, bounds(part.table, _day(part))))


class Rename(DDLElement):
    """A table gets another name."""

    inherit_cache = False

    def __init__(self, table: sa.Table, name: str) -> None:
        self.table, self.name = table, name


class Attach(DDLElement):
    """A table becomes the partition for these bounds, the second not included."""

    inherit_cache = False

    def __init__(self, parent: sa.Table, table: sa.Table, bounds: tuple[Any, Any]) -> None:
        self.parent, self.table, self.bounds = parent, table, bounds


@compiles(Rename, "postgresql")
def _rename(element: Rename, compiler: DDLCompiler, **_: Any) -> str:
    quoted = compiler.preparer
    return f"ALTER TABLE {quoted.format_table(element.table)} RENAME TO {quoted.quote(element.name)}"


@compiles(Attach, "postgresql")
def _attach(element: Attach, compiler: DDLCompiler, **_: Any) -> str:
    parent, table = map(compiler.preparer.format_table, (element.parent, element.table))
    begin, end = (compiler.sql_compiler.process(sa.literal(each), literal_binds=True) for each in element.bounds)
    return f"ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES FROM ({begin}) TO ({end})"


def _partition(part: Part) -> str:
    return f"{part.table.path[1]}_{part.day:%Y%m%d}" if part.day else part.table.path[1]


def _day(part: Part) -> date:
    if part.day is None:
        raise ValueError(part)
    return part.day
