"""The page under a real server on a port of its own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import uvicorn

from bike_assets.dashboard.app import Heartbeat, PageServer, create_page
from bike_assets.dashboard.events import Broadcaster
from bike_assets.dashboard.feed import Feed

DAGSTER = "http://127.0.0.1:3000/?a=1&b=2"


class Served(NamedTuple):
    """Where the page is, and the half of it that sends."""

    port: int
    broadcaster: Broadcaster

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serve(feed: Feed, heartbeat: Heartbeat = lambda _: None) -> Iterator[Served]:
    """Run the page over a feed until the block ends."""
    app = create_page(feed, DAGSTER, heartbeat)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=2)
    server = PageServer(config, app.state.broadcaster)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Served(listener.getsockname()[1], app.state.broadcaster)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
