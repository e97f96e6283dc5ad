"""Durable orders: at 500 a second, one by one as fast as they are taken, and in batches of 100; over a local broker.

By themselves, and with the whole demo up, where a database shows the sales of orders that are sent meanwhile. The
senders are processes of their own on the same cores: what they take, the services do not get.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import psycopg
import requests

from bench.demo import demo, home_with_jars, is_page_live, wait_for
from bench.report import percentiles, result, say
from bike_assets.local.broker import LocalBroker, ensure_topics
from bike_assets.local.parts import jars, java
from bike_assets.local.ports import free_ports
from bike_assets.settings import load_settings
from bike_assets_tests.postgres import Postgres, postgres_server

SENDERS, CONNECTIONS, SECONDS, BATCH = 2, 48, 15.0, 100
STEADY = 500
STEADY_S = SENDERS * CONNECTIONS / STEADY
"""Between two requests of a connection."""
PROBES, PROBE_EVERY_S, SHOWN_WITHIN_S = 30, 1.7, 60.0
"""Orders of a source of their own, sent amid the steady load, each at another moment of the services' looks."""
_SERVICE = """
import sys
from pathlib import Path
from bike_assets.ingest.orders.app import run_orders
port, servers, book = sys.argv[1:]
run_orders("127.0.0.1", int(port), servers, 4, Path(book), 10**7, 90, lambda _: None)
"""


_MADE = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


_HEAD = b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Load(NamedTuple):
    """What a sender does over each connection: requests of so many orders, so far apart, or as fast as answered."""

    port: int
    name: str
    orders: int
    every_s: float
    seconds: float


def run() -> None:
    """Measure the service by itself, then with all the demo beside it."""
    alone()
    amid_the_demo()


def alone() -> None:
    """Over a broker and a service of the bench's own."""
    settings = load_settings()
    with (
        tempfile.TemporaryDirectory() as home,
        LocalBroker(Path(home), java(settings), jars(settings).kafka, *free_ports(2)) as broker,
    ):
        ensure_topics(broker.bootstrap, 4)
        (port,) = free_ports(1)
        command = [sys.executable, "-c", _SERVICE, str(port), broker.bootstrap, str(Path(home) / "orders.sqlite")]
        process = subprocess.Popen(command)
        try:
            _wait(port)
            measure(port, "alone")
        finally:
            process.terminate()
            process.wait(30)


def amid_the_demo() -> None:
    """With poller, stream, page, Dagster and the sink into a PostgreSQL at work."""
    with postgres_server(fsync="on") as database, home_with_jars() as made:
        made.environment |= {"BIKE_SALES_DATABASE": database.url, "BIKE_ORDERS_PER_SECOND": str(10**7)}
        with demo(made):
            wait_for("a station among the page's answers", lambda: is_page_live(made))
            port = int(made.ports["ORDERS_PORT"])
            _wait(port)
            made.answer("drain")
            measure(port, "demo")
            visible(port, database)


def measure(port: int, beside: str) -> None:
    """The three loads, each with a warm service."""
    send(port, "warm", 1, 0.0, 2.0)
    for name, orders, every_s in (("steady", 1, STEADY_S), ("single", 1, 0.0), ("batch", BATCH, 0.0)):
        say(f"orders, {beside}: {name}")
        seconds, took = send(port, name, orders, every_s, SECONDS)
        cuts = quantiles(took, n=100, method="inclusive")
        result("orders", beside=beside, load=name, orders_a_request=orders, requests=len(took),
               orders_per_s=round(len(took) * orders / seconds), p50_ms=round(cuts[49] * 1000, 1),
               p99_ms=round(cuts[98] * 1000, 1))  # fmt: skip


