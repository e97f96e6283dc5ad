"""A Cassandra at an address: how it is reached, what our types are there, and what its driver's errors say."""

import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bike_assets.model.schema import ColumnType

if TYPE_CHECKING:
    from cassandra.cluster import Cluster, Session

PORT = 9042
AT_ONCE = 64
"""So many statements are under way at a time."""

TYPES: dict[ColumnType, str] = {
    "string": "text", "timestamp": "timestamp", "date": "date", "int": "int", "bigint": "bigint", "double": "double",
    "boolean": "boolean", "decimal(12,2)": "decimal", "decimal(28,2)": "decimal",
}  # fmt: skip


class Trouble(Exception):
    """What the driver said, in a line without the password; and whether trying again is of no use."""

    def __init__(self, said: str, *, is_refused: bool) -> None:
        super().__init__(said)
        self.is_refused = is_refused


class Connection:
    """The address is `cassandra://user:password@host,host:9042/keyspace`, and with `?ssl=true` all of it is encrypted.

    Nothing is connected before it is asked for.
    """

    def __init__(self, url: sa.URL, keyspace: str, connect_s: float, answer_s: float) -> None:
        self.place = f"Cassandra at {url.host}:{url.port or PORT}/{keyspace}"
        self.keyspace = keyspace
        self._url, self._connect_s, self._answer_s = url, connect_s, answer_s
        self._cluster: Cluster | None = None
        self._session: Session | None = None

    def session(self) -> "Session":
        """The one that is open, or one that is opened. Raises what the driver raises."""
        if self._session is None:
            self.close()
            self._cluster = self._reached()
            self._session = self._cluster.connect()
            self._session.default_timeout = self._answer_s
        return self._session

    @property
    def is_open(self) -> bool:
        return self._session is not None

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.shutdown()
        self._cluster = self._session = None

    def make_keyspace(self) -> None:
        """Make it where it is missing, for one node: who has more makes it beforehand."""
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        self.session().execute(f"CREATE KEYSPACE IF NOT EXISTS {self.keyspace} WITH replication = {replication}")

    def name(self, table: str) -> str:
        """A table's, with its keyspace."""
        return f"{self.keyspace}.{table}"

    def execute_all(self, statements: Iterable[tuple[Any, Sequence[Any]]]) -> None:
        """Execute them, some at a time, to the first that fails."""
        from cassandra.concurrent import execute_concurrent

        execute_concurrent(self.session(), statements, concurrency=AT_ONCE, raise_on_first_error=True,
                           results_generator=False)  # fmt: skip

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise what the driver raises as Trouble."""
        from cassandra import DriverException
        from cassandra.cluster import NoHostAvailable
        from cassandra.connection import ConnectionException
        from cassandra.protocol import ErrorMessage

        try:
            yield
        # What a server answers is a DriverException only where the driver has one for it; it raises the answer else.
        except (DriverException, NoHostAvailable, ConnectionException, ErrorMessage, ssl.SSLError) as err:
            said = (str(err).strip() or type(err).__name__).splitlines()[0].rstrip(".")
            if self._url.password:
                said = said.replace(str(self._url.password), "[removed]")
            raise Trouble(said, is_refused=is_refused(err)) from None

    def _reached(self) -> "Cluster":
        from cassandra.auth import PlainTextAuthProvider
        from cassandra.cluster import Cluster

        url = self._url
        who = PlainTextAuthProvider(url.username, str(url.password or "")) if url.username else None
        secure = ssl.create_default_context() if url.query.get("ssl") == "true" else None
        return Cluster((url.host or "").split(","), port=url.port or PORT, auth_provider=who, ssl_context=secure,
                       connect_timeout=self._connect_s, control_connection_timeout=self._connect_s)  # fmt: skip


def is_refused(err: Exception) -> bool:
    """Whether it will not take this, however often it is tried."""
    from cassandra import AuthenticationFailed, InvalidRequest, Unauthorized
    from cassandra.cluster import NoHostAvailable
    from cassandra.protocol import ConfigurationException, SyntaxException

    refused = AuthenticationFailed | InvalidRequest | Unauthorized | ConfigurationException | SyntaxException
    causes = [*err.errors.values()] if isinstance(err, NoHostAvailable) and isinstance(err.errors, dict) else [err]
    return any(isinstance(each, refused) for each in causes)
