"""How far the stream is behind the topics: in messages, and since when."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bike_assets.model.errors import BrokerUnavailable, SomethingMissing
from bike_assets.stream.offsets import Offsets, lag

ASK_S = 10.0


class Behind:
    """Asks for the topics' ends in the background: a broker that does not answer must hold up no heartbeat."""

    def __init__(self, ends: Callable[[], Offsets], now: datetime) -> None:
        self._ends = ends
        self._caught_up_at = now
        self._has_caught_up = False
        self._newest: tuple[datetime, Offsets] | None = None
        self._wanted: tuple[datetime, Offsets] | None = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="behind", daemon=True).start()

    def ask(self, now: datetime) -> None:
        """Note where the topics end."""
        try:
            self._newest = now, self._ends()
        except (BrokerUnavailable, SomethingMissing):
            self._newest = None  # then nobody knows, and nothing is written either

    def report(self, done: Offsets) -> dict[str, Any]:
        """What the heartbeat says: `caught_up_at`, when the topics held nothing that the tables lack now.

        Where it `has_caught_up` never since its start, that is its start: until then nobody knows.
        """
        newest = self._newest
        self._wanted = self._wanted or newest
        if self._wanted is not None and lag(done, self._wanted[1]) == 0:
            self._caught_up_at, self._has_caught_up = self._wanted[0], True
            self._wanted = newest
        messages = None if newest is None else lag(done, newest[1])
        return {"messages": messages, "caught_up_at": self._caught_up_at.isoformat(),
                "has_caught_up": self._has_caught_up}  # fmt: skip

    def _run(self) -> None:
        while True:
            self.ask(datetime.now(UTC))
            time.sleep(ASK_S)
