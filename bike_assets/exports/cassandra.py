"""Cassandra: one partition a system and day, so that a day is read, and replaced, by itself.

Cassandra has no transaction over partitions. A day's new rows are written with one timestamp, and what is older in
these partitions is removed with the instant before it: each row is the old or the new one, at every moment; the book's
entry is the last to be written, so that an export that was killed is done again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from bike_assets.cql import TYPES, Connection, Trouble
from bike_assets.exports.days import WHOLE, Part
from bike_assets.exports.star import BOOK
from bike_assets.model.errors import DatabaseDown, DatabaseRefuses
from bike_assets.model.schema import Table
from bike_assets.model.star import DIMENSIONS, FACTS

if TYPE_CHECKING:
    from cassandra.cluster import Session

CONNECT_S, ANSWER_S = 10, 60


class Cassandra:
    """A keyspace, as an export sees it; the address is `cassandra://user:password@host,host:9042/keyspace`."""

    def __init__(self, url: sa.URL) -> None:
        self._there = Connection(url, str(url.database), CONNECT_S, ANSWER_S)

    def prepare(self) -> None:
        with self._told() as session:
            self._there.make_keyspace()
            for table in (*DIMENSIONS, *FACTS):
                session.execute(_create(self._there.keyspace, table))
            session.execute(f"CREATE TABLE IF NOT EXISTS {self._there.name(BOOK)} (table_name text, part text, "
                            "lake_version text, row_count bigint, exported_at timestamp, "
                            "PRIMARY KEY (table_name, part))")  # fmt: skip
        self._refuse_other_columns()

    def book(self) -> dict[tuple[str, str], str]:
        with self._told() as session:
            rows = session.execute(f"SELECT table_name, part, lake_version FROM {self._there.name(BOOK)}")
            return {(row.table_name, row.part): row.lake_version for row in rows}

    def put_whole(self, part: Part, rows: pa.RecordBatchReader) -> int:
        return self._put(part, rows)

    def put_day(self, part: Part, rows: pa.RecordBatchReader) -> int:
        return self._put(part, rows)

    def tidy(self) -> None:
        """Nothing: what the lake has no more went with its partition."""

    def close(self) -> None:
        self._there.close()

    def _put(self, part: Part, rows: pa.RecordBatchReader) -> int:
        with self._told() as session:
            name, now = self._there.name(part.table.path[1]), datetime.now(UTC)
            at = int(now.timestamp() * 1e6)
            names = [column.name for column in part.table.columns]
            insert = session.prepare(
                f"INSERT INTO {name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) USING TIMESTAMP {at}"
            )
            before = self._partitions(session, part)
            count, after = self._insert(insert, part, rows)
            keys = " AND ".join(f"{each} = ?" for each in partition_key(part.table))
            remove = session.prepare(f"DELETE FROM {name} USING TIMESTAMP {at - 1} WHERE {keys}")
            self._there.execute_all((remove, key) for key in before | after)
            self._note(session, part, count, now)
            return count

    def _insert(self, insert: Any, part: Part, rows: pa.RecordBatchReader) -> tuple[int, set[tuple[Any, ...]]]:
        keys: set[tuple[Any, ...]] = set()
        count = 0
        for batch in rows:
            columns = [column.to_pylist() for column in batch.columns]
            values = list(zip(*columns, strict=True))
            places = [batch.schema.names.index(each) for each in partition_key(part.table)]
            keys |= {tuple(row[place] for place in places) for row in values}
            self._there.execute_all((insert, row) for row in values)
            count += len(values)
        return count, keys

    def _partitions(self, session: "Session", part: Part) -> set[tuple[Any, ...]]:
        """Those that the part may have rows in: of a day, each system's that is known there."""
        keys = ", ".join(partition_key(part.table))
        if part.day is None:
            rows = session.execute(f"SELECT DISTINCT {keys} FROM {self._there.name(part.table.path[1])}")
            return {tuple(row) for row in rows}
        systems = session.execute(f"SELECT DISTINCT system_id FROM {self._there.name('dim_system')}")
        return {(row.system_id, part.day) for row in systems}

    def _note(self, session: "Session", part: Part, count: int, now: datetime) -> None:
        insert = session.prepare(f"INSERT INTO {self._there.name(BOOK)} (table_name, part, lake_version, row_count, "
                                 "exported_at) VALUES (?, ?, ?, ?, ?)")  # fmt: skip
        session.execute(insert, (part.table.path[1], part.name or WHOLE, part.version, count, now))

    def _refuse_other_columns(self) -> None:
        with self._told() as session:
            session.cluster.refresh_keyspace_metadata(self._there.keyspace)
            tables = session.cluster.metadata.keyspaces[self._there.keyspace].tables
        for table in (*DIMENSIONS, *FACTS):
            there = set(tables[table.path[1]].columns)
            if wrong := there ^ {column.name for column in table.columns}:
                raise DatabaseRefuses(
                    f"{self._there.place}: {table.path[1]} has other columns than the warehouse "
                    f"({', '.join(sorted(wrong))}): drop the keyspace, and export all days anew."
                )

    @contextmanager
    def _told(self) -> Iterator["Session"]:
        """A session; the driver's errors as ours."""
        try:
            with self._there.told():
                yield self._there.session()
        except Trouble as err:
            kind = DatabaseRefuses if err.is_refused else DatabaseDown
            raise kind(f"{self._there.place}: {err}.") from None


def partition_key(table: Table) -> tuple[str, ...]:
    """What keeps rows together: of a fact its system and day, of a dimension its system, or what it is of."""
    if table.partitioned_by:
        return ("system_id", *table.partitioned_by)
    return ("system_id",) if any(column.name == "system_id" for column in table.columns) else table.grain[:1]


def _create(keyspace: str, table: Table) -> str:
    within = partition_key(table)
    clustered = [name for name in table.grain if name not in within]
    key = ", ".join([f"({', '.join(within)})", *clustered])
    columns = ", ".join(f"{column.name} {TYPES[column.type]}" for column in table.columns)
    return f"CREATE TABLE IF NOT EXISTS {keyspace}.{table.path[1]} ({columns}, PRIMARY KEY ({key}))"
