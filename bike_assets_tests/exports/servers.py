"""Real servers that the warehouse is exported into, each asked by its own client."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
from cassandra.cluster import Cluster
from cassandra.util import Date

from bike_assets.exports.databases import database
from bike_assets.exports.serve import Database
from bike_assets.model.schema import Table
from bike_assets_tests import mariadb
from bike_assets_tests.cassandra import CassandraServer
from bike_assets_tests.exports.reading import Rows, told
from bike_assets_tests.mariadb import MariaDb
from bike_assets_tests.postgres import PASSWORD, Postgres


class Server(Protocol):
    """A database of one test's own."""

    @property
    def name(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def address(self) -> str: ...
    def rows(self, table: Table) -> Rows:
        """The table's rows, by the database's own client."""

    def tables(self) -> set[str]:
        """What is there beside the book, partitions left out."""

    def set_read_only(self, *, on: bool) -> None: ...
    def called(self, table: Table) -> str:
        """The table's name there."""

    def execute(self, statement: str) -> None: ...


def of(server: Server) -> Database:
    """The database as an export sees it."""
    return database(server.name, server.address)


@dataclass(frozen=True)
class PostgresServer:
    """By psql."""

    server: Postgres
    name: str = "postgres"
    password: str = PASSWORD

    @property
    def address(self) -> str:
        return self.server.url

    def rows(self, table: Table) -> Rows:
        return told(table, self._json(f"SELECT json_agg(t) FROM {table.name} AS t"))  # noqa: S608

    def tables(self) -> set[str]:
        names = self.server.psql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'warehouse'::regnamespace AND relkind IN ('r', 'p') "
            "AND NOT relispartition"
        )
        return set(names.split())

    def set_read_only(self, *, on: bool) -> None:
        # By another database: this one takes no ALTER DATABASE either, then.
        replace(self.server, database="postgres").psql(
            f"ALTER DATABASE {self.server.database} SET default_transaction_read_only = {on}"
        )

    def called(self, table: Table) -> str:
        return table.name

    def execute(self, statement: str) -> None:
        self.server.psql(statement)

    def _json(self, query: str) -> list[dict[str, Any]]:
        return json.loads(self.server.psql(query) or "[]")  # type: ignore[no-any-return]


@dataclass(frozen=True)
class MariaDbServer:
    """By its own client."""

    server: MariaDb
    name: str = "mysql"
    password: str = mariadb.PASSWORD

    @property
    def address(self) -> str:
        return self.server.url

    def rows(self, table: Table) -> Rows:
        pairs = ", ".join(f"'{column.name}', `{column.name}`" for column in table.columns)
        lines = self.server.ask(f"SELECT JSON_OBJECT({pairs}) FROM {table.path[1]}").splitlines()  # noqa: S608
        return told(table, map(json.loads, lines))

    def tables(self) -> set[str]:
        return set(self.server.ask("SHOW TABLES").split())

    def set_read_only(self, *, on: bool) -> None:
        self.server.as_root(f"SET GLOBAL read_only = {int(on)}")

    def called(self, table: Table) -> str:
        return table.path[1]

    def execute(self, statement: str) -> None:
        self.server.ask(statement)


@dataclass(frozen=True)
class DuckFileServer:
    """By DuckDB itself, which opens the file as anybody would."""

    path: Path
    name: str = "duckdb"
    password: str = "none"  # noqa: S105

    @property
    def address(self) -> str:
        return str(self.path)

    def rows(self, table: Table) -> Rows:
        with duckdb.connect(str(self.path), read_only=True) as con:
            con.execute("SET TimeZone = 'UTC'")
            names = ", ".join(f'"{column.name}"' for column in table.columns)
            return sorted(con.sql(f"SELECT {names} FROM {table.name}").fetchall(), key=str)  # noqa: S608

    def tables(self) -> set[str]:
        with duckdb.connect(str(self.path), read_only=True) as con:
            return {name for (name,) in con.sql("SELECT table_name FROM duckdb_tables()").fetchall()}

    def set_read_only(self, *, on: bool) -> None:
        raise NotImplementedError("a file of root's can always be written")

    def called(self, table: Table) -> str:
        return table.name

    def execute(self, statement: str) -> None:
        with duckdb.connect(str(self.path)) as con:
            con.execute(statement)


@dataclass(frozen=True)
class Cassandras:
    """By the driver alone: what a reader of the keyspace sees."""

    server: CassandraServer
    name: str = "cassandra"
    password: str = "none"  # noqa: S105

    @property
    def address(self) -> str:
        return self.server.url

    def rows(self, table: Table) -> Rows:
        names = [column.name for column in table.columns]
        found = self._ask(f"SELECT {', '.join(names)} FROM {table.path[1]}")  # noqa: S608
        return sorted((tuple(map(_of_cassandra, row)) for row in found), key=str)

    def tables(self) -> set[str]:
        query = f"SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{self.server.keyspace}'"  # noqa: S608
        return {row[0] for row in self._ask(query)}

    def set_read_only(self, *, on: bool) -> None:
        raise NotImplementedError("Cassandra has no such state")

    def called(self, table: Table) -> str:
        return table.path[1]

    def execute(self, statement: str) -> None:
        self._ask(statement.replace("DROP COLUMN", "DROP"))  # CQL's word

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        # A machine that is busy is no server that is down.
        patient = {"connect_timeout": 60, "control_connection_timeout": 60}
        with Cluster(["127.0.0.1"], port=self.server.port, **patient) as cluster:
            return list(cluster.connect(self.server.keyspace).execute(query, timeout=60))


def _of_cassandra(value: Any) -> Any:
    if isinstance(value, Date):
        return value.date()
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
