"""Heartbeats: a small file a service, written each second, by which others see how it is."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bike_assets.files import write_whole

POLLER, STREAM, PAGE, ORDERS = "poller", "stream", "page", "orders"
SALES_SINK, ORDERS_SINK, MEMBERS_SINK = "sales-sink", "orders-sink", "members-sink"
SINKS = (SALES_SINK, ORDERS_SINK, MEMBERS_SINK)
BEATING = (POLLER, STREAM, PAGE, ORDERS, *SINKS)
"""The services that write a heartbeat."""

FRESH_S = 20.0
"""A service whose heartbeat is older hangs."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a service last said of itself."""

    service: str
    pid: int
    at: datetime
    details: Mapping[str, Any]
    after: datetime | None = None
    """When the process before it last beat, where that one did not end in order."""
    began_at: datetime | None = None
    """When the process began to beat."""

    def age_s(self, now: datetime) -> float:
        return (now - self.at).total_seconds()


def _path(run: Path, service: str) -> Path:
    return run / f"{service}.heartbeat.json"


def heartbeat(run: Path, service: str) -> Callable[[Mapping[str, Any]], None]:
    """A function that writes the service's heartbeat, whole or not at all."""
    path = _path(run, service)
    before = read_heartbeat(run, service)
    after = before and before.at.isoformat(timespec="milliseconds")
    began_at = datetime.now(UTC).isoformat(timespec="milliseconds")

    def beat(details: Mapping[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        said = {"pid": os.getpid(), "at": now, "after": after, "began_at": began_at, **details}
        write_whole(path, json.dumps(said, default=str).encode())

    return beat


def end_heartbeat(run: Path, service: str) -> None:
    """Called by a service that ends in order: a heartbeat that stays behind is that of a process that died."""
    _path(run, service).unlink(missing_ok=True)


def end_heartbeats(run: Path) -> None:
    """The same for all services of a home, where it is known that none of them runs."""
    for path in run.glob("*.heartbeat.json"):
        path.unlink(missing_ok=True)


def read_heartbeat(run: Path, service: str) -> Heartbeat | None:
    """The service's last heartbeat; None where it never wrote one."""
    try:
        details = json.loads(_path(run, service).read_text())
    except FileNotFoundError:
        return None
    pid, at = details.pop("pid"), datetime.fromisoformat(details.pop("at"))
    after, began_at = (_instant(details.pop(name, None)) for name in ("after", "began_at"))
    return Heartbeat(service, pid, at, details, after, began_at)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
