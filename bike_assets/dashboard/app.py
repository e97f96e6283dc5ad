"""The page's web application, and the service that runs it."""

import asyncio
import contextlib
import html
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from fastapi import FastAPI, Response
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bike_assets.dashboard.dictionary import dictionary_page
from bike_assets.dashboard.events import Broadcaster
from bike_assets.dashboard.feed import Feed, Follower
from bike_assets.dashboard.kafka import KafkaFeed
from bike_assets.dashboard.live import summaries
from bike_assets.listening import listen

STATIC = Path(__file__).parent / "static"
HEARTBEAT_S = 1.0
GOODBYE_S = 2
"""How long open requests may take once the page is told to stop."""

# The browser itself refuses what would leave the machine.
_POLICY = (
    b"default-src 'self'; img-src 'self' data: blob:; object-src 'none'; "
    b"base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]

Heartbeat = Callable[[Mapping[str, Any]], None]


def create_app(bootstrap_servers: str, dagster_url: str) -> FastAPI:
    """The page over Kafka. Nothing connects before the application starts."""
    return create_page(KafkaFeed(bootstrap_servers), dagster_url)


def create_page(feed: Feed, dagster_url: str, heartbeat: Heartbeat = lambda _: None) -> FastAPI:
    """The page over any feed; `app.state.broadcaster` and `app.state.follower` are its two halves."""
    follower = Follower(feed)
    broadcaster = Broadcaster(follower)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        follower.start(lambda: _call_in(loop, broadcaster.wake))
        sending = asyncio.create_task(broadcaster.run())
        beating = asyncio.create_task(_beat(follower, sending, heartbeat))
        try:
            yield
        finally:
            sending.cancel()
            beating.cancel()
            await asyncio.to_thread(follower.stop)

    # FastAPI's own documentation pages load their scripts from elsewhere.
    app = FastAPI(title="bike_assets, live", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.follower, app.state.broadcaster = follower, broadcaster
    app.add_middleware(_Headers)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.router.routes.append(Route("/api/events", endpoint=broadcaster, methods=["GET"]))
    _add_answers(app, follower, dagster_url)
    return app


def run_page(host: str, port: int, bootstrap_servers: str, dagster_url: str, heartbeat: Heartbeat) -> None:
    """Serve until SIGINT or SIGTERM. `heartbeat` is called each second while the page follows Kafka.

    Raises AlreadyRunning where the port is taken.
    """
    listener = listen(host, port, "The page cannot listen", "stop what does, or set BIKE_PAGE_PORT.")
    app = create_page(KafkaFeed(bootstrap_servers), dagster_url, heartbeat)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=GOODBYE_S
    )
    PageServer(config, app.state.broadcaster).run(sockets=[listener])


class PageServer(uvicorn.Server):
    """Ends the viewers' streams before it waits for them: by themselves they never end."""

    def __init__(self, config: uvicorn.Config, broadcaster: Broadcaster) -> None:
        super().__init__(config)
        self._broadcaster = broadcaster

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, viewers first."""
        self._broadcaster.close()
        await super().shutdown(sockets)


def _add_answers(app: FastAPI, follower: Follower, dagster_url: str) -> None:
    """The page itself, and what can be asked once."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    page = page.replace("{{dagster_url}}", html.escape(dagster_url, quote=True))

    @app.get("/", response_class=HTMLResponse)
    async def index() -> HTMLResponse:
        return HTMLResponse(page)

    told = dictionary_page()

    @app.get("/dictionary", response_class=HTMLResponse)
    async def data_dictionary() -> HTMLResponse:
        return HTMLResponse(told)

    @app.get("/api/snapshot")
    async def snapshot() -> Response:
        return _json(follower.snapshot()[1])

    @app.get("/api/systems")
    async def systems() -> Response:
        return _json(follower.look(partial(summaries, now=datetime.now(UTC))))

    @app.get("/healthz")
    async def health() -> Response:
        is_alive = follower.is_alive
        answer = {"is_alive": is_alive, **msgspec.structs.asdict(follower.status())}
        return _json(answer, 200 if is_alive else 503)


def _json(answer: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


def _call_in(loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(wake)


async def _beat(follower: Follower, sending: asyncio.Task[None], heartbeat: Heartbeat) -> None:
    while True:
        if follower.is_alive and not sending.done():
            heartbeat({"rows": {"serving/page": follower.messages}})
        await asyncio.sleep(HEARTBEAT_S)


class _Headers:
    """Adds the page's headers to every answer; files are asked for anew, so that an update is seen."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", []))
                names = {name for name, _ in given}
                cache = [] if b"cache-control" in names else [(b"cache-control", b"no-cache")]
                message = {**message, "headers": [*given, *_HEADERS, *cache]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
