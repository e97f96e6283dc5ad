"""A viewer over a plain socket: it reads the stream's bytes as they come, or does not read at all."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

PATIENCE_S = 10.0


class Event(NamedTuple):
    """One server-sent event."""

    name: str
    data: Any


class PlainViewer:
    """A GET of the stream, whose events are read one by one. The end of the stream raises EOFError."""

    def __init__(self, port: int, *, receive_buffer: int | None = None, headers: str = "") -> None:
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(f"GET /api/events HTTP/1.1\r\nHost: page\r\n{headers}\r\n".encode())
        self._file = self._socket.makefile("rb")
        self.head = b"".join(iter(self._file.readline, b"\r\n")).decode()
        self._lines = self._read_lines()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._socket.close()

    def next(self) -> Event:
        """The next event, comments and `retry` left out."""
        name = ""
        for line in self._lines:
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            if line.startswith("data: "):
                return Event(name, json.loads(line.removeprefix("data: ")))
        raise EOFError

    def next_of(self, name: str) -> Any:
        """The data of the next event of this name."""
        while True:
            event = self.next()
            if event.name == name:
                return event.data

    def rest(self) -> list[Event]:
        """All events to the end of the stream."""
        found = []
        while True:
            try:
                found.append(self.next())
            except EOFError:
                return found

    def _read_lines(self) -> Iterator[str]:
        rest = b""
        for chunk in self._read_chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode() for line in lines)

    def _read_chunks(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield self._file.read(size)
            self._file.readline()

    def _chunk_size(self) -> int:
        line = self._file.readline()
        if not line:
            raise ConnectionAbortedError("the stream was cut off, not ended")
        return int(line, 16)


@contextmanager
def viewers(port: int, count: int) -> Iterator[list[PlainViewer]]:
    """Some viewers at once."""
    found = [PlainViewer(port) for _ in range(count)]
    try:
        yield found
    finally:
        for viewer in found:
            viewer.__exit__(None, None, None)
