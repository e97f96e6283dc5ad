"""What a piece of work costs: wall clock, and CPU time of this process and all that it started."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil


class Spent(NamedTuple):
    """Seconds by the wall clock, and CPU seconds of all processes together."""

    wall_s: float
    cpu_s: float

    def __add__(self, other: object) -> "Spent":
        if not isinstance(other, Spent):
            return NotImplemented
        return Spent(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)


def spent(work: Callable[[], object]) -> Spent:
    """Do the work and tell what it cost: a JVM, a broker and Python workers of Spark are counted with it."""
    cpu, wall = _cpu_s(), time.perf_counter()
    work()
    return Spent(time.perf_counter() - wall, _cpu_s() - cpu)


def warm(work: Callable[[], object], before: int = 1) -> Spent:
    """The cost of the work when it was done so often before."""
    for _ in range(before):
        work()
    return spent(work)


def _cpu_s() -> float:
    """CPU time so far of this process and those below it, and of those below it that have ended."""
    own = psutil.Process()
    return sum(sum(each.cpu_times()[:4]) for each in (own, *own.children(recursive=True)))


def peak_gb(word: str) -> float:
    """The most memory that the process below this one with the word in its command line ever had resident."""
    for process in psutil.Process().children(recursive=True):
        if word in " ".join(process.cmdline()):
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024 / 1e9
    raise LookupError(word)
