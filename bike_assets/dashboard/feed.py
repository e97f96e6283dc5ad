"""From messages to viewers' frames: one thread reads a feed into the live state and keeps what is unsent."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

import structlog
from msgspec import Struct

from bike_assets.dashboard.live import Changes, LiveState, Message, Snapshot, Update, changes
from bike_assets.model.errors import BrokerUnavailable

log = structlog.get_logger()

T = TypeVar("T")

READ_S = 0.5
"""How long one read waits for a message: the time that stopping takes."""

RETRY_S = 1.0
"""Pause before the broker is asked again."""

STUCK_S = 30.0
"""A reader that has not come round for so long is not alive."""


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Written(NamedTuple):
    """A message and when it was written to its topic."""

    message: Message
    written_at: datetime


class Feed(Protocol):
    """Where messages come from. One reader; after BrokerUnavailable it is opened anew."""

    @property
    def is_caught_up(self) -> bool:
        """Whether all that was there has been read at least once since `open`."""

    def open(self) -> None:
        """Stand before the first message. Raises BrokerUnavailable."""

    def read(self, timeout_s: float) -> list[Written]:
        """The next messages, none where none came in time. Raises BrokerUnavailable."""

    def close(self) -> None:
        """Let go; also of a feed that is not open."""


class Connection(StrEnum):
    """How the page stands to Kafka."""

    LOADING = "loading"
    LIVE = "live"
    DOWN = "down"


class Status(Struct, frozen=True):
    """What the header says. Instants are epoch ms; `server_time` lets a viewer correct its clock."""

    connection: Connection
    reason: str | None
    last_message_at: int | None
    stations: int
    server_time: int


class Follower:
    """Follows a feed in a thread of its own, for as long as it is not stopped.

    Each time the feed is opened, the state is built anew from the first message and shown once it has
    caught up: the state from before stays on screen meanwhile, and nothing goes back in time.
    `generation` counts these new beginnings; a viewer of an older one needs a snapshot, not changes.
    `messages` counts what was read of Kafka since the start.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="page-feed", daemon=True)
        self._on_change: Callable[[], None] = lambda: None
        self._live = LiveState()
        self._pending: dict[tuple[bool, str], Update] = {}
        self._connection: Connection = Connection.LOADING
        self._reason: str | None = None
        self._last_message_at: datetime | None = None
        self._turned_at = time.monotonic()
        self.generation = 0
        self.messages = 0

    def start(self, on_change: Callable[[], None]) -> None:
        """Begin; `on_change` is called from the thread whenever there is something to send."""
        self._on_change = on_change
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopped.set()
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs and comes round."""
        return self._thread.is_alive() and time.monotonic() - self._turned_at < STUCK_S

    def status(self) -> Status:
        """How it stands now."""
        last = self._last_message_at
        return Status(
            connection=self._connection,
            reason=self._reason,
            last_message_at=None if last is None else round(last.timestamp() * 1000),
            stations=len(self._live.stations),
            server_time=time.time_ns() // 1_000_000,
        )

    def snapshot(self) -> tuple[int, Snapshot]:
        """Everything, and the generation that it is of."""
        with self._lock:
            return self.generation, self._live.snapshot()

    def look(self, question: Callable[[LiveState], T]) -> T:
        """Ask the live state something while it stands still."""
        with self._lock:
            return question(self._live)

    def take(self) -> tuple[int, Changes]:
        """What changed since the last time, and the generation that it belongs to."""
        with self._lock:
            taken, self._pending = self._pending, {}
            return self.generation, changes(taken.values())

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self._read_from_the_start()
            except BrokerUnavailable as err:
                self._say(Connection.DOWN, str(err))
                self._stopped.wait(RETRY_S)
            finally:
                self._feed.close()

    def _read_from_the_start(self) -> None:
        self._turned_at = time.monotonic()
        self._feed.open()
        self._say(Connection.LOADING, None)
        fresh = LiveState()
        while not self._stopped.is_set():
            self._turned_at = time.monotonic()
            written = self._feed.read(READ_S)
            if fresh is self._live:
                self._apply(written)
            else:
                for message, _ in written:
                    fresh.apply(message)
                if self._feed.is_caught_up:
                    self._show(fresh)
            self.messages += len(written)
            if written:
                self._last_message_at = max(self._last_message_at or _LONG_AGO, *(at for _, at in written))
                self._on_change()

    def _apply(self, written: list[Written]) -> None:
        with self._lock:
            for message, _ in written:
                update = self._live.apply(message)
                if update is not None:
                    self._pending[False, update.key] = update
            for update in self._live.settle():
                self._pending[True, update.key] = update

    def _show(self, fresh: LiveState) -> None:
        fresh.settle()
        with self._lock:
            self._live, self._pending = fresh, {}
            self.generation += 1
        self._say(Connection.LIVE, None)

    def _say(self, connection: Connection, reason: str | None) -> None:
        if (connection, reason) != (self._connection, self._reason):
            log.info("page feed", connection=connection.value, reason=reason)
        self._connection, self._reason = connection, reason
        self._on_change()
