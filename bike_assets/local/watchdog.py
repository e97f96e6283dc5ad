"""Finds services that hang: supervisor sees an exit, only a heartbeat shows a standstill."""

import os
import signal
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import psutil
import structlog

from bike_assets.heartbeats import FRESH_S, Heartbeat, read_heartbeat

log = structlog.get_logger()


def kill_hanging(run: Path, services: Iterable[str], now: datetime | None = None) -> list[str]:
    """Kill each service whose process lives and whose heartbeat is old; supervisor starts it again."""
    killed = []
    for service in services:
        beat = read_heartbeat(run, service)
        if beat is None or not _wrote(beat):
            continue
        age_s = beat.age_s(now or datetime.now(UTC))
        if age_s > FRESH_S:
            log.error("service hangs, killed", service=service, pid=beat.pid, silent_s=round(age_s))
            os.kill(beat.pid, signal.SIGKILL)
            killed.append(service)
    return killed


def _wrote(beat: Heartbeat) -> bool:
    """Whether the process that has the heartbeat's pid is the one that wrote it."""
    try:
        return psutil.Process(beat.pid).create_time() <= beat.at.timestamp()
    except psutil.NoSuchProcess:
        return False
