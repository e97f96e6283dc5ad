"""Finds services that hang: whoever starts them again sees an exit, only a heartbeat or an answer a standstill."""

import os
import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import structlog

from bike_assets.heartbeats import BEATING, FIRST_BEAT_S, FRESH_S, read_heartbeat

log = structlog.get_logger()


class _Machine:
    """Whether silence can be held against anybody: after the machine stood still, as one that slept, all have been
    silent, and are given their time anew.
    """

    def __init__(self) -> None:
        self._looked_at: datetime | None = None
        self._awake_at: datetime | None = None

    def was_awake(self, now: datetime) -> bool:
        """Whether it was for long enough. To be asked at each look, for it is told by their distance."""
        if self._looked_at is not None and now - self._looked_at > timedelta(seconds=FRESH_S / 2):
            self._awake_at = now
        self._looked_at = now
        return self._awake_at is None or now - self._awake_at >= timedelta(seconds=FRESH_S)


class Watch:
    """Looks at the heartbeats in `run`, again and again."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._machine = _Machine()

    def kill_hanging(self, pids: Mapping[str, int], now: datetime) -> list[str]:
        """Kill each running service that was silent too long; it is started again.

        `pids` are the processes of the services that run, by name.
        """
        if not self._machine.was_awake(now):
            return []
        killed = [each for each in BEATING if each in pids and self._is_hanging(each, pids[each], now)]
        for service in killed:
            _kill(service, pids[service])
        return killed

    def _is_hanging(self, service: str, pid: int, now: datetime) -> bool:
        beat = read_heartbeat(self._run, service)
        return _is_silent(pid, None if beat is None else (beat.pid, beat.at), now)


class Asked:
    """A service that writes no heartbeat, and is asked for an answer instead."""

    def __init__(self, service: str, answers: Callable[[], bool]) -> None:
        self._service = service
        self._answers = answers
        self._machine = _Machine()
        self._last: tuple[int, datetime] | None = None

    def kill_hanging(self, pids: Mapping[str, int], now: datetime) -> bool:
        """Kill it where it runs and has not answered for too long; whether that was so."""
        was_awake = self._machine.was_awake(now)
        pid = pids.get(self._service)
        if pid is None:
            return False
        if self._answers():
            self._last = pid, now
        elif was_awake and _is_silent(pid, self._last, now):
            _kill(self._service, pid)
            return True
        return False


def _is_silent(pid: int, last: tuple[int, datetime] | None, now: datetime) -> bool:
    """Whether this process was silent too long, `last` being who gave the last sign of life, and when."""
    try:
        started = datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC)
    except psutil.NoSuchProcess:
        return False
    if last is None or last[0] != pid or last[1] < started:
        return now - started > timedelta(seconds=FIRST_BEAT_S)
    return now - last[1] > timedelta(seconds=FRESH_S)


def _kill(service: str, pid: int) -> None:
    log.error("service hangs, killed", service=service, pid=pid)
    os.kill(pid, signal.SIGKILL)
