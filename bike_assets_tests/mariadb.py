"""A real MariaDB for the tests: one server, in a directory of its own, on loopback."""

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

HOST, USER, PASSWORD = "127.0.0.1", "bike", "pass-word"
_SMALL = ("--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0",
          "--skip-name-resolve", "--performance-schema=off")  # fmt: skip


@dataclass(frozen=True, slots=True)
class MariaDb:
    """Where it is. Its administrator comes by the socket."""

    port: int
    socket: Path
    database: str = "sales"

    @property
    def url(self) -> str:
        return f"mysql+pymysql://{USER}:{PASSWORD}@{HOST}:{self.port}/{self.database}"

    def ask(self, query: str) -> str:
        """What the administrator is answered, without its head."""
        command = [tool("mariadb"), "--no-defaults", f"--socket={self.socket}", "-uroot", "-N", "-B", "-e", query]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def tool(name: str) -> str:
    """A program of MariaDB's. Raises SomethingMissing with how to get it."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin")
    if found is None:
        raise SomethingMissing(f"MariaDB's {name} was not found: `apt-get install mariadb-server` brings it.")
    return found


@contextmanager
def mariadb_server() -> Iterator[MariaDb]:
    """A server for as long as the block runs."""
    owner = "mysql" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    root = Path(tempfile.mkdtemp(prefix="bike-mariadb-"))
    (port,) = free_ports(1)
    found = MariaDb(port, root / "socket")
    try:
        shutil.chown(root, owner)
        data = [f"--datadir={root / 'data'}", f"--user={owner}"]
        options = ["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]
        subprocess.run([tool("mariadb-install-db"), *options, *data], check=True, capture_output=True)
        with (root / "log").open("wb") as log:
            server = subprocess.Popen(
                [tool("mariadbd"), "--no-defaults", *data, *_SMALL, f"--port={port}", f"--bind-address={HOST}",
                 f"--socket={found.socket}", f"--pid-file={root / 'pid'}"], stdout=log, stderr=log,
            )  # fmt: skip
        try:
            wait_until(lambda: _is_ready(found) or server.poll() is not None)
            assert server.poll() is None, (root / "log").read_text()
            found.ask(f"CREATE DATABASE {found.database} CHARACTER SET utf8mb4; "
                      f"CREATE USER {USER} IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON {found.database}.* TO {USER}")
            yield found
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(root)


def _is_ready(found: MariaDb) -> bool:
    command = [tool("mariadb"), "--no-defaults", f"--socket={found.socket}", "-uroot", "-e", "SELECT 1"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
