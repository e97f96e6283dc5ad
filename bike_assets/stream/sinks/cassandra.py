"""`events.users` in Cassandra: `spark_streams.created_users`, a row a member, by upsert of their id.

A row that is deleted there stays on the disk until a compaction, and in the commit log until its segment is used
again. The table is made with `gc_grace_seconds = 0`, so that any compaction of its files drops it; that is right for
one replica, which is what the keyspace is made with. A keyspace or table that is there stays as it is.
"""

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from bike_assets.model.errors import SinkUnavailable, WrongSettings
from bike_assets.model.tables import EVENTS_USERS
from bike_assets.stream.sinks.users import Progress

if TYPE_CHECKING:
    from cassandra.cluster import Cluster, Session

KEYSPACE, TABLE, NOTES = "spark_streams", "created_users", "bike_progress"
ANSWER_S = 8
AT_ONCE = 64
PORT = 9042

_KAFKA = {"utc_date", "kafka_partition", "kafka_offset"}
_OWN = tuple(column for column in EVENTS_USERS.columns if column.name not in _KAFKA)
_TYPES = {"string": "text", "timestamp": "timestamp", "int": "int", "double": "double"}
_NAMES = tuple("id" if column.name == "member_id" else column.name for column in _OWN)


class CassandraSink:
    """A Cassandra that holds the members."""

    def __init__(self, url: str) -> None:
        """Connects to nothing yet. Raises WrongSettings."""
        try:
            self._url = sa.make_url(url)
        except ArgumentError:
            self._url = None  # type: ignore[assignment]
        if self._url is None or self._url.drivername != "cassandra" or not self._url.host:
            raise WrongSettings("BIKE_MEMBERS_CASSANDRA is to be as cassandra://user:password@host:9042.")
        self._keyspace = self._url.database or KEYSPACE
        if not self._keyspace.isidentifier():
            raise WrongSettings("BIKE_MEMBERS_CASSANDRA names a keyspace that is no name.")
        self.place = f"Cassandra at {self._url.host}:{self._url.port or PORT}/{self._keyspace}"
        self._cluster: Cluster | None = None
        self._session: Session | None = None

    def progress(self) -> Progress | None:
        with self._told() as session:
            found = session.execute(f"SELECT progress FROM {self._name(NOTES)} WHERE name = %s", (TABLE,)).one()
            return None if found is None else msgspec.json.decode(found.progress, type=Progress)

    def put(self, rows: Sequence[Mapping[str, Any]]) -> None:
        with self._told() as session:
            places = ", ".join("?" * len(_NAMES))
            insert = session.prepare(f"INSERT INTO {self._name(TABLE)} ({', '.join(_NAMES)}) VALUES ({places})")
            self._all(session, insert, ([_value(row[column.name], column.name) for column in _OWN] for row in rows))

    def ids(self) -> set[str]:
        with self._told() as session:
            return {str(row.id) for row in session.execute(f"SELECT id FROM {self._name(TABLE)}")}

    def remove(self, member_ids: Collection[str]) -> None:
        with self._told() as session:
            delete = session.prepare(f"DELETE FROM {self._name(TABLE)} WHERE id = ?")
            self._all(session, delete, ([uuid.UUID(each)] for each in member_ids))

    def note(self, progress: Progress) -> None:
        with self._told() as session:
            insert = f"INSERT INTO {self._name(NOTES)} (name, progress) VALUES (%s, %s)"
            session.execute(insert, (TABLE, msgspec.json.encode(progress).decode()))

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.shutdown()
        self._cluster = self._session = None

    def _all(self, session: "Session", statement: Any, values: Iterable[Sequence[Any]]) -> None:
        from cassandra.concurrent import execute_concurrent_with_args

        execute_concurrent_with_args(session, statement, values, concurrency=AT_ONCE, raise_on_first_error=True)

    def _name(self, table: str) -> str:
        return f"{self._keyspace}.{table}"

    def _connected(self) -> "Session":
        from cassandra.auth import PlainTextAuthProvider
        from cassandra.cluster import Cluster

        if self._session is None:
            user, password = self._url.username, str(self._url.password or "")
            self._cluster = Cluster(
                (self._url.host or "").split(","), port=self._url.port or PORT, connect_timeout=ANSWER_S,
                control_connection_timeout=ANSWER_S,
                auth_provider=PlainTextAuthProvider(user, password) if user else None,
            )  # fmt: skip
            session = self._cluster.connect()
            session.default_timeout = ANSWER_S
            self._make(session)
            self._session = session
        return self._session

    def _make(self, session: "Session") -> None:
        columns = ", ".join(
            f"{name} {'uuid PRIMARY KEY' if name == 'id' else _TYPES[column.type]}"
            for name, column in zip(_NAMES, _OWN, strict=True)
        )
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        for statement in (
            f"CREATE KEYSPACE IF NOT EXISTS {self._keyspace} WITH replication = {replication}",
            f"CREATE TABLE IF NOT EXISTS {self._name(TABLE)} ({columns}) WITH gc_grace_seconds = 0",
            f"CREATE TABLE IF NOT EXISTS {self._name(NOTES)} (name text PRIMARY KEY, progress text)",
        ):
            session.execute(statement)

    @contextmanager
    def _told(self) -> Iterator["Session"]:
        """A session; the driver's errors as SinkUnavailable, without the password and without values."""
        from cassandra import DriverException
        from cassandra.cluster import NoHostAvailable

        try:
            yield self._connected()
        except (DriverException, NoHostAvailable) as err:
            self.close()  # somebody may have dropped the tables: they are made again with the next session
            raise SinkUnavailable(f"{self.place} does not take the members: {self._said(err)}") from None

    def _said(self, err: Exception) -> str:
        said = (str(err).strip() or type(err).__name__).splitlines()[0].rstrip(".") + "."
        return said.replace(str(self._url.password), "[removed]") if self._url.password else said


def _value(value: Any, name: str) -> Any:
    return uuid.UUID(value) if name == "member_id" else value
