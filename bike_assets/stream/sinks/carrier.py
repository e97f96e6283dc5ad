"""What keeps something outside as the lake is: looks again and again, carries over, and says how that goes."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import structlog

from bike_assets.lake.tables import OpenTables
from bike_assets.model.errors import LakeBroken, SinkUnavailable

log = structlog.get_logger()

EVERY_S = 5.0
"""At least every 15 s is promised."""

BEAT_S = 1.0


class Carrier(ABC):
    """Carries over what has changed; says what keeps it, and since when all was there."""

    what: ClassVar[str]
    """What it carries, in a word of many."""

    def __init__(self, lake: Path) -> None:
        self._tables = OpenTables(lake)
        self.beat: Callable[[], None] = lambda: None
        """Said between the steps of a look: a database that is slow is no service that hangs."""
        self.written = 0
        self.trouble: str | None = None
        self.caught_up_at: datetime | None = None

    def carry(self) -> bool:
        """Look once; whether more could be brought at once. What fails is `trouble`, until a later look."""
        looked_at = datetime.now(UTC)
        try:
            has_more = self._look()
        except (SinkUnavailable, LakeBroken) as err:
            if self.trouble is None:
                log.warning("it waits to be carried over", what=self.what, reason=str(err))
            self.trouble = str(err)
            return False
        self.trouble = None
        if not has_more:
            self.caught_up_at = looked_at
        return has_more

    def report(self) -> dict[str, Any]:
        """What the heartbeat says."""
        at = self.caught_up_at
        return {"written": self.written, "trouble": self.trouble, "caught_up_at": at and at.isoformat()}

    @abstractmethod
    def _look(self) -> bool:
        """Bring what is new; whether there is more of it. Raises SinkUnavailable, LakeBroken."""


def run_sink(carrier: Carrier, heartbeat: Callable[[Mapping[str, Any]], None], stop: threading.Event) -> None:
    """Carry until `stop`."""
    carrier.beat = lambda: heartbeat(carrier.report())
    due = 0.0
    while not stop.is_set():
        if time.monotonic() >= due:
            has_more = carrier.carry()
            due = 0.0 if has_more else time.monotonic() + EVERY_S
        heartbeat(carrier.report())
        stop.wait(0.0 if due == 0.0 else BEAT_S)
