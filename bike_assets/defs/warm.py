"""Runs that are forked from a warm process, which has loaded what runs need.

Dagster starts a Python of its own for each run, which loads Dagster, our definitions, Spark's client and DuckDB: two
seconds and more before the first step. Here a code server has one process do that once, and each run is a fork of it
(Python's `forkserver`). What that process loads is in `warmed.py`. See docs/decisions/0029.
"""

import gc
import inspect
import logging
import os
import signal
import sys
from contextlib import suppress
from multiprocessing import forkserver, parent_process
from multiprocessing.context import ForkServerContext, ForkServerProcess, SpawnProcess
from pathlib import Path
from typing import Any

import psutil

log = logging.getLogger("dagster.code_server")

CONTEXT = "_mp_ctx"
"""Dagster's own name, not a public one, for what starts the processes of its code server's runs."""

PRELOADED = "bike_assets.defs.warmed"

_SET_PDEATHSIG = 1


class WarmProcess(ForkServerProcess):
    """A process that is forked from the warm one, or started as Dagster does it where that one cannot be had."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802
        try:
            return ForkServerProcess._Popen(process_obj)  # noqa: SLF001
        except (OSError, EOFError) as err:
            log.warning("A run is started without the warm process (%s); the next asks for it.", type(err).__name__)
            return SpawnProcess._Popen(process_obj)  # noqa: SLF001

    def run(self) -> None:
        """In the new process: its work."""
        _begin()
        super().run()


class WarmContext(ForkServerContext):
    """Python's own way to fork from a server, with the process above."""

    Process = WarmProcess


def _begin() -> None:
    """Where this process is a fork of the warm one: end if that one dies, and leave what it loaded alone.

    With the warm process gone, the code server takes its runs for dead and has them done again: none may go on.
    """
    import ctypes

    from bike_assets.defs import warmed

    if os.getpid() == warmed.PID:
        return  # loaded here, so this is no fork
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != warmed.PID:  # it died before that
        os.kill(os.getpid(), signal.SIGKILL)
    gc.freeze()  # the collector would look through all of it, and so copy its pages


def fork_runs() -> None:
    """In a code server of Dagster's on Linux, have its runs forked from a warm process; elsewhere nothing.

    Where Dagster does not start its runs in the way that is known here, they start as ever, and that is told.
    """
    if sys.platform != "linux" or not _is_code_server():
        return
    server = _known_server()
    if server is None:
        log.warning("This version of Dagster starts runs in a way that is not known here: they start cold.")
        return
    context = WarmContext()
    context.set_forkserver_preload([PRELOADED])
    # Each server has set its own by now, or does it: of the two, Python looks at a property first.
    setattr(server, CONTEXT, property(lambda _: context, lambda _, __: None))
    if not _is_webservers():
        forkserver.ensure_running()


def _is_code_server() -> bool:
    """Whether this process is one; one of its runs has its arguments too, but a parent known to Python."""
    return sys.argv[1:3] == ["api", "grpc"] and parent_process() is None


def _is_webservers() -> bool:
    """Whether a webserver started this code server for itself: then it launches no run where runs are queued.

    Its warm process would stand there for nothing. It is made with the first run that comes after all.
    """
    with suppress(psutil.Error):
        parent = psutil.Process().parent()
        words = [] if parent is None else parent.cmdline()[:2]
        return "dagster-webserver" in [Path(word).name for word in words]
    return False


def _known_server() -> type | None:
    """Dagster's code server, where its method that starts runs looks for the name."""
    try:
        from dagster._grpc.server import DagsterApiServer
    except ImportError:
        return None
    start = inspect.unwrap(getattr(DagsterApiServer, "StartRun", lambda: None))
    return DagsterApiServer if CONTEXT in start.__code__.co_names else None
