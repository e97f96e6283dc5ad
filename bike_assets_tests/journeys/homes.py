"""A home of its own for a journey: its ports, its jars, and the command line in it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from bike_assets.heartbeats import STREAM, read_heartbeat
from bike_assets.local.broker import wait_for_broker
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import BrokerUnavailable
from bike_assets_tests.conftest import HOME

PORTS = ("KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "PAGE_PORT", "DAGSTER_PORT", "SIMULATOR_PORT", "SPARK_PORT",
         "ORDERS_PORT")
BIN = Path(sys.executable).parent
"""The programs of this environment."""
BIKE = (sys.executable, "-m", "bike_assets")
COMMAND_S = 280.0


class Home:
    """An empty BIKE_HOME with the jars in it; commands run in an empty directory beside it, where no `.env` is."""

    def __init__(self, root: Path, **settings: str) -> None:
        self.path, self.directory = root / "home", root / "directory"
        self.path.mkdir(parents=True)
        self.directory.mkdir()
        (self.path / "jars").symlink_to(HOME / "jars", target_is_directory=True)
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        ours = {name: str(port) for name, port in self.ports.items()} | {"HOME": str(self.path)} | settings
        others = {name: value for name, value in os.environ.items() if not name.startswith(("BIKE_", "DAGSTER_"))}
        self.environment = others | {f"BIKE_{name}": value for name, value in ours.items()} | {"COLUMNS": "200"}

    @property
    def bootstrap(self) -> str:
        """Where this home's broker listens."""
        return f"127.0.0.1:{self.ports['KAFKA_PORT']}"

    def url(self, port: str) -> str:
        """The address of one of this home's servers."""
        return f"http://127.0.0.1:{self.ports[port]}"

    def bike(self, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*BIKE, *map(str, words)], env=self.environment | environment, cwd=self.directory, capture_output=True,
            text=True, timeout=COMMAND_S, check=False,
        )  # fmt: skip

    def answer(self, *words: object, **environment: str) -> Any:
        """What a command answers with `--json`; it must succeed."""
        done = self.bike(*words, "--json", **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """What `bike sql` answers."""
        found: list[dict[str, Any]] = self.answer("sql", query)
        return found

    def start(
        self, *words: object, command: Sequence[str] = BIKE, log: str | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a command and let it run; its words go to a log in the home's directory, `log` or its own name."""
        path = self.directory / f"{log or '-'.join(map(str, words))}.log"
        with path.open("ab") as output:
            return subprocess.Popen(
                [*command, *map(str, words)], env=self.environment | environment, cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    @contextmanager
    def running(self, *words: object, until: Callable[[], bool], within_s: float = 60, **environment: str) -> Iterator[
            subprocess.Popen[bytes]]:
        """A service for as long as the block runs."""
        process = self.start(*words, **environment)
        try:
            wait_until(lambda: until() or process.poll() is not None, within_s, f"{words} is ready")
            assert process.poll() is None, f"{words} ended at once: see its log in {self.directory}"
            yield process
        finally:
            end(process)

    def processes(self) -> list[psutil.Process]:
        """Every living process that was started for this home."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("BIKE_HOME") == str(self.path) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def kill_all(self) -> None:
        """For the end of a test that failed: nothing may stay behind."""
        left = self.processes()
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=10)


@contextmanager
def home(root: Path, **settings: str) -> Iterator[Home]:
    """A home whose processes are gone after the block, whatever happened in it."""
    made = Home(root, **settings)
    try:
        yield made
    finally:
        made.kill_all()


def wait_until(is_true: Callable[[], bool], within_s: float, what: str, every_s: float = 0.1) -> float:
    """Wait until it is; how long that took, in s. Fails where it takes longer than `within_s`."""
    began = time.monotonic()
    while not is_true():
        assert time.monotonic() - began < within_s, f"not in {within_s:g} s: {what}"
        time.sleep(every_s)
    return time.monotonic() - began


def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM, within_s: float = 40) -> None:
    """End a process of ours, by force where it takes too long."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def is_broker_up(home: Home) -> bool:
    """Whether its broker answers."""
    try:
        wait_for_broker(home.bootstrap, 0.5)
    except BrokerUnavailable:
        return False
    return True


def is_streaming(home: Home, pid: int) -> bool:
    """Whether both queries of this very stream run."""
    beat = read_heartbeat(home.path / "run", STREAM)
    return beat is not None and beat.pid == pid and {"events", "live"} <= beat.details["queries"].keys()


def is_one_sentence(said: str) -> bool:
    """Whether standard error holds one error of ours and nothing else: no traceback, no noise of a library."""
    return re.fullmatch(r"error: [^\n]+[.)]", said.strip()) is not None
