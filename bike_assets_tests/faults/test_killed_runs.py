"""kill -9 of what a run hangs on: nothing stays STARTED, and the run is started again and succeeds."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from bike_assets.local.home import instance_settings
from bike_assets_tests.journeys.homes import BIN, Home, home, wait_until

READY_S, ENDS_S = 60, 60
GOING = {"STARTING", "STARTED", "CANCELING", "QUEUED", "NOT_STARTED"}

LAUNCH = """mutation { launchRun(executionParams: {selector: {repositoryLocationName: "tests",
  repositoryName: "__repository__", jobName: "waiting"}}) { ... on LaunchRunSuccess { run { runId } }
  ... on Error { message } } }"""
RUNS = "{ runsOrError { ... on Runs { results { runId rootRunId status tags { key value } } } } }"


class ControlRoom:
    """A webserver and a daemon over one instance, as `bike up` starts them, with a code location of the test's."""

    def __init__(self, made: Home) -> None:
        self.home = made
        self.url = made.url("DAGSTER_PORT")
        dagster_home = made.path / "dagster"
        dagster_home.mkdir()
        (dagster_home / "dagster.yaml").write_text(instance_settings())
        code = Path(__file__).parent / "waiting_job.py"
        self._workspace = made.path / "workspace.yaml"
        location = f"{{relative_path: {code}, location_name: tests}}"
        self._workspace.write_text(f"load_from: [{{python_file: {location}}}]\n")
        made.environment["DAGSTER_HOME"] = str(dagster_home)
        self.daemon = 0

    def start(self) -> str:
        """Start both as `bike up` does, and what it ended before."""
        ended = self._end_orphans()
        self.start_daemon()
        self.home.start(
            "-h", "127.0.0.1", "-p", self.home.ports["DAGSTER_PORT"], "-w", self._workspace,
            command=(str(BIN / "dagster-webserver"),), log="webserver",
        )  # fmt: skip
        wait_until(self._answers, READY_S, "the webserver answers")
        return ended

    def start_daemon(self) -> None:
        command = (str(BIN / "dagster-daemon"),)
        self.daemon = self.home.start("run", "-w", self._workspace, command=command, log="daemon").pid

    def _end_orphans(self) -> str:
        done = subprocess.run([sys.executable, "-m", "bike_assets.defs.orphans"], env=self.home.environment,
                              cwd=self.home.directory, capture_output=True, text=True, check=True)
        return done.stderr

    def _answers(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{self.url}/server_info", timeout=1).ok
        return False

    def ask(self, query: str) -> Any:
        return requests.post(f"{self.url}/graphql", json={"query": query}, timeout=30).json()["data"]

    def launched(self) -> str:
        """A run that waits, its process at work."""
        (self.home.path / "go").unlink(missing_ok=True)
        (self.home.path / "workers").unlink(missing_ok=True)
        answer = self.ask(LAUNCH)["launchRun"]
        assert "run" in answer, answer
        run_id: str = answer["run"]["runId"]
        wait_until(lambda: bool(self.workers()), READY_S, "the run's process is at work")
        return run_id

    def workers(self) -> list[int]:
        """The processes of the runs since the last launch."""
        note = self.home.path / "workers"
        return [int(line) for line in note.read_text().split()] if note.exists() else []

    def runs_of(self, root: str) -> list[str]:
        """The states of a run and of those that were started in its place, the oldest first."""
        found = self.ask(RUNS)["runsOrError"]["results"]
        return [each["status"] for each in reversed(found) if root in {each["runId"], each["rootRunId"]}]

    def ends_well(self, root: str) -> None:
        """Nothing goes on for ever: the run failed once, and was done again."""
        (self.home.path / "go").touch()
        wait_until(lambda: self.runs_of(root) == ["FAILURE", "SUCCESS"], ENDS_S, "it was started again and succeeded")
        assert not GOING & {each["status"] for each in self.ask(RUNS)["runsOrError"]["results"]}


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlRoom]:
    with home(tmp_path_factory.mktemp("runs")) as made:
        room = ControlRoom(made)
        room.start()
        yield room


def test_a_run_whose_process_is_killed_is_started_again(room: ControlRoom) -> None:
    run = room.launched()
    kill(*room.workers())
    room.ends_well(run)


def test_a_run_outlives_its_daemon(room: ControlRoom) -> None:
    run = room.launched()
    kill(room.daemon)
    (room.home.path / "go").touch()
    wait_until(lambda: room.runs_of(run) == ["SUCCESS"], ENDS_S, "it went on to its end")


def test_when_all_are_killed_the_next_start_ends_what_was_left_and_does_it_again(room: ControlRoom) -> None:
    room.start_daemon()
    run = room.launched()
    while left := room.home.processes():
        kill(*(each.pid for each in left))
        psutil.wait_procs(left, timeout=5)
    assert room.start() == f"run {run} was ended: its process is gone\n"
    room.ends_well(run)
