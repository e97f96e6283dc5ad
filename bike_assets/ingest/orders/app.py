"""The service that takes orders: `POST /orders`, answered with 2xx only once Kafka has committed them."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from bike_assets.ingest.orders.connections import KEEP_ALIVE_S, Connection
from bike_assets.ingest.orders.judging import Asked, Stored
from bike_assets.ingest.orders.limits import Rate, Unacceptable, read_body
from bike_assets.ingest.orders.reading import OrdersRefused, Problem, read_orders
from bike_assets.ingest.orders.told import ABOUT, OPENAPI, RESPONSES
from bike_assets.ingest.orders.writer import Busy, OrderWriter
from bike_assets.listening import listen
from bike_assets.model.errors import BrokerUnavailable

HEARTBEAT_S = 1.0
PATIENCE_S = 10.0
"""How long an order waits for Kafka before its sender is told to try again."""

REQUESTS = 1_000
"""So many are answered at a time; one more is told to come again."""

FILES = 4_096
"""What a process may have open: those connections, as many silent ones, and what is its own."""

GOODBYE_S = 12

_LATE = "Kafka did not confirm in time. Send it again: nothing is stored twice."

Heartbeat = Callable[[Mapping[str, Any]], None]


def create_orders(
    writer: OrderWriter, orders_per_second: int, days: int, heartbeat: Heartbeat = lambda _: None,
    on_end: Callable[[], None] = lambda: None,
) -> FastAPI:
    """The application. Its documentation at /docs needs no other host."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        writer.start()
        beating = asyncio.create_task(_beat(writer, heartbeat, on_end))
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.to_thread(writer.stop)

    app = FastAPIOffline(title="bike_assets, orders", description=ABOUT, version="1", lifespan=lifespan)
    rate = Rate(orders_per_second)

    @app.post("/orders", openapi_extra=OPENAPI, responses=RESPONSES, status_code=201, response_class=Response)
    async def take_orders(request: Request) -> Response:
        """Store an order, or a list of orders whole or not at all. The same again is answered 200 and stored once."""
        client = request.client.host if request.client else ""
        try:
            rate.begin(client)
            asked = _asked(await read_body(request), days, lambda size: rate.charge(client, size))
            rate.take(client, len(asked.orders))
            answer = asyncio.wrap_future(writer.put(asked, PATIENCE_S))
            stored = await asyncio.wait_for(asyncio.shield(answer), PATIENCE_S)
        except OrdersRefused as err:
            return _refused(err.status, err.problems)
        except Unacceptable as err:
            return _refused(err.status, [Problem("", err.says)], err.retry_after_s)
        except TimeoutError:
            return _refused(503, [Problem("", _LATE)], 1)
        except Busy:
            return _refused(503, [Problem("", "Too many orders wait. Send it again.")], 1)
        except BrokerUnavailable as err:
            return _refused(503, [Problem("", str(err))], 1)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        return _json(201 if stored.stored else 200, stored)

    app.add_middleware(Straight, path="/orders", handle=take_orders)

    @app.get("/healthz", include_in_schema=False)
    async def health() -> Response:
        is_well = writer.is_alive and writer.trouble is None
        return _json(200 if is_well else 503, {"is_alive": writer.is_alive, "trouble": writer.trouble})

    return app


class Straight:
    """Hands a POST to a path to what handles it. FastAPI's own way there takes longer than the order itself; the route
    stays, for the documentation and for every other method.

    More requests at a time than REQUESTS are told to come again, before anything of them is read.
    """

    def __init__(self, app: ASGIApp, path: str, handle: Callable[[Request], Awaitable[Response]]) -> None:
        self._app, self._path, self._handle = app, path, handle
        self._answering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        if self._answering >= REQUESTS:
            await _refused(503, [Problem("", "Too many requests at once. Send it again.")], 1)(scope, receive, send)
            return
        self._answering += 1
        try:
            response = await self._handle(Request(scope, receive))
            await response(scope, receive, send)
        finally:
            self._answering -= 1


def run_orders(
    host: str, port: int, bootstrap_servers: str, partitions: int, book: Path, orders_per_second: int,
    days: int, heartbeat: Heartbeat,
) -> None:  # fmt: skip
    """Serve until SIGINT or SIGTERM. Raises AlreadyRunning where the port is taken, Fenced where another took over."""
    remedy = "stop what listens there, or set BIKE_ORDERS_PORT."
    listener = listen(host, port, "The orders cannot be taken", remedy)
    writer = OrderWriter(bootstrap_servers, book, partitions, days)
    app = create_orders(writer, orders_per_second, days, heartbeat, lambda: setattr(server, "should_exit", True))
    _open_files(FILES)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, ws="none", http=Connection,
        timeout_keep_alive=KEEP_ALIVE_S, timeout_graceful_shutdown=GOODBYE_S, backlog=2048,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    if writer.failed is not None:
        raise writer.failed


def _asked(body: bytes, days: int, on_refused: Callable[[int], None]) -> Asked:
    """What a body asks for. Raises OrdersRefused, after who is to know was told how many bytes were read in vain."""
    try:
        return Asked.of(read_orders(body, datetime.now(UTC), days), is_list=body.lstrip()[:1] == b"[")
    except OrdersRefused:
        on_refused(len(body))
        raise


def _open_files(wanted: int) -> None:
    """Let this process have so many files open, where it may not yet and its hard limit allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def _beat(writer: OrderWriter, heartbeat: Heartbeat, on_end: Callable[[], None]) -> None:
    while writer.is_alive:
        since = writer.trouble_since
        heartbeat({"rows": {"topics/orders": writer.written}, "waiting": writer.waiting, "trouble": writer.trouble,
                   "trouble_since": since and since.isoformat()})  # fmt: skip
        await asyncio.sleep(HEARTBEAT_S)
    on_end()


def _refused(status: int, problems: list[Problem], retry_after_s: int | None = None) -> Response:
    first = problems[0]
    said = {
        "error": f"{first.field}: {first.says}" if first.field else first.says,
        "problems": [each._asdict() for each in problems],
    }
    response = _json(status, said)
    if retry_after_s is not None:
        response.headers["retry-after"] = str(retry_after_s)
    if status in {408, 413, 415}:
        response.headers["connection"] = "close"  # the rest of the body is not wanted
    return response


def _json(status: int, answer: Stored | dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")
