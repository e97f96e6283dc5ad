"""The service that keeps a database's sales as the lake's are."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import structlog

from bike_assets.lake.rows import read_rows
from bike_assets.lake.tables import OpenTables
from bike_assets.model.errors import LakeBroken, SinkUnavailable
from bike_assets.model.tables import LIVE_ORDERS_BY_SOURCE_STATE

log = structlog.get_logger()

EVERY_S = 5.0
"""At least every 15 s is promised."""

BEAT_S = 1.0


class Sink(Protocol):
    """Where the sales go."""

    def version(self) -> str | None:
        """What it holds."""
        ...

    def write(self, rows: Sequence[Mapping[str, Any]], version: str) -> None:
        """Make its rows these."""
        ...


class Carrier:
    """Carries the sales over where they have changed; says what keeps it, and since when all was there."""

    def __init__(self, lake: Path, sink: Sink) -> None:
        self._tables, self._sink = OpenTables(lake), sink
        self.written = 0
        self.trouble: str | None = None
        self.caught_up_at: datetime | None = None

    def carry(self) -> None:
        """Look once. What fails is `trouble`, until a later look."""
        looked_at = datetime.now(UTC)
        try:
            sales = self._tables.newest(LIVE_ORDERS_BY_SOURCE_STATE)
            version = f"{sales.metadata().id}/{sales.version()}"
            # Asked each time: the database may have been put back to an older state.
            if self._sink.version() != version:
                rows = read_rows(sales, LIVE_ORDERS_BY_SOURCE_STATE).to_pylist()
                self._sink.write(rows, version)
                self.written += len(rows)
        except (SinkUnavailable, LakeBroken) as err:
            if self.trouble is None:
                log.warning("the sales wait", reason=str(err))
            self.trouble = str(err)
            return
        self.trouble, self.caught_up_at = None, looked_at

    def report(self) -> dict[str, Any]:
        """What the heartbeat says."""
        at = self.caught_up_at
        return {"written": self.written, "trouble": self.trouble, "caught_up_at": at and at.isoformat()}


class Carries(Protocol):
    """What looks, carries over, and says how that goes."""

    def carry(self) -> bool | None:
        """Look once; True where more could be brought at once."""
        ...

    def report(self) -> dict[str, Any]: ...


def run_sink(carrier: Carries, heartbeat: Callable[[Mapping[str, Any]], None], stop: threading.Event) -> None:
    """Carry until `stop`."""
    due = 0.0
    while not stop.is_set():
        if time.monotonic() >= due:
            has_more = carrier.carry()
            due = 0.0 if has_more else time.monotonic() + EVERY_S
        heartbeat(carrier.report())
        stop.wait(0.0 if due == 0.0 else BEAT_S)
