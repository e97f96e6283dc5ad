"""Finds services that hang: supervisor sees an exit, only a heartbeat shows a standstill."""

import os
import signal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import structlog

from bike_assets.heartbeats import BEATING, FRESH_S, read_heartbeat

log = structlog.get_logger()

FIRST_BEAT_S = 120.0
"""How long a service may take from its start to its first heartbeat."""


def kill_hanging(run: Path, pids: Mapping[str, int], now: datetime) -> list[str]:
    """Kill each running service that was silent too long; supervisor starts it again.

    `pids` are the processes of the services that run, by name.
    """
    killed = []
    for service in BEATING:
        if service in pids and _is_silent(run, service, pids[service], now):
            log.error("service hangs, killed", service=service, pid=pids[service])
            os.kill(pids[service], signal.SIGKILL)
            killed.append(service)
    return killed


def _is_silent(run: Path, service: str, pid: int, now: datetime) -> bool:
    try:
        started = datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC)
    except psutil.NoSuchProcess:
        return False
    beat = read_heartbeat(run, service)
    if beat is None or beat.pid != pid or beat.at < started:
        return now - started > timedelta(seconds=FIRST_BEAT_S)
    return beat.age_s(now) > FRESH_S
