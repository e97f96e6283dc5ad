"""What a code server of Dagster's does to start a run, and no more of it: `python code_server.py api grpc CASE`.

It answers with a line of JSON.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import psutil
from dagster._grpc.server import DagsterApiServer

from bike_assets.defs import warmed
from bike_assets.defs.warm import CONTEXT, fork_runs

_forkserver: Any = forkserver._forkserver
TOLD_S, ENDS_S = 60, 10


def tell(answers: Any) -> None:
    """In a run's process: what it is."""
    cold = [name for name in warmed.LOADED if name not in sys.modules]
    answers.put({"pid": os.getpid(), "parent": os.getppid(), "loaded_by": warmed.PID, "cold": cold})


def wait_for_ever(answers: Any) -> None:
    signal.alarm(TOLD_S)  # not quite: nobody would end it
    answers.put(os.getpid())
    signal.pause()


def end_in_order(answers: Any) -> None:
    """Until it is told to end, and then it takes its time."""
    signal.alarm(TOLD_S)
    # It may be told while it is still about to answer, or just before it waits: neither may be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    answers.put(os.getpid())
    signal.sigwait({signal.SIGTERM})
    time.sleep(0.5)
    answers.put("ended in order")


def begun(target: Callable[..., None]) -> tuple[Any, Any, Any]:
    """A process as Dagster starts a run's, what it first told, and where it tells more."""
    context = getattr(object.__new__(DagsterApiServer), CONTEXT)
    answers = context.Queue()
    process = context.Process(target=target, args=[answers])
    process.start()
    return process, answers.get(timeout=TOLD_S), answers


def told() -> dict[str, Any]:
    process, answer, _ = begun(tell)
    process.join(TOLD_S)
    return {**answer, "exit": process.exitcode, "server": os.getpid(), "warm": _forkserver._forkserver_pid}


def threads(pid: int) -> list[str]:
    """The names of a process's threads but its first."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [(each / "comm").read_text().strip() for each in tasks if each.name != f"{pid}"]


def kill_warm() -> None:
    """Kill the warm process, and wait for its end, without taking note of it in the place of Python."""
    os.kill(_forkserver._forkserver_pid, signal.SIGKILL)
    os.waitid(os.P_PID, _forkserver._forkserver_pid, os.WEXITED | os.WNOWAIT)


def two_runs() -> list[Any]:
    found = [told(), told()]
    return [*found, threads(_forkserver._forkserver_pid)]


def killed_between() -> list[Any]:
    first = told()
    kill_warm()
    return [first, told()]


def killed_at_work() -> list[Any]:
    process, pid, _ = begun(wait_for_ever)
    kill_warm()
    process.join(TOLD_S)
    ends = time.monotonic() + ENDS_S
    while (is_there := psutil.pid_exists(pid)) and time.monotonic() < ends:
        time.sleep(0.01)
    return [process.exitcode, is_there, told()]


def never_warm() -> list[Any]:
    """The warm process dies of what it loads, again and again."""
    _forkserver._stop()
    _forkserver.set_forkserver_preload(["bike_assets_tests.defs.ends_at_once"])
    return [told(), told()]


def before_a_run() -> list[Any]:
    return [_forkserver._forkserver_pid]


def told_to_end() -> list[Any]:
    """SIGTERM comes to the whole group, as the supervisor sends it."""
    process, _, answers = begun(end_in_order)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    process.join(TOLD_S)
    return [process.exitcode, answers.get(timeout=TOLD_S)]


CASES = {each.__name__: each for each in (two_runs, killed_between, killed_at_work, never_warm, before_a_run,
                                          told_to_end)}  # fmt: skip

if __name__ == "__main__":
    fork_runs()
    print(json.dumps(CASES[sys.argv[3]]()))  # noqa: T201
