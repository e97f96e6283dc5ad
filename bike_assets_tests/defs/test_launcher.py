"""Whether a run's process lives, and what is done at a start with runs whose process is gone."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus

from bike_assets.definitions import defs
from bike_assets.defs import launcher as module
from bike_assets.defs.executor import in_one_process
from bike_assets.defs.launcher import HOST_TAG, LAUNCHED_TAG, WatchedRunLauncher, Worker, place
from bike_assets.defs.orphans import end_orphans
from bike_assets_tests.conftest import CHECKOUT

HERE = {HOST_TAG: place()}
IN_A_CONTAINER = {HOST_TAG: f"{place().rpartition('/')[0]}/1"}
STATUS = dg.DagsterRunStatus


@dg.op
def nothing() -> None:
    """Nothing."""


@dg.job
def idle() -> None:
    nothing()


@dg.op
def asks_for_its_place(context: dg.OpExecutionContext) -> None:
    run = context.instance.get_run_by_id(context.run_id)
    assert run is not None
    assert run.tags[HOST_TAG] == place()


@dg.job(executor_def=in_one_process)
def placed() -> None:
    asks_for_its_place()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    launcher = {"module": module.__name__, "class": WatchedRunLauncher.__name__}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides={"run_launcher": launcher}) as made:
        yield made


@pytest.fixture
def dead() -> int:
    """The pid of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """The tag of a run whose code server is gone."""
    return {LAUNCHED_TAG: json.dumps({"host": "localhost", "socket": str(tmp_path / "gone.sock")})}


def run_of(
    instance: dg.DagsterInstance, pid: int | None, tags: dict[str, str], status: STATUS = STATUS.STARTED
) -> dg.DagsterRun:
    run = instance.create_run_for_job(idle, status=status, tags=tags)
    if pid is not None:
        instance.report_engine_event(f"pid {pid}", run, EngineEventData.in_process(pid))
    return run


def says(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    return instance.run_launcher.check_run_worker_health(run).status


def test_the_instance_of_the_project_has_this_launcher() -> None:
    text = (Path(__file__).parents[2] / "dagster.yaml").read_text()
    assert f"module: {module.__name__}\n  class: {WatchedRunLauncher.__name__}\n" in text


def test_a_process_lives_and_one_that_took_over_its_number_is_another() -> None:
    now = datetime.now(UTC)
    assert Worker(os.getpid(), now).process is not None
    assert Worker(os.getpid(), now - timedelta(days=9)).process is None


def test_a_run_of_this_machine_runs_while_its_process_lives(instance: dg.DagsterInstance, dead: int) -> None:
    assert says(instance, run_of(instance, os.getpid(), HERE)) is WorkerStatus.RUNNING
    assert says(instance, run_of(instance, dead, HERE)) is WorkerStatus.NOT_FOUND


def test_of_a_run_of_another_machine_nothing_is_said(instance: dg.DagsterInstance, dead: int) -> None:
    assert says(instance, run_of(instance, dead, {HOST_TAG: "elsewhere"})) is WorkerStatus.RUNNING
    assert says(instance, run_of(instance, dead, IN_A_CONTAINER)) is WorkerStatus.RUNNING
    assert says(instance, run_of(instance, dead, {})) is WorkerStatus.RUNNING


def test_a_run_of_this_machine_before_its_last_boot_is_gone(instance: dg.DagsterInstance) -> None:
    before = {HOST_TAG: f"{socket.gethostname()}/00000000-0000-0000-0000-000000000000/4026531836"}
    assert says(instance, run_of(instance, os.getpid(), before)) is WorkerStatus.NOT_FOUND


def test_the_place_of_a_container_is_another_one() -> None:
    """Namespaces of users and processes are what a container is, as far as pids are concerned."""
    apart = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
    if subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this kernel or container lets nobody make namespaces, which are what is tested; CI's does")
    words = (sys.executable, "-c", "from bike_assets.defs.launcher import place; print(place())")
    within, beside = (
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=CHECKOUT).stdout.strip()
        for command in ([*apart, *words], words)
    )
    assert beside == place()
    assert within != place()
    assert within.partition("/")[0] == socket.gethostname()


