"""An HTTP adapter in which a deadline holds for an answer as a whole.

A library's read timeout starts anew with every byte: a server that drips could hold a thread for hours,
in its headers as much as in its body. Here every read of the socket gets only what is left.
"""

import http.client
import io
import socket
import threading
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_current = threading.local()


def set_deadline(at: float) -> None:
    """When what this thread asks next must be answered whole, by `time.monotonic()`."""
    _current.at = at


def seconds_left() -> float:
    """Until this thread's deadline. Raises TimeoutError once it is past."""
    left: float = _current.at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class DeadlineAdapter(HTTPAdapter):
    """Pools connections whose answers keep to the deadline of the thread that reads them."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


class _SocketReader(io.RawIOBase):
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(seconds_left())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_SocketReader(sock))


class _HttpConnection(HTTPConnection):
    response_class = _Response


class _HttpsConnection(HTTPSConnection):
    response_class = _Response


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection
