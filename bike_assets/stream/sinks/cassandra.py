"""Rows of a table of events in a table of a Cassandra, by upsert of their key: what is written twice stands there once.

Keyspace and table are made where they are missing; what is there stays as it is. How far it has come stands beside
the rows, in `bike_progress`, and is written after them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from bike_assets.model.errors import SinkUnavailable, WrongSettings
from bike_assets.model.schema import ColumnType, Table
from bike_assets.stream.sinks.progress import Progress

if TYPE_CHECKING:
    from cassandra.cluster import Cluster, Session

KEYSPACE, NOTES = "spark_streams", "bike_progress"
ANSWER_S = 5
"""Twice that, for a connection, is less than what a heart may be silent."""
AT_ONCE = 64
PORT = 9042

_KAFKA = {"utc_date", "kafka_partition", "kafka_offset"}
_TYPES: dict[ColumnType, str] = {
    "string": "text", "timestamp": "timestamp", "int": "int", "bigint": "bigint", "double": "double",
    "decimal(12,2)": "decimal", "boolean": "boolean",
}  # fmt: skip


class Place(NamedTuple):
    """A table there: which of ours it holds, and what it is made with."""

    name: str
    table: Table
    key: str
    """As CQL has it: what is not in inner parentheses orders the rows of one partition."""
    types: Mapping[str, str] = {}
    """Of columns that are of another type there than their type here says."""
    renamed: Mapping[str, str] = {}
    options: str = ""

    @property
    def columns(self) -> list[tuple[str, str, str]]:
        """Each column as it is called here, as it is called there, and its type there."""
        return [
            (each.name, self.renamed.get(each.name, each.name), self.types.get(each.name) or _TYPES[each.type])
            for each in self.table.columns
            if each.name not in _KAFKA
        ]


class CassandraSink:
    """A Cassandra that holds the rows of a table. Raises SinkUnavailable where it does not do what is asked."""

    def __init__(self, url: str, setting: str, place: Place) -> None:
        """Connects to nothing yet. Raises WrongSettings, naming the setting."""
        try:
            self._url = sa.make_url(url)
        except ArgumentError:
            self._url = None  # type: ignore[assignment]
        if self._url is None or self._url.drivername != "cassandra" or not self._url.host:
            raise WrongSettings(f"{setting} is to be as cassandra://user:password@host:9042.")
        self._keyspace = self._url.database or KEYSPACE
        if not self._keyspace.isidentifier():
            raise WrongSettings(f"{setting} names a keyspace that is no name.")
        self._place = place
        self.place = f"Cassandra at {self._url.host}:{self._url.port or PORT}/{self._keyspace}"
        self._cluster: Cluster | None = None
        self._session: Session | None = None

    def progress(self) -> Progress | None:
        """What it holds; None before the first."""
        with self._told() as session:
            query = f"SELECT progress FROM {self._name(NOTES)} WHERE name = %s"
            found = session.execute(query, (self._place.name,)).one()
            return None if found is None else msgspec.json.decode(found.progress, type=Progress)

    def put(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add these rows, or put them in the place of what it has under their keys."""
        columns = self._place.columns
        with self._told() as session:
            names, places = ", ".join(there for _, there, _ in columns), ", ".join("?" * len(columns))
            insert = session.prepare(f"INSERT INTO {self._name(self._place.name)} ({names}) VALUES ({places})")
            self._all(session, insert, ([self._value(here, row[here]) for here, _, _ in columns] for row in rows))

    def note(self, progress: Progress) -> None:
        """Note what it holds now."""
        with self._told() as session:
            insert = f"INSERT INTO {self._name(NOTES)} (name, progress) VALUES (%s, %s)"
            session.execute(insert, (self._place.name, msgspec.json.encode(progress).decode()))

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.shutdown()
        self._cluster = self._session = None

    def _value(self, name: str, value: Any) -> Any:
        """A value as the driver takes it."""
        return value

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
        columns = ", ".join(f"{there} {type_there}" for _, there, type_there in self._place.columns)
        options = f" WITH {self._place.options}" if self._place.options else ""
        table = f"{self._name(self._place.name)} ({columns}, PRIMARY KEY ({self._place.key})){options}"
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        for statement in (
            f"CREATE KEYSPACE IF NOT EXISTS {self._keyspace} WITH replication = {replication}",
            f"CREATE TABLE IF NOT EXISTS {table}",
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
            what = self._place.table.path[1]
            raise SinkUnavailable(f"{self.place} does not take the {what}: {self._said(err)}") from None

    def _said(self, err: Exception) -> str:
        said = (str(err).strip() or type(err).__name__).splitlines()[0].rstrip(".") + "."
        return said.replace(str(self._url.password), "[removed]") if self._url.password else said
