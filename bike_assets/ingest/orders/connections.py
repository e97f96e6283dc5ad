"""How long a connection may be silent: one that asks nothing takes nobody's place.

uvicorn closes a connection that is silent after an answer; one that has never asked, or asks a byte at a time, it keeps
for ever, and counts among those that are served.
"""

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

FIRST_S = 10.0
"""From a connection to the head of its first request."""

KEEP_ALIVE_S = 30
"""From an answer to the head of the next request."""

SILENT = 1_000
"""So many connections may be silent; one more, and those end that are so for longest."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with an end to waiting for a request."""

    _waits: asyncio.TimerHandle | None = None
    silent_since = 0.0
    """By the monotonic clock: uvloop's own has ms."""

    @property
    def is_silent(self) -> bool:
        """Whether no request of it is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(FIRST_S)
        if len(self.connections) > SILENT:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._wait(None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait(KEEP_ALIVE_S)

    def _wait(self, seconds: float | None) -> None:
        if self._waits is not None:
            self._waits.cancel()
        self.silent_since = time.monotonic()
        self._waits = None if seconds is None else self.loop.call_later(seconds, self._give_up, self.cycle)

    def _give_up(self, last: Any) -> None:
        """Close it where the last request is still the last."""
        if self.cycle is last and self.is_silent:
            self.transport.close()

    def _make_room(self) -> None:
        """Close those that are silent for longest, first of all those that have never asked."""
        silent = [each for each in self.connections if isinstance(each, Connection) and each.is_silent]
        silent.sort(key=lambda each: (each.cycle is not None, each.silent_since))
        for each in silent[: max(0, len(silent) - SILENT)]:
            each.transport.close()
