"""Connections that say nothing, or too little, of a server that listens on loopback."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bike_assets.ingest.orders import app as orders
from bike_assets.ingest.orders import connections
from bike_assets.ingest.orders.app import Straight
from bike_assets.ingest.orders.connections import Connection
from bike_assets_tests.waiting import wait_until

ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Empty; where it is asked to wait, after a while."""
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A server whose patience is short, and which takes three silent connections."""
    monkeypatch.setattr(connections, "FIRST_S", 0.2)
    monkeypatch.setattr(connections, "KEEP_ALIVE_S", 0.2)
    monkeypatch.setattr(connections, "SILENT", 3)
    config = uvicorn.Config(_answer, log_config=None, http=Connection, timeout_keep_alive=60, lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        yield listener.getsockname()
        server.should_exit = True
        thread.join(10)


def is_ended(peer: socket.socket) -> bool:
    peer.settimeout(5)
    return peer.recv(1_000) == b""


def takes_no_more(peer: socket.socket) -> bool:
    """Whether it is ended, after one more byte of a method without end."""
    try:
        peer.sendall(b"\r")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def test_one_that_asks_nothing_is_ended(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as peer:
        assert is_ended(peer)


def test_one_that_asks_a_byte_at_a_time_is_ended_at_first_and_after_an_answer(address: tuple[str, int]) -> None:
    for first in (b"", ASKED):
        with socket.create_connection(address) as peer:
            if first:
                peer.sendall(first)
                assert peer.recv(1_000).startswith(b"HTTP/1.1 204")
            wait_until(lambda peer=peer: takes_no_more(peer))  # type: ignore[misc]


def test_one_that_waits_for_its_answer_is_not_ended(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as peer:
        peer.sendall(ASKED.replace(b"/ ", b"/slow ", 1) * 2)
        peer.settimeout(5)
        answers = b""
        while answers.count(b"204") < 2:
            said = peer.recv(1_000)
            assert said, "it was ended before its second answer"
            answers += said


def test_a_silent_one_more_ends_the_one_that_never_asked_and_not_the_ones_that_have(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FIRST_S", 60)
    monkeypatch.setattr(connections, "KEEP_ALIVE_S", 60)
    with ExitStack() as opened:
        asked, silent, again = (opened.enter_context(socket.create_connection(address)) for _ in range(3))
        for turn in range(2):
            for each in (asked, again):
                each.settimeout(5)
                each.sendall(ASKED)
                assert each.recv(1_000).startswith(b"HTTP/1.1 204")
            if turn == 0:
                opened.enter_context(socket.create_connection(address))
                assert is_ended(silent)


def test_requests_beyond_the_limit_are_told_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "REQUESTS", 1)
    scope = {"type": "http", "path": "/orders", "method": "POST", "headers": []}
    said: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        said.append(message)

    async def ask() -> None:
        answered = asyncio.Event()

        async def handle(_: object) -> Response:
            await answered.wait()
            return Response(status_code=201)

        straight = Straight(_answer, "/orders", handle)
        first = asyncio.create_task(straight(scope, None, send))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await straight(scope, None, send)  # type: ignore[arg-type]
        answered.set()
        await first
        await straight(scope, None, send)  # type: ignore[arg-type]

    asyncio.run(ask())
    starts = [each for each in said if each["type"] == "http.response.start"]
    assert [each["status"] for each in starts] == [503, 201, 201]
    assert (b"retry-after", b"1") in starts[0]["headers"]  # type: ignore[operator]
