"""How runs are launched: as Dagster does it on one machine, and with an eye on their processes.

Dagster's own launcher cannot say whether a run's process still lives. Its code server sees a worker die; but when
the server is killed too, nobody does, and the run would stay STARTED until its longest time is over.
"""

import socket
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import psutil
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

HOST_TAG = ".dagster/bike_host"
"""The place of a run's process: only there does its number mean anything. The UI hides tags of this beginning."""

BOOT_ID, PID_NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")

LAUNCHED_TAG = ".dagster/grpc_info"
ANSWER_S = 5
SERVER_BACK_S = 75.0
"""Dagster's daemon looks once a minute after code servers that it started; a supervisor is quicker."""

CLOCKS_DIFFER = timedelta(seconds=2)
"""The system counts a process's age from its boot, which it knows to the second."""


def place() -> str:
    """This machine since its boot, and this container: where processes are numbered together."""
    try:
        boot, numbers = BOOT_ID.read_text().strip(), PID_NAMESPACE.stat().st_ino
    except OSError:  # no Linux, and so no container either
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{numbers}"


class Worker(NamedTuple):
    """The process of a run, as it told Dagster when it began."""

    pid: int
    told_at: datetime

    @property
    def process(self) -> psutil.Process | None:
        """The process itself while it lives, which can be no other one later."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            began = datetime.fromtimestamp(process.create_time(), UTC)
            # A pid is used again: another process began after the worker had told of itself.
            if began <= self.told_at + CLOCKS_DIFFER and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's own launcher, which also knows whether a run's process lives: run monitoring asks it."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives. RUNNING also for a while where it is gone with its code server:

        Dagster gives up a retry for which it has no code server; there is a new one within SERVER_BACK_S.
        """
        status = self.process_of(run)
        if status is WorkerStatus.UNKNOWN:
            gone_at = self._gone_at.setdefault(run.run_id, time.monotonic())
            status = WorkerStatus.RUNNING if time.monotonic() - gone_at < SERVER_BACK_S else WorkerStatus.NOT_FOUND
        return CheckRunHealthResult(status, "its process is gone" if status is WorkerStatus.NOT_FOUND else None)

    @cached_property
    def _gone_at(self) -> dict[str, float]:
        """When each run was first seen without a process and without a code server."""
        return {}

    def process_of(self, run: dg.DagsterRun) -> WorkerStatus:
        """RUNNING where the process lives or that cannot be told from here, NOT_FOUND where it is gone.

        Of a process of another place, or one that has not told of its place yet, the code server that launched it
        knows; nobody does where none did, as of a `bike build` in another container. UNKNOWN where it is gone and
        that code server does not answer either.
        """
        is_launched, there = LAUNCHED_TAG in run.tags, run.tags.get(HOST_TAG)
        if there == place():
            if self._living(run) is not None:
                return WorkerStatus.RUNNING
        elif not is_launched and not _is_before_boot(there):
            return WorkerStatus.RUNNING
        return self._as_server_says(run.run_id) if is_launched else WorkerStatus.NOT_FOUND

    def terminate(self, run_id: str) -> bool:
        """Have the run cancelled by the code server that started it; where that is gone, tell the run's process.

        So is a `bike build` told, which no code server launched: its process is the command itself.
        """
        run = self._instance.get_run_by_id(run_id)
        process = self._living(run) if run is not None and not run.is_finished else None
        if run is None or process is None or self._as_server_says(run_id) is WorkerStatus.RUNNING:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        with suppress(psutil.NoSuchProcess):  # run monitoring ends the run then
            process.terminate()
        return True

    def _living(self, run: dg.DagsterRun) -> psutil.Process | None:
        """The run's process, where it is of this place and lives."""
        worker = worker_of(self._instance, run.run_id) if run.tags.get(HOST_TAG) == place() else None
        return None if worker is None else worker.process

    def _as_server_says(self, run_id: str) -> WorkerStatus:
        """What the code server says that launched it: it can be another machine's, with processes of its own."""
        from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
        from dagster._serdes import deserialize_value

        client = self._get_grpc_client_for_termination(run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return WorkerStatus.NOT_FOUND
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=ANSWER_S)
        except dg.DagsterError:
            return WorkerStatus.UNKNOWN
        has_it = deserialize_value(answer, CanCancelExecutionResult).can_cancel
        return WorkerStatus.RUNNING if has_it else WorkerStatus.NOT_FOUND


def _is_before_boot(there: str | None) -> bool:
    """Whether it is this machine before it was started anew."""
    host, _, rest = (there or "").partition("/")
    own_host, _, own_rest = place().partition("/")
    return host == own_host and rest.partition("/")[0] != own_rest.partition("/")[0]


def worker_of(instance: dg.DagsterInstance, run_id: str) -> Worker | None:
    """The run's process; None where it has not told of itself."""
    for entry in instance.all_logs(run_id, dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid = None if event is None else event.engine_event_data.metadata.get("pid")
        if pid is not None:
            return Worker(int(str(pid.value)), datetime.fromtimestamp(entry.timestamp, UTC))
    return None
