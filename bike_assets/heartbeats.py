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

FIRST_BEAT_S = 120.0
"""How long a service may take from its start to its first heartbeat."""


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


def note_start(run: Path, service: str) -> None:
    """Called before a service does anything that can fail or hang: it should beat soon.

    Who starts again before it ever came to beat goes on with the start before: it has been starting since then.
    """
    if starting_since(run, service) is None:
        run.mkdir(parents=True, exist_ok=True)
        write_whole(_start_path(run, service), datetime.now(UTC).isoformat(timespec="milliseconds").encode())


def starting_since(run: Path, service: str) -> datetime | None:
    """Since when a service is to come to its first heartbeat; None where it did, or nobody started it."""
    try:
        since = datetime.fromisoformat(_start_path(run, service).read_text())
    except FileNotFoundError:
        return None
    beat = read_heartbeat(run, service)
    return None if beat is not None and beat.at >= since else since


def _start_path(run: Path, service: str) -> Path:
    return run / f"{service}.start"


def end_heartbeat(run: Path, service: str) -> None:
    """Called by a service that ends in order: a heartbeat that stays behind is that of a process that died."""
    # The start goes first: without its heartbeat it would be one that came to nothing.
    _start_path(run, service).unlink(missing_ok=True)
    _path(run, service).unlink(missing_ok=True)


def end_heartbeats(run: Path) -> None:
    """The same for all services of a home, where it is known that none of them runs."""
    for pattern in ("*.start", "*.heartbeat.json"):
        for path in run.glob(pattern):
            path.unlink(missing_ok=True)


def read_heartbeat(run: Path, service: str) -> Heartbeat | None:
    """The service's last heartbeat; None where it never wrote one, or a power cut left an empty one."""
    try:
        details = json.loads(_path(run, service).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    pid, at = details.pop("pid"), datetime.fromisoformat(details.pop("at"))
    after, began_at = (_instant(details.pop(name, None)) for name in ("after", "began_at"))
    return Heartbeat(service, pid, at, details, after, began_at)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
