"""A DuckDB file of the star schema, which anybody opens without this project.

DuckDB opens no file that another process writes. So an export writes a new one beside it, of what it brings and of
what the old one has, and puts it in its place: whoever has the old one open goes on reading that.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from bike_assets.exports.days import Part
from bike_assets.exports.star import BOOK, SCHEMA, star
from bike_assets.model.errors import DatabaseDown, DatabaseFull, DatabaseReadOnly, DatabaseRefuses, NotServed
from bike_assets.model.schema import Table
from bike_assets.model.star import DIMENSIONS, FACTS, references

_OLD = "old"
_OF_FILES = {errno.ENOSPC: DatabaseFull, errno.EDQUOT: DatabaseFull, errno.EROFS: DatabaseReadOnly,
             errno.EACCES: DatabaseReadOnly}  # fmt: skip


class DuckFile:
    """The file, as an export sees it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.aside = path.with_name(f".{path.name}.new")
        self._con: duckdb.DuckDBPyConnection | None = None
        self._whole: list[Part] = []
        self._days: list[Part] = []
        self._counts: dict[str, int] = {}
        self._is_based = False

    def prepare(self) -> None:
        with self._told():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_aside()
            self._con = duckdb.connect(str(self.aside))
            self._con.execute("SET TimeZone = 'UTC'")
            self._con.execute(f"CREATE SCHEMA {SCHEMA}")
            for table in star().sorted_tables:
                # Its words for types and keys are DuckDB's too.
                self._con.execute(str(CreateTable(table).compile(dialect=postgresql.dialect())))  # type: ignore[no-untyped-call]
            if self.path.exists():
                self._con.execute(f"ATTACH {_text(str(self.path))} AS {_OLD} (READ_ONLY)")
                self._refuse_other_columns()

    def book(self) -> dict[tuple[str, str], str]:
        with self._told():
            if self._con is None:  # after an export, or for who only asks
                if not self.path.exists():
                    return {}
                with duckdb.connect(str(self.path), read_only=True) as con:
                    return _book(con.table(f"{SCHEMA}.{BOOK}"))
            return _book(self._con.table(f"{_OLD}.{SCHEMA}.{BOOK}")) if self.path.exists() else {}

    def put_whole(self, part: Part, rows: pa.RecordBatchReader) -> int:
        with self._told():
            count = self._insert(part, rows)
            name, keys = part.table.path[1], ", ".join(part.table.grain)
            self._connection.execute(f"CREATE TEMP TABLE {name}_keys AS SELECT {keys} FROM {part.table.name}")
            self._whole.append(part)
            return count

    def put_day(self, part: Part, rows: pa.RecordBatchReader) -> int:
        with self._told():
            self._base()
            count = self._insert(part, rows)
            self._days.append(part)
            return count

    def tidy(self) -> None:
        """Bring what the old file has beside, and put the new one in its place."""
        with self._told():
            if self._whole or self._days:
                self._base()
                for table in FACTS:
                    self._keep_days(table)
                for part in reversed(self._whole):  # those that refer before those that are referred to
                    self._remove_gone(part.table)
                self._note()
                # close() would do it, and say nothing where the disk is full: the rows would be in no file.
                self._connection.execute("CHECKPOINT")
                self._connection.close()
                self._con = None
                self.aside.replace(self.path)
            self.close()

    def close(self) -> None:
        if self._con is not None:
            self._con.close()
            self._con = None
        self._remove_aside()

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._con is None:
            raise RuntimeError("prepare() comes first")
        return self._con

    def _insert(self, part: Part, rows: pa.RecordBatchReader) -> int:
        con = self._connection
        con.register("brought", rows)
        try:
            ((count,),) = con.execute(f"INSERT INTO {part.table.name} BY NAME FROM brought").fetchall()
        finally:
            con.unregister("brought")
        self._counts[f"{part.table.path[1]} {part.name}"] = int(count)
        return int(count)

    def _base(self) -> None:
        """Dimensions, before any fact: those that were not brought, and of the others what old facts may refer to."""
        if self._is_based or not self.path.exists():
            return
        self._is_based = True
        for table in sorted(DIMENSIONS, key=lambda each: len(references(each))):
            if table.name in self._old_tables:
                self._connection.execute(
                    f"INSERT INTO {table.name} BY NAME FROM {_OLD}.{table.name} AS was "
                    f"WHERE NOT EXISTS (FROM {table.name} AS now WHERE {_same(table)})"
                )

    def _keep_days(self, table: Table) -> None:
        if table.name not in self._old_tables:
            return
        brought = [part.day for part in self._days if part.table is table]
        self._connection.execute(
            f"INSERT INTO {table.name} BY NAME FROM {_OLD}.{table.name} "
            f"WHERE NOT list_contains($1::DATE[], {table.partitioned_by[0]})", [brought],
        )  # fmt: skip

    def _remove_gone(self, table: Table) -> None:
        """Rows of a dimension that only the old file had, and that no fact refers to."""
        unreferred = [
            f"NOT EXISTS (FROM {each.name} AS fact WHERE fact.{by.column} = was.{by.key})"
            for each in (*DIMENSIONS, *FACTS) for by in references(each) if by.dimension is table
        ]  # fmt: skip
        is_gone = [f"NOT EXISTS (FROM {table.path[1]}_keys AS now WHERE {_same(table)})", *unreferred]
        self._connection.execute(f"DELETE FROM {table.name} AS was WHERE {' AND '.join(is_gone)}")

    def _note(self) -> None:
        book, now = f"{SCHEMA}.{BOOK}", datetime.now(UTC)
        for part in (*self._whole, *self._days):
            name = part.table.path[1]
            row = [name, part.name, part.version, self._counts[f"{name} {part.name}"], now]
            self._connection.execute(f"INSERT INTO {book} VALUES ($1, $2, $3, $4, $5)", row)
        if self.path.exists():
            self._connection.execute(
                f"INSERT INTO {book} FROM {_OLD}.{book} AS was WHERE NOT EXISTS "
                f"(FROM {book} AS now WHERE now.table_name = was.table_name AND now.part = was.part)"
            )

    def _refuse_other_columns(self) -> None:
        for table in star().sorted_tables:
            if table.fullname not in self._old_tables:
                continue  # of a version of before, which had no such table
            there = set(self._connection.table(f"{_OLD}.{table.fullname}").columns)
            if wrong := there ^ {column.name for column in table.columns}:
                raise DatabaseRefuses(
                    f"{self._place}: {table.fullname} has other columns than the warehouse "
                    f"({', '.join(sorted(wrong))}): remove the file, and export all days anew."
                )

    @property
    def _old_tables(self) -> set[str]:
        query = f"SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = '{_OLD}'"
        return {name for (name,) in self._connection.execute(query).fetchall()}

    def _remove_aside(self) -> None:
        for file in (self.aside, self.aside.with_name(f"{self.aside.name}.wal")):
            file.unlink(missing_ok=True)

    @property
    def _place(self) -> str:
        return f"DuckDB at {self.path}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, OSError) as err:
            raise _kind(err)(f"{self._place}: {str(err).splitlines()[0].rstrip('.')}.") from None


def _kind(err: Exception) -> type[NotServed]:
    if isinstance(err, OSError):
        return _OF_FILES.get(err.errno or 0, DatabaseRefuses)
    said = str(err)  # DuckDB has no numbers, and is never translated
    if "No space left" in said or "Disk quota" in said:
        return DatabaseFull
    if "Read-only file system" in said or "Permission denied" in said:
        return DatabaseReadOnly
    # Whoever writes to the file itself holds it for as long as that takes.
    return DatabaseDown if "Could not set lock" in said or "onflicting lock" in said else DatabaseRefuses


def _book(rows: duckdb.DuckDBPyRelation) -> dict[tuple[str, str], str]:
    found = rows.select("table_name", "part", "lake_version").fetchall()
    return {(name, part): version for name, part, version in found}


def _same(table: Table) -> str:
    return " AND ".join(f"now.{key} = was.{key}" for key in table.grain)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
