"""How runs are launched: as Dagster does it on one machine, and with an eye on their processes.

Dagster's own launcher cannot say whether a run's process still lives. Its code server sees a worker die; but when
the server is killed too, nobody does, and the run would stay STARTED until its longest time is over.
"""

import socket
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import dagster as dg
import psutil
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

HOST_TAG = "bike/host"
"""On which machine a run is that no code server launched: nobody else can look after its process."""

LAUNCHED_TAG = ".dagster/grpc_info"
ANSWER_S = 5
CLOCKS_DIFFER = timedelta(seconds=2)
"""The system counts a process's age from its boot, which it knows to the second."""


class Worker(NamedTuple):
    """The process of a run, as it told Dagster when it began."""

    pid: int
    told_at: datetime

    @property
    def lives(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            began = datetime.fromtimestamp(process.create_time(), UTC)
            # A pid is used again: another process began after the worker had told of itself.
            return began <= self.told_at + CLOCKS_DIFFER and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's own launcher, which also knows whether a run's process lives: run monitoring asks it."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """RUNNING where the process lives, or where that cannot be told from here."""
        is_launched = LAUNCHED_TAG in run.tags
        if not is_launched and run.tags.get(HOST_TAG) != socket.gethostname():
            return CheckRunHealthResult(WorkerStatus.RUNNING, "not a process of this machine")
        worker = worker_of(self._instance, run.run_id)
        if worker is not None and worker.lives:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if is_launched and self._is_known_to_server(run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its code server, elsewhere, has it")
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process is gone")

    def _is_known_to_server(self, run_id: str) -> bool:
        from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
        from dagster._serdes import deserialize_value

        client = self._get_grpc_client_for_termination(run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return False
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=ANSWER_S)
        except Exception:  # whatever gRPC raises: it does not answer, so it is gone
            return False
        return bool(deserialize_value(answer, CanCancelExecutionResult).can_cancel)


def worker_of(instance: dg.DagsterInstance, run_id: str) -> Worker | None:
    """The run's process; None where it has not told of itself."""
    for entry in instance.all_logs(run_id, dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid = None if event is None else event.engine_event_data.metadata.get("pid")
        if pid is not None:
            return Worker(int(str(pid.value)), datetime.fromtimestamp(entry.timestamp, UTC))
    return None
