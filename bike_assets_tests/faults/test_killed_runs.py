"""kill -9 of what a run hangs on: nothing stays STARTED, and the run is started again and succeeds.

One that is cancelled is not.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from bike_assets.local.control_room import (
    CODE_SERVER,
    DAEMON,
    WEBSERVER,
    control_room,
    is_code_server_up,
    write_workspace,
)
from bike_assets.local.home import CHECKOUT, dagster_home
from bike_assets.local.leftovers import leftovers
from bike_assets.local.ports import free_ports
from bike_assets.local.supervision import Supervision
from bike_assets.settings import load_settings
from bike_assets_tests.journeys.homes import wait_until
from bike_assets_tests.postgres import Postgres

READY_S, ENDS_S = 60, 120
GOING = {"STARTING", "STARTED", "CANCELING", "QUEUED", "NOT_STARTED"}

LAUNCH = """mutation { launchRun(executionParams: {selector: {repositoryLocationName: "bike_assets.definitions",
  repositoryName: "__repository__", jobName: "waiting"}}) { ... on LaunchRunSuccess { run { runId } }
  ... on Error { message } } }"""
CANCEL = 'mutation { terminateRun(runId: "%s") { __typename ... on Error { message } } }'
JOBS = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
  ... on RepositoryLocation { repositories { jobs { name } } } } } } } }"""
EVENTS = '{ logsForRun(runId: "%s") { ... on EventConnection { events { __typename } } } }'
RUNS = "{ runsOrError { ... on Runs { results { runId rootRunId status tags { key value } } } } }"


class ControlRoom:
    """Dagster as `bike up` starts it, with definitions of the test's, under a supervisor of its own."""

    def __init__(self, root: Path, record: str | None = None) -> None:
        self.settings = load_settings(home=root / "home", dagster_port=free_ports(1)[0])
        self.home, self._dagster = self.settings.home, dagster_home(self.settings)
        if record is not None:
            (self._dagster / "dagster.yaml").write_text((CHECKOUT / "dagster.yaml").read_text() + record)
        write_workspace(self.settings, self._dagster)
        self.supervision = Supervision(self.home)

    def start(self) -> str:
        """Start it as `bike up` does, and what it ended before."""
        ended = self._end_orphans()
        definitions = ("--python-file", str(Path(__file__).parent / "waiting_job.py"))
        programs = control_room(self.settings, self._dagster, {"BIKE_HOME": str(self.home)}, definitions)
        self.supervision.start(programs)
        for name in (CODE_SERVER, WEBSERVER):
            self.supervision.start_program(name)
        wait_until(self.is_ready, READY_S, "it is there")
        self.supervision.start_program(DAEMON)
        return ended

    def pid(self, name: str) -> int:
        """The process of one of its programs; 0 while there is none."""
        return self.supervision.pids().get(name, 0)

    def kill(self, name: str) -> None:
        """Kill one of its programs, and wait until there is another in its place."""
        killed = self.pid(name)
        kill(killed)
        wait_until(lambda: self.pid(name) not in {0, killed}, READY_S, f"{name} is started again")

    def tell(self, what: str, name: str) -> None:
        """Have the supervisor start or stop one of its programs, and wait until it did."""
        config = str(self.home / "run" / "supervisord.conf")
        subprocess.run([sys.executable, "-m", "supervisor.supervisorctl", "-c", config, what, name], check=True)

    def _end_orphans(self) -> str:
        done = subprocess.run([sys.executable, "-m", "bike_assets.defs.orphans"], text=True, check=True,
                              env=os.environ | {"DAGSTER_HOME": str(self._dagster)}, capture_output=True)  # fmt: skip
        return done.stderr

    def is_ready(self) -> bool:
        """Whether the code server answers, and the webserver has the definitions from it."""
        with suppress(requests.RequestException):
            return is_code_server_up(self.settings) and "waiting" in str(self.ask(JOBS))
        return False

    def ask(self, query: str) -> Any:
        return requests.post(f"{self.settings.dagster_ui}/graphql", json={"query": query}, timeout=30).json()["data"]

    def launched(self) -> str:
        """A run that waits, its process at work."""
        run_id = self.queued()
        wait_until(lambda: bool(self.workers()), READY_S, "the run's process is at work")
        return run_id

    def queued(self) -> str:
        """A run that will wait, put into the queue as the UI does."""
        (self.home / "go").unlink(missing_ok=True)
        (self.home / "workers").unlink(missing_ok=True)
        wait_until(self.is_ready, READY_S, "whatever was killed before is back")
        answer = self.ask(LAUNCH)["launchRun"]
        assert "run" in answer, answer
        return str(answer["run"]["runId"])

    def workers(self) -> list[int]:
        """The processes of the runs since the last launch."""
        note = self.home / "workers"
        return [int(line) for line in note.read_text().split()] if note.exists() else []

    def times_queued(self, run: str) -> int:
        """How often a run was put into the queue."""
        return json.dumps(self.ask(EVENTS % run)).count("RunEnqueuedEvent")

    def runs_of(self, root: str) -> list[str]:
        """The states of a run and of those that were started in its place, the oldest first."""
        found = self.ask(RUNS)["runsOrError"]["results"]
        return [each["status"] for each in reversed(found) if root in {each["runId"], each["rootRunId"]}]

    def cancel(self, run: str, worker: int) -> None:
        """Cancel a run as the UI does, and see that it ends."""
        assert self.ask(CANCEL % run)["terminateRun"] == {"__typename": "TerminateRunSuccess"}
        wait_until(lambda: self.runs_of(run) == ["CANCELED"], ENDS_S, "it was cancelled")
        has_ended(worker)

    def ends_well(self, root: str) -> None:
        """Nothing goes on for ever: the run failed once, and was done again."""
        self.goes_on(root, "FAILURE", "SUCCESS")

    def goes_on(self, root: str, *ends: str) -> None:
        """It need not wait any more: how it and those in its place end."""
        (self.home / "go").touch()
        wait_until(lambda: self.runs_of(root) == list(ends), ENDS_S, f"it ends: {ends}")
        assert not GOING & {each["status"] for each in self.ask(RUNS)["runsOrError"]["results"]}


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def has_ended(worker: int) -> None:
    """Wait until a run's process is gone: after its warm process was killed it goes on for a moment."""
    wait_until(lambda: not psutil.pid_exists(worker), ENDS_S, "its process ends")


