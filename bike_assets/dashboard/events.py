"""Server-sent events as plain ASGI: one encoded frame for all viewers, and none may hold up the others."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from bike_assets.dashboard.feed import Follower

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BATCH_S = 0.1
"""Frames are at least so far apart; the first after a quiet time goes at once."""

KEEP_ALIVE_S = 10.0
"""A sign of life where nothing else is sent: a comment, and the status for the page's clocks."""

FRAMES_KEPT = 64
"""Frames that wait for a viewer before it counts as too slow."""

GRACE_S = 30.0
"""How long a viewer that was dropped may take to be told so."""

RETRY_MS = 2_000
"""When a browser comes back after the connection broke."""

RELOAD = b"event: reload\ndata: {}\n\n"
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ],
}
_encode = msgspec.json.Encoder().encode


def frame(event: str, data: Any) -> bytes:
    """One event as it goes over the wire. JSON of msgspec's has no line breaks."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), _encode(data))


class Viewer:
    """The frames that wait for one browser. An empty one ends the stream."""

    def __init__(self, drop_task: Callable[[], object]) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue(FRAMES_KEPT)
        self._drop_task = drop_task

    def offer(self, data: bytes) -> bool:
        """Queue a frame; False where the viewer is too slow, which is then told to come back anew."""
        if not self.frames.full():
            self.frames.put_nowait(data)
            return True
        self.end(RELOAD)
        asyncio.get_running_loop().call_later(GRACE_S, self._drop_task)
        return False

    def end(self, *last: bytes) -> None:
        """Forget what waits, say the last words, and end."""
        while not self.frames.empty():
            self.frames.get_nowait()
        for data in (*last, b""):
            self.frames.put_nowait(data)


class Broadcaster:
    """Sends what a follower has to all viewers. A viewer begins with a snapshot, at each reconnect too.

    `Last-Event-ID` is not asked for: the snapshot holds the newest of everything, whatever was missed.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._viewers: set[Viewer] = set()
        self._changed = asyncio.Event()
        self._generation = -1
        self._snapshot: bytes | None = None
        self._status: tuple[object, ...] = ()

    @property
    def viewers(self) -> int:
        """How many are served."""
        return len(self._viewers)

    def wake(self) -> None:
        """There may be something to send; to be called in the loop's own thread."""
        self._changed.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), KEEP_ALIVE_S)
            if self._changed.is_set():
                self._changed.clear()
                self._send_news()
                await asyncio.sleep(BATCH_S)
            else:
                self._offer(b": keep-alive\n\n" + self._status_frame())

    def close(self) -> None:
        """End all streams; browsers come back when the page is up again."""
        for viewer in self._viewers:
            viewer.end()
        self._viewers.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one viewer until it leaves or is dropped."""
        serving = asyncio.create_task(self._serve(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((serving, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            serving.cancel()
            leaving.cancel()
            # A socket that broke while it was written to is a viewer that left.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await serving

    async def _serve(self, send: Send) -> None:
        task = asyncio.current_task()
        viewer = Viewer(task.cancel if task else lambda: None)
        await send(_START)
        first = self._snapshot_frame() + self._status_frame()
        # Nothing is awaited between the two lines: no change can fall between snapshot and queue.
        self._viewers.add(viewer)
        try:
            await _body(send, b"retry: %d\n\n" % RETRY_MS + first)
            while data := await viewer.frames.get():
                await _body(send, data)
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._viewers.discard(viewer)

    def _send_news(self) -> None:
        generation, changes = self._follower.take()
        if generation != self._generation:
            self._generation, self._snapshot = generation, None
            self._offer(self._snapshot_frame() + self._status_frame())
        elif changes:
            self._snapshot = None
            self._offer(frame("changes", changes) + self._status_frame())
        elif self._status != self._status_now():
            self._offer(self._status_frame())

    def _offer(self, data: bytes) -> None:
        for viewer in [viewer for viewer in self._viewers if not viewer.offer(data)]:
            self._viewers.discard(viewer)

    def _snapshot_frame(self) -> bytes:
        """Encoded once for all who come between two changes."""
        if self._snapshot is None:
            _, snapshot = self._follower.snapshot()
            self._snapshot = frame("snapshot", snapshot)
        return self._snapshot

    def _status_now(self) -> tuple[object, ...]:
        status = self._follower.status()
        return status.connection, status.reason, status.last_message_at

    def _status_frame(self) -> bytes:
        self._status = self._status_now()
        return frame("status", self._follower.status())


async def _body(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
