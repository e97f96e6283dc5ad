"""A real PostgreSQL for tests: the one that the system's packages bring, started on loopback, gone after it."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bike_assets.local.ports import free_ports
from bike_assets.model.errors import SomethingMissing
from bike_assets_tests.waiting import wait_until

HOST, USER, PASSWORD = "127.0.0.1", "bike", "postgres-secret-0123456789"
DEBIANS = Path("/usr/lib/postgresql")
_SETTINGS = {"listen_addresses": HOST, "unix_socket_directories": "", "fsync": "off", "max_connections": "200"}


@dataclass(frozen=True)
class Postgres:
    """A server, or a database of it, and how to connect to it."""

    port: int
    database: str = "postgres"
    host: str = HOST
    user: str = USER
    password: str = PASSWORD

    @property
    def url(self) -> str:
        """As libpq takes it."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    def psql(self, query: str) -> str:
        """What a query answers, without its head."""
        done = subprocess.run([tool("psql"), self.url, "--no-psqlrc", "--tuples-only", "--no-align", "-c", query],
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def dump(self) -> bytes:
        """All that stands in the database, as text."""
        done = subprocess.run([tool("pg_dump"), self.url], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def tool(name: str) -> str:
    """A program of PostgreSQL's. Raises SomethingMissing with how to get it."""
    versions = sorted(DEBIANS.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which(name)
    if found is None:
        raise SomethingMissing(f"PostgreSQL's {name} was not found: on Debian, `apt-get install postgresql` brings it.")
    return found


class Server:
    """A server in a directory of its own, which may be killed and started again; it refuses to run as root."""

    def __init__(self, root: Path, **settings: str) -> None:
        self._root, self._data, (self._port,) = root, root / "data", free_ports(1)
        self._options = [word for name, value in (_SETTINGS | settings).items() for word in ("-c", f"{name}={value}")]
        self._owner = "postgres" if os.getuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        secret = root / "password"
        secret.write_text(PASSWORD)
        if self._owner is not None:
            if self._owner not in {each.pw_name for each in pwd.getpwall()}:
                raise SomethingMissing("PostgreSQL does not run as root, and there is no user postgres to run it.")
            for path in (root, secret):
                shutil.chown(path, self._owner, self._owner)
        subprocess.run(
            [tool("initdb"), "-D", self._data, "-U", USER, "--auth", "scram-sha-256", "--pwfile", secret, "--no-sync",
             "--encoding", "UTF8", "--locale", "C"],
            user=self._owner, group=self._owner, cwd=root, check=True, capture_output=True,
        )  # fmt: skip

    def start(self) -> Postgres:
        """Start it, and wait until it answers."""
        with (self._root / "log").open("ab") as log:
            server = subprocess.Popen(
                [tool("postgres"), "-D", self._data, "-p", str(self._port), *self._options],
                user=self._owner, group=self._owner, cwd=self._root, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._process = server
        wait_until(lambda: _is_ready(self._port) or server.poll() is not None)
        assert server.poll() is None, (self._root / "log").read_text()
        return Postgres(self._port)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it at once, and in order; by SIGQUIT without order, as where the power goes."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None


@contextmanager
def postgres_server(**settings: str) -> Iterator[Postgres]:
    """A server for as long as the block runs."""
    with restartable_postgres(**settings) as server:
        yield server.start()


@contextmanager
def restartable_postgres(**settings: str) -> Iterator[Server]:
    """A server that the block starts and stops; not there after it."""
    root = Path(tempfile.mkdtemp(prefix="bike-postgres-"))
    try:
        server = Server(root, **settings)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(root)


def _is_ready(port: int) -> bool:
    command = [tool("pg_isready"), "--quiet", "--host", HOST, "--port", str(port)]
    return subprocess.run(command, check=False).returncode == 0
