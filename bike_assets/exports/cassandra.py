"""Cassandra: one partition a system and day, so that a day is read, and replaced, by itself.

Cassandra has no transaction over partitions. A day's new rows are written with one timestamp, and what is older in
these partitions is removed with the instant before it: each row is the old or the new one, at every moment; the book's
entry is the last to be written, so that an export that was killed is done again.
"""

import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from bike_assets.exports.days import WHOLE, Part
from bike_assets.exports.star import BOOK
from bike_assets.model.errors import DatabaseDown, DatabaseRefuses, NotServed
from bike_assets.model.schema import Column, ColumnType, Table
from bike_assets.model.star import DIMENSIONS, FACTS

if TYPE_CHECKING:
    from cassandra.cluster import Cluster, Session

CONNECT_S, ANSWER_S = 10, 60
AT_ONCE = 64
PORT = 9042

_TYPES: dict[ColumnType, str] = {"string": "text", "timestamp": "timestamp", "date": "date", "int": "int",
                                 "bigint": "bigint", "double": "double", "boolean": "boolean"}  # fmt: skip


class Cassandra:
    """A keyspace, as an export sees it; the address is `cassandra://user:password@host,host:9042/keyspace`."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self.place = f"Cassandra at {url.host}:{url.port or PORT}/{url.database}"
        self._cluster: Cluster | None = None
        self._session: Session | None = None

    def prepare(self) -> None:
        with self._told():
            session = self._connected()
            session.execute(
                f"CREATE KEYSPACE IF NOT EXISTS {self.url.database} "
                "WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
            )
            for table in (*DIMENSIONS, *FACTS):
                session.execute(_create(self.url.database, table))
            session.execute(f"CREATE TABLE IF NOT EXISTS {self._name(BOOK)} (table_name text, part text, "
                            "lake_version text, row_count bigint, exported_at timestamp, "
                            "PRIMARY KEY (table_name, part))")  # fmt: skip
        self._refuse_other_columns()

    def book(self) -> dict[tuple[str, str], str]:
        with self._told():
            rows = self._connected().execute(f"SELECT table_name, part, lake_version FROM {self._name(BOOK)}")
            return {(row.table_name, row.part): row.lake_version for row in rows}

    def put_whole(self, part: Part, rows: pa.RecordBatchReader) -> int:
        return self._put(part, rows)

    def put_day(self, part: Part, rows: pa.RecordBatchReader) -> int:
        return self._put(part, rows)

    def tidy(self) -> None:
        """Nothing: what the lake has no more went with its partition."""

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.shutdown()
        self._cluster = self._session = None

    def _put(self, part: Part, rows: pa.RecordBatchReader) -> int:
        with self._told():
            session, name, now = self._connected(), self._name(part.table.path[1]), datetime.now(UTC)
            at = int(now.timestamp() * 1e6)
            names = [column.name for column in part.table.columns]
            insert = session.prepare(
                f"INSERT INTO {name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) USING TIMESTAMP {at}"
            )
            before = self._partitions(part)
            count, after = self._insert(session, insert, part, rows)
            keys = " AND ".join(f"{each} = ?" for each in partition_key(part.table))
            remove = session.prepare(f"DELETE FROM {name} USING TIMESTAMP {at - 1} WHERE {keys}")
            self._all(session, ((remove, key) for key in before | after))
            self._note(part, count, now)
            return count

    def _insert(
        self, session: "Session", insert: Any, part: Part, rows: pa.RecordBatchReader
    ) -> tuple[int, set[tuple[Any, ...]]]:
        keys: set[tuple[Any, ...]] = set()
        count = 0
        for batch in rows:
            columns = [column.to_pylist() for column in batch.columns]
            values = list(zip(*columns, strict=True))
            places = [batch.schema.names.index(each) for each in partition_key(part.table)]
            keys |= {tuple(row[place] for place in places) for row in values}
            self._all(session, ((insert, row) for row in values))
            count += len(values)
        return count, keys

    def _all(self, session: "Session", statements: Iterable[tuple[Any, Sequence[Any]]]) -> None:
        from cassandra.concurrent import execute_concurrent

        execute_concurrent(session, statements, concurrency=AT_ONCE, raise_on_first_error=True, results_generator=False)

    def _partitions(self, part: Part) -> set[tuple[Any, ...]]:
        """Those that the part may have rows in: of a day, each system's that is known there."""
        keys = ", ".join(partition_key(part.table))
        if part.day is None:
            rows = self._connected().execute(f"SELECT DISTINCT {keys} FROM {self._name(part.table.path[1])}")
            return {tuple(row) for row in rows}
        systems = self._connected().execute(f"SELECT DISTINCT system_id FROM {self._name('dim_system')}")
        return {(row.system_id, part.day) for row in systems}

    def _note(self, part: Part, count: int, now: datetime) -> None:
        session = self._connected()
        insert = session.prepare(f"INSERT INTO {self._name(BOOK)} (table_name, part, lake_version, row_count, "
                                 "exported_at) VALUES (?, ?, ?, ?, ?)")  # fmt: skip
        session.execute(insert, (part.table.path[1], part.name or WHOLE, part.version, count, now))

    def _refuse_other_columns(self) -> None:
        with self._told():
            cluster = self._connected().cluster
            cluster.refresh_keyspace_metadata(self.url.database)
            tables = cluster.metadata.keyspaces[self.url.database].tables
        for table in (*DIMENSIONS, *FACTS):
            there = set(tables[table.path[1]].columns)
            if wrong := there ^ {column.name for column in table.columns}:
                raise DatabaseRefuses(
                    f"{self.place}: {table.path[1]} has other columns than the warehouse ({', '.join(sorted(wrong))}): "
                    "drop the keyspace, and export all days anew."
                )

    def _name(self, table: str) -> str:
        return f"{self.url.database}.{table}"

    def _connected(self) -> "Session":
        if self._session is None:
            self._cluster = _cluster(self.url)
            self._session = self._cluster.connect()
            self._session.default_timeout = ANSWER_S
        return self._session

    @contextmanager
    def _told(self) -> Iterator[None]:
        from cassandra import DriverException
        from cassandra.cluster import NoHostAvailable

        try:
            yield
        except (DriverException, NoHostAvailable) as err:
            said = str(err).splitlines()[0].rstrip(".")
            if self.url.password:
                said = said.replace(str(self.url.password), "[removed]")
            raise _kind(err)(f"{self.place}: {said}.") from None


