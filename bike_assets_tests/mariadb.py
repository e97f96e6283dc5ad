"""A real MariaDB for tests: the one that the system's packages bring, started on loopback, gone after it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bike_assets.local.ports import free_ports
from bike_assets.model.errors import SomethingMissing
from bike_assets_tests.waiting import wait_until

HOST, USER, PASSWORD = "127.0.0.1", "bike", "mariadb-secret-0123456789"


@dataclass(frozen=True)
class MariaDb:
    """A server, or a database of it, and how to connect to it."""

    port: int
    socket: Path
    database: str = ""

    @property
    def url(self) -> str:
        return f"mysql://{USER}:{PASSWORD}@{HOST}:{self.port}/{self.database}"

    @property
    def directory(self) -> Path:
        """Where the database's tables lie."""
        return self.socket.parent / "data" / self.database

    def ask(self, query: str) -> str:
        """What its own client answers, as it stands in the database."""
        return self._run([f"--user={USER}", f"--password={PASSWORD}", f"--host={HOST}", f"--port={self.port}"], query)

    def as_root(self, query: str) -> str:
        return self._run(["--user=root", f"--socket={self.socket}"], query)

    def _run(self, who: list[str], query: str) -> str:
        command = [tool("mariadb"), "--no-defaults", *who, "--default-character-set=utf8mb4", "--batch", "--raw",
                   "--skip-column-names", "--execute", query, self.database]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def tool(name: str) -> str:
    """A program of MariaDB's. Raises SomethingMissing with how to get it."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise SomethingMissing(f"MariaDB's {name} was not found: on Debian, `apt-get install mariadb-server` has it.")
    return found


@contextmanager
def mariadb_server(*options: str) -> Iterator[MariaDb]:
    """A server for as long as the block runs, in a directory of its own, by a user that is not root."""
    owner = "mysql" if os.getuid() == 0 else None
    root = Path(tempfile.mkdtemp(prefix="bike-mariadb-"))
    try:
        if owner is not None:
            if owner not in {each.pw_name for each in pwd.getpwall()}:
                raise SomethingMissing("MariaDB does not run as root, and there is no user mysql to run it.")
            shutil.chown(root, owner, owner)
        data, (port,) = root / "data", free_ports(1)
        subprocess.run([tool("mariadb-install-db"), "--no-defaults", f"--datadir={data}", "--skip-test-db",
                        "--auth-root-authentication-method=normal"],
                       user=owner, group=owner, cwd=root, check=True, capture_output=True)  # fmt: skip
        server = MariaDb(port, root / "socket")
        command = [tool("mariadbd"), "--no-defaults", f"--datadir={data}", f"--port={port}", f"--bind-address={HOST}",
                   f"--socket={server.socket}", f"--pid-file={root / 'pid'}", "--innodb-flush-log-at-trx-commit=0",
                   "--skip-log-bin", *options]  # fmt: skip
        with (root / "log").open("wb") as log:
            process = subprocess.Popen(command, user=owner, group=owner, cwd=root, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log)  # fmt: skip
        try:
            wait_until(lambda: _is_ready(server) or process.poll() is not None)
            assert process.poll() is None, (root / "log").read_text()
            server.as_root(f"CREATE USER {USER} IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO {USER}; "
                           f"REVOKE SUPER, READ_ONLY ADMIN ON *.* FROM {USER}")  # fmt: skip
            yield server
        finally:
            process.terminate()
            process.wait(60)
    finally:
        shutil.rmtree(root)


def _is_ready(server: MariaDb) -> bool:
    command = [tool("mariadb-admin"), "--no-defaults", "--user=root", f"--socket={server.socket}", "ping"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