def test_a_run_of_another_container_is_judged_by_its_code_server_and_not_by_a_pid_of_ours(
    instance: dg.DagsterInstance, nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of ours has the number that the run's had there."""
    monkeypatch.setattr(module, "SERVER_BACK_S", 0)
    for where in (IN_A_CONTAINER, {}):
        run = run_of(instance, os.getpid(), nowhere | where)
        assert says(instance, run) is WorkerStatus.NOT_FOUND, where


def test_a_run_tells_of_its_place_before_its_first_step(instance: dg.DagsterInstance) -> None:
    with dg.DagsterInstance.local_temp() as shared:
        result = dg.execute_job(dg.reconstructable(placed), shared)
        assert result.success
        run = shared.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[HOST_TAG] == place()
    assert defs.resolve_job_def("build_days").executor_def is in_one_process


def test_a_launched_run_runs_while_its_process_lives_whatever_became_of_its_code_server(
    instance: dg.DagsterInstance, nowhere: dict[str, str]
) -> None:
    assert says(instance, run_of(instance, os.getpid(), nowhere | HERE)) is WorkerStatus.RUNNING


def test_a_run_that_outlived_its_code_server_is_told_to_end_when_it_is_cancelled(
    instance: dg.DagsterInstance, nowhere: dict[str, str]
) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        run = run_of(instance, process.pid, nowhere | HERE)
        assert instance.run_launcher.terminate(run.run_id)
        assert process.wait() == -signal.SIGTERM
    cancelled = instance.get_run_by_id(run.run_id)
    assert cancelled is not None
    assert cancelled.status is STATUS.CANCELING


def test_the_command_of_a_run_that_no_code_server_launched_is_told_to_end_when_it_is_cancelled(
    instance: dg.DagsterInstance,
) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as command:
        run = run_of(instance, command.pid, HERE)
        assert instance.run_launcher.terminate(run.run_id)
        assert command.wait() == -signal.SIGTERM


def test_a_run_of_another_place_that_no_code_server_launched_cannot_be_cancelled_from_here(
    instance: dg.DagsterInstance,
) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as command:
        assert not instance.run_launcher.terminate(run_of(instance, command.pid, IN_A_CONTAINER).run_id)
        command.kill()
        assert command.wait() == -signal.SIGKILL


def test_a_run_whose_process_ends_while_it_is_cancelled_is_left_to_run_monitoring(
    instance: dg.DagsterInstance, nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        run = run_of(instance, process.pid, nowhere | HERE)

        def ends(*_: object) -> WorkerStatus:
            process.kill()
            process.wait()
            return WorkerStatus.UNKNOWN

        monkeypatch.setattr(WatchedRunLauncher, "_as_server_says", ends)
        assert instance.run_launcher.terminate(run.run_id)
    cancelled = instance.get_run_by_id(run.run_id)
    assert cancelled is not None
    assert cancelled.status is STATUS.CANCELING


def test_a_run_that_is_gone_with_its_code_server_is_left_until_there_is_another_one_to_retry_it(
    instance: dg.DagsterInstance, dead: int, nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(instance, dead, nowhere)
    assert says(instance, run) is WorkerStatus.RUNNING
    monkeypatch.setattr(module, "SERVER_BACK_S", 0)
    assert says(instance, run) is WorkerStatus.NOT_FOUND


def test_a_start_ends_all_runs_whose_process_is_gone_at_once(
    instance: dg.DagsterInstance, dead: int, nowhere: dict[str, str]
) -> None:
    wanted = {
        run_of(instance, dead, nowhere).run_id: STATUS.FAILURE,
        run_of(instance, None, nowhere, STATUS.STARTING).run_id: STATUS.FAILURE,
        run_of(instance, dead, HERE).run_id: STATUS.FAILURE,
        run_of(instance, dead, nowhere, STATUS.CANCELING).run_id: STATUS.CANCELED,
        run_of(instance, os.getpid(), nowhere | HERE).run_id: STATUS.STARTED,
        run_of(instance, None, {}, STATUS.NOT_STARTED).run_id: STATUS.NOT_STARTED,
    }
    ended = end_orphans(instance)
    assert {run.run_id: run.status for run in instance.get_runs()} == wanted
    assert set(ended) == {run_id for run_id, status in wanted.items() if status in {STATUS.FAILURE, STATUS.CANCELED}}
    assert end_orphans(instance) == []


def test_an_instance_with_another_launcher_is_left_alone(dead: int) -> None:
    with dg.DagsterInstance.ephemeral() as other:
        run_of(other, dead, HERE)
        assert end_orphans(other) == []