def warm_process_of(worker: int) -> int:
    """The process that a run's was forked from."""
    warm = psutil.Process(worker).parent()
    assert warm is not None
    assert "multiprocessing.forkserver" in " ".join(warm.cmdline())
    return warm.pid


@contextmanager
def running(room: ControlRoom) -> Iterator[ControlRoom]:
    """It, from its start to the end of the block; whatever happened in it, nothing is left."""
    try:
        room.start()
        yield room
    finally:
        room.supervision.stop(last=DAEMON)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlRoom]:
    with running(ControlRoom(tmp_path_factory.mktemp("runs"))) as room:
        yield room


def test_a_run_whose_process_is_killed_is_started_again(room: ControlRoom) -> None:
    run = room.launched()
    kill(*room.workers())
    room.ends_well(run)


def test_a_run_whose_warm_process_is_killed_ends_with_it_and_is_started_again(room: ControlRoom) -> None:
    run = room.launched()
    (worker,) = room.workers()
    kill(warm_process_of(worker))
    has_ended(worker)
    room.ends_well(run)
    _, again = room.workers()
    assert again != worker


def test_a_run_that_is_cancelled_ends_and_what_it_said_is_kept(room: ControlRoom) -> None:
    run = room.launched()
    (worker,) = room.workers()
    room.cancel(run, worker)
    (said,) = (room.home / "dagster" / "storage" / run).rglob("*.out")
    assert {"a word of the run", "and of what it started"} <= set(said.read_text().splitlines())


def test_a_run_outlives_its_daemon(room: ControlRoom) -> None:
    run = room.launched()
    room.kill(DAEMON)
    room.goes_on(run, "SUCCESS")


def test_a_run_outlives_its_code_server_and_the_webserver_launches_the_next_from_another(room: ControlRoom) -> None:
    webserver, run = room.pid(WEBSERVER), room.launched()
    room.kill(CODE_SERVER)
    room.goes_on(run, "SUCCESS")
    wait_until(room.is_ready, READY_S, "the webserver has the definitions again")
    room.goes_on(room.launched(), "SUCCESS")
    assert room.pid(WEBSERVER) == webserver


def test_a_run_that_outlived_its_code_server_can_be_cancelled(room: ControlRoom) -> None:
    run = room.launched()
    (worker,) = room.workers()
    room.kill(CODE_SERVER)
    room.cancel(run, worker)


def test_a_run_that_is_killed_with_its_code_server_is_started_again(room: ControlRoom) -> None:
    run = room.launched()
    kill(*room.workers())
    room.kill(CODE_SERVER)
    room.ends_well(run)


def test_a_run_that_is_killed_with_its_code_server_and_the_daemon_is_started_again(room: ControlRoom) -> None:
    run = room.launched()
    kill(*room.workers(), room.pid(CODE_SERVER), room.pid(DAEMON))
    room.ends_well(run)


def test_a_run_in_the_queue_waits_for_a_code_server_that_is_away(room: ControlRoom) -> None:
    os.kill(room.pid(DAEMON), signal.SIGSTOP)
    run = room.queued()
    room.tell("stop", CODE_SERVER)
    os.kill(room.pid(DAEMON), signal.SIGCONT)
    wait_until(lambda: room.times_queued(run) > 1, ENDS_S, "it could not be launched, and is in the queue again")
    room.supervision.start_program(CODE_SERVER)
    room.goes_on(run, "SUCCESS")


def test_when_all_are_killed_the_next_start_ends_what_was_left_and_does_it_again(room: ControlRoom) -> None:
    run = room.launched()
    while left := leftovers(room.home):
        kill(*(each.pid for each in left))
        psutil.wait_procs(left, timeout=5)
    assert room.start() == f"run {run} was ended: its process is gone\n"
    room.ends_well(run)


def test_with_a_record_in_postgresql_it_is_the_same(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.url.replace("postgresql:", "postgresql+psycopg2:")  # as in docker/dagster.yaml
    record = f"\nstorage: {{postgres: {{postgres_url: '{url}'}}}}\n"
    with running(ControlRoom(tmp_path, record)) as room:
        for victim in (lambda worker: worker, warm_process_of):
            run = room.launched()
            (worker,) = room.workers()
            kill(victim(worker))
            has_ended(worker)
            room.ends_well(run)
    assert postgres.psql("SELECT count(*) FROM runs WHERE status = 'SUCCESS'") == "2"
