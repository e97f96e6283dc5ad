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

from bike_assets.cql import TYPES, Connection, Trouble
from bike_assets.model.errors import SinkUnavailable, WrongSettings
from bike_assets.model.schema import Table
from bike_assets.stream.sinks.progress import Progress

if TYPE_CHECKING:
    from cassandra.cluster import Session

KEYSPACE, NOTES = "spark_streams", "bike_progress"
ANSWER_S = 5
"""Twice that, for a connection, is less than what a heart may be silent."""

_KAFKA = {"utc_date", "kafka_partition", "kafka_offset"}


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
            (each.name, self.renamed.get(each.name, each.name), self.types.get(each.name) or TYPES[each.type])
            for each in self.table.columns
            if each.name not in _KAFKA
        ]


class CassandraSink:
    """A Cassandra that holds the rows of a table. Raises SinkUnavailable where it does not do what is asked."""

    def __init__(self, url: str, setting: str, place: Place) -> None:
        """Connects to nothing yet. Raises WrongSettings, naming the setting."""
        try:
            parsed = sa.make_url(url)
        except ArgumentError:
            parsed = None
        if parsed is None or parsed.drivername != "cassandra" or not parsed.host:
            raise WrongSettings(f"{setting} is to be as cassandra://user:password@host:9042.")
        keyspace = parsed.database or KEYSPACE
        if not keyspace.isidentifier():
            raise WrongSettings(f"{setting} names a keyspace that is no name.")
        self._place = place
        self._there = Connection(parsed, keyspace, ANSWER_S, ANSWER_S)
        self._prepared: dict[str, Any] = {}

    def progress(self) -> Progress | None:
        """What it holds; None before the first."""
        with self._told() as session:
            query = f"SELECT progress FROM {self._there.name(NOTES)} WHERE name = %s"
            found = session.execute(query, (self._place.name,)).one()
            return None if found is None else msgspec.json.decode(found.progress, type=Progress)

    def put(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add these rows, or put them in the place of what it has under their keys."""
        columns = self._place.columns
        with self._told() as session:
            names, places = ", ".join(there for _, there, _ in columns), ", ".join("?" * len(columns))
            insert = f"INSERT INTO {self._there.name(self._place.name)} ({names}) VALUES ({places})"
            self._all(session, insert, ([self._value(here, row[here]) for here, _, _ in columns] for row in rows))

    def note(self, progress: Progress) -> None:
        """Note what it holds now."""
        with self._told() as session:
            insert = f"INSERT INTO {self._there.name(NOTES)} (name, progress) VALUES (%s, %s)"
            session.execute(insert, (self._place.name, msgspec.json.encode(progress).decode()))

    def close(self) -> None:
        self._there.close()
        self._prepared.clear()

    def _value(self, name: str, value: Any) -> Any:
        """A value as the driver takes it."""
        return value

    def _all(self, session: "Session", statement: str, values: Iterable[Sequence[Any]]) -> None:
        if statement not in self._prepared:
            self._prepared[statement] = session.prepare(statement)
        self._there.execute_all((self._prepared[statement], each) for each in values)

    def _connected(self) -> "Session":
        is_new = not self._there.is_open
        session = self._there.session()
        if is_new:
            self._make(session)
        return session

    def _make(self, session: "Session") -> None:
        columns = ", ".join(f"{there} {type_there}" for _, there, type_there in self._place.columns)
        options = f" WITH {self._place.options}" if self._place.options else ""
        table = f"{self._there.name(self._place.name)} ({columns}, PRIMARY KEY ({self._place.key})){options}"
        self._there.make_keyspace()
        session.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        session.execute(f"CREATE TABLE IF NOT EXISTS {self._there.name(NOTES)} (name text PRIMARY KEY, progress text)")

    @contextmanager
    def _told(self) -> Iterator["Session"]:
        """A session; the driver's errors as SinkUnavailable, without the password and without values."""
        try:
            with self._there.told():
                yield self._connected()
        except Trouble as err:
            self.close()  # somebody may have dropped the tables: they are made again with the next session
            what = self._place.table.path[1]
            raise SinkUnavailable(f"{self._there.place} does not take the {what}: {err}.") from None
