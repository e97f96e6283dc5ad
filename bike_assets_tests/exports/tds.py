"""A server that speaks SQL Server's protocol (MS-TDS) as far as a login, and then no more: one that hangs at work."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PRELOGIN, LOGIN, BATCH = 0x12, 0x10, 0x01
_DONE = b"\xfd" + struct.pack("<HHQ", 0, 0, 0)
_NAME = "Microsoft SQL Server".encode("utf-16-le")
_ACK = b"\x01\x74\x00\x00\x04" + bytes([len(_NAME) // 2]) + _NAME + b"\x10\x00\x00\x00"
_ANSWERS = {
    # Its version, and that it encrypts nothing.
    PRELOGIN: b"\x00\x00\x0b\x00\x06\x01\x00\x11\x00\x01\xff\x10\x00\x00\x00\x00\x00\x02",
    LOGIN: b"\xad" + struct.pack("<H", len(_ACK)) + _ACK + _DONE,
    BATCH: _DONE,
}


@contextmanager
def hanging(seconds: float) -> Iterator[int]:
    """Its port. Whoever asks it something is left without an answer for so long, and then cut off."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, ended, seconds))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(server: socket.socket, ended: threading.Event, seconds: float) -> None:
    while not ended.is_set():
        with contextlib.suppress(OSError, EOFError):
            connection, _ = server.accept()
            with connection:
                while (asked := _read(connection)) is not None:
                    connection.sendall(asked)
                ended.wait(seconds)


def _read(connection: socket.socket) -> bytes | None:
    """The answer to what is said next; None to a question."""
    head = _exactly(connection, 8)
    kind, size = head[0], int.from_bytes(head[2:4], "big")
    body = _exactly(connection, size - len(head))
    if "select" in body.decode("utf-16-le", "ignore").lower():
        return None
    answer = _ANSWERS[kind]
    return struct.pack(">BBHHBB", 4, 1, len(answer) + 8, 0, 1, 0) + answer


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = connection.recv(size - len(found))
        if not more:
            raise EOFError
        found += more
    return found
