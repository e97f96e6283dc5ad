"""What a killed command left running, found by marks in the environment of all that is started."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "BIKE_SUPERVISED_HOME"
"""In the environment of all that a supervisor of ours starts."""

CHILD_MARK = "BIKE_CHILD_OF"
"""In the environment of a process that lives as long as the command that started it: `<pid>:<home>`."""

REAP_S = 10.0


def leftovers(home: Path) -> list[psutil.Process]:
    """Every living process that a supervisor of this home started, itself included, and every orphan of a command."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and _is_left(process, home):
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue  # not ours, or gone
    return found


def _is_left(process: psutil.Process, home: Path) -> bool:
    environment = process.environ()
    if environment.get(MARK) == str(home):
        return True
    parent, _, parents_home = environment.get(CHILD_MARK, "").partition(":")
    return parents_home == str(home) and parent != str(process.ppid())


def reap(home: Path) -> int:
    """End what a killed `bike up` left running; how many there were."""
    left = leftovers(home)
    for process in left:
        _signal(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(left, timeout=REAP_S)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=5)
    return len(left)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