def partition_key(table: Table) -> tuple[str, ...]:
    """What keeps rows together: of a fact its system and day, of a dimension its system, or its key."""
    if table.partitioned_by:
        return ("system_id", *table.partitioned_by)
    return ("system_id",) if any(column.name == "system_id" for column in table.columns) else table.grain


def _create(keyspace: str | None, table: Table) -> str:
    within = partition_key(table)
    clustered = [name for name in table.grain if name not in within]
    key = ", ".join([f"({', '.join(within)})", *clustered])
    columns = ", ".join(f"{column.name} {_type(column)}" for column in table.columns)
    return f"CREATE TABLE IF NOT EXISTS {keyspace}.{table.path[1]} ({columns}, PRIMARY KEY ({key}))"


def _type(column: Column) -> str:
    return _TYPES[column.type]


def _cluster(url: sa.URL) -> "Cluster":
    from cassandra.auth import PlainTextAuthProvider
    from cassandra.cluster import Cluster

    who = PlainTextAuthProvider(url.username, str(url.password)) if url.username else None
    secure = ssl.create_default_context() if url.query.get("ssl") == "true" else None
    return Cluster((url.host or "").split(","), port=url.port or PORT, auth_provider=who, ssl_context=secure,
                   connect_timeout=CONNECT_S, control_connection_timeout=CONNECT_S)  # fmt: skip


def _kind(err: Exception) -> type[NotServed]:
    from cassandra import AuthenticationFailed, InvalidRequest, Unauthorized
    from cassandra.cluster import NoHostAvailable

    causes = [*err.errors.values()] if isinstance(err, NoHostAvailable) and isinstance(err.errors, dict) else [err]
    refused = any(isinstance(each, AuthenticationFailed | InvalidRequest | Unauthorized) for each in causes)
    return DatabaseRefuses if refused else DatabaseDown