def visible(port: int, database: Postgres) -> None:
    """From the acknowledgement of an order to its sales' row in the database, amid the steady load."""
    say("orders, demo: visible")
    with ProcessPoolExecutor(SENDERS) as pool:
        # Its processes are there before the threads, which they would copy.
        loads = _loads(port, "beside", 1, STEADY_S, PROBES * PROBE_EVERY_S + SHOWN_WITHIN_S / 2)
        beside = [pool.submit(_sender, load) for load in loads]
        sent: dict[str, float] = {}
        sending = threading.Thread(target=_send_probes, args=(port, sent))
        sending.start()
        waited = _watch(database, sent)
        sending.join()
        for each in beside:
            each.result()
    result("orders", beside="demo", load="visible", probes=len(waited), **percentiles("visible", waited))


def _send_probes(port: int, sent: dict[str, float]) -> None:
    for number in range(PROBES):
        source = f"probe-{number}"
        raw = json.dumps({**_order(source), "source": source})
        headers = {"content-type": "application/json"}
        assert requests.post(f"http://127.0.0.1:{port}/orders", raw, headers=headers, timeout=30).status_code == 201
        sent[source] = time.monotonic()
        time.sleep(PROBE_EVERY_S)


def _watch(database: Postgres, sent: dict[str, float]) -> list[float]:
    """How long each probe took to be seen; an error where one is not."""
    seen: dict[str, float] = {}
    ends = time.monotonic() + PROBES * PROBE_EVERY_S + SHOWN_WITHIN_S
    with psycopg.connect(database.url, autocommit=True) as con:
        while len(seen) < PROBES:
            assert time.monotonic() < ends, f"{len(seen)} of {PROBES} probes were seen"
            found = con.execute("SELECT source FROM orders_by_source_state WHERE source LIKE 'probe-%'").fetchall()
            for (source,) in found:
                if source in sent:
                    seen.setdefault(source, time.monotonic() - sent[source])
            time.sleep(0.05)
    return list(seen.values())


def send(port: int, name: str, orders: int, every_s: float, seconds: float) -> tuple[float, list[float]]:
    """All senders at once; how long it took, and each request's time. A request that is not stored is an error."""
    began = time.monotonic()
    with ProcessPoolExecutor(SENDERS) as pool:
        took = [each for found in pool.map(_sender, _loads(port, name, orders, every_s, seconds)) for each in found]
    return max(seconds, time.monotonic() - began), took


def _loads(port: int, name: str, orders: int, every_s: float, seconds: float) -> list[Load]:
    return [Load(port, f"{name}-{number}", orders, every_s, seconds) for number in range(SENDERS)]


def _sender(load: Load) -> list[float]:
    """What one process sends, over some connections at once."""

    async def over_all() -> list[list[float]]:
        return await asyncio.gather(*(_connection(load, number) for number in range(CONNECTIONS)))

    return [each for found in asyncio.run(over_all()) for each in found]


async def _connection(load: Load, number: int) -> list[float]:
    """One request after the other, by as little code as HTTP takes: a library would take what the service needs."""
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    took: list[float] = []
    began = time.monotonic()
    due = began + number * load.every_s / CONNECTIONS
    while (now := time.monotonic()) - began < load.seconds:
        if load.every_s:
            await asyncio.sleep(max(due - now, 0))
        raw = json.dumps([_order(f"{load.name}-{number}-{len(took)}-{n}") for n in range(load.orders)]).encode()
        asked = time.monotonic()
        writer.write(_HEAD % len(raw) + raw)
        head = await reader.readuntil(b"\r\n\r\n")
        said = await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
        assert head.startswith(b"HTTP/1.1 201"), said
        # From when it was due: a service that is late makes the next ones late too.
        took.append(time.monotonic() - (due if load.every_s else asked))
        due += load.every_s
    writer.close()
    return took


def _order(order_id: str) -> dict[str, object]:
    return {"order_id": order_id, "version": 1, "customer_id": "c1", "source": "shop", "quantity": 2, "total": "12.50",
            "created_at": _MADE}  # fmt: skip


def _wait(port: int) -> None:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        try:
            if requests.get(f"http://127.0.0.1:{port}/healthz", timeout=1).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise AssertionError("the service of orders did not start")
