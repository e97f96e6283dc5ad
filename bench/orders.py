"""Durable orders: at 500 a second, one by one as fast as they are taken, and in batches of 100; over a local broker.

The senders are processes of their own on the same cores: what they take, the service does not get.
"""

import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import requests

from bench.report import result, say
from bike_assets.local.broker import LocalBroker, ensure_topics
from bike_assets.local.parts import jars, java
from bike_assets.local.ports import free_ports
from bike_assets.settings import load_settings

SENDERS, SECONDS, BATCH = 16, 15.0, 100
STEADY = 500
_SERVICE = """
import sys
from pathlib import Path
from bike_assets.ingest.orders.app import run_orders
port, servers, book = sys.argv[1:]
run_orders("127.0.0.1", int(port), servers, 4, Path(book), 10**7, 90, lambda _: None)
"""


class Load(NamedTuple):
    """What one sender does: requests of so many orders, so far apart, or as fast as they are answered."""

    port: int
    name: str
    orders: int
    every_s: float
    seconds: float


def run() -> None:
    """Measure over a broker and a service of the bench's own."""
    settings = load_settings()
    with (
        tempfile.TemporaryDirectory() as home,
        LocalBroker(Path(home), java(settings), jars(settings).kafka, *free_ports(2)) as broker,
    ):
        ensure_topics(broker.bootstrap, 4)
        measure(broker.bootstrap, Path(home))


def measure(servers: str, home: Path) -> None:
    """The three loads, each with a warm service."""
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, "-c", _SERVICE, str(port), servers, str(home / "orders.sqlite")])
    try:
        _wait(port)
        send(port, "warm", 1, 0.0, 2.0)
        for name, orders, every_s in (("steady", 1, SENDERS / STEADY), ("single", 1, 0.0), ("batch", BATCH, 0.0)):
            say(f"orders: {name}")
            seconds, took = send(port, name, orders, every_s, SECONDS)
            cuts = quantiles(took, n=100, method="inclusive")
            result("orders", load=name, orders_a_request=orders, requests=len(took),
                   orders_per_s=round(len(took) * orders / seconds), p50_ms=round(cuts[49] * 1000, 1),
                   p99_ms=round(cuts[98] * 1000, 1))  # fmt: skip
    finally:
        process.terminate()
        process.wait(30)


def send(port: int, name: str, orders: int, every_s: float, seconds: float) -> tuple[float, list[float]]:
    """All senders at once; how long it took, and each request's time. A request that is not stored is an error."""
    loads = [Load(port, f"{name}-{number}", orders, every_s, seconds) for number in range(SENDERS)]
    began = time.monotonic()
    with ProcessPoolExecutor(SENDERS) as pool:
        took = [each for found in pool.map(_sender, loads) for each in found]
    return max(seconds, time.monotonic() - began), took


def _sender(load: Load) -> list[float]:
    connection = HTTPConnection("127.0.0.1", load.port, timeout=30)
    began = time.monotonic()
    took: list[float] = []
    due = began
    while due - began < load.seconds and time.monotonic() - began < load.seconds:
        time.sleep(max(due - time.monotonic(), 0))
        raw = json.dumps([_order(f"{load.name}-{len(took)}-{n}") for n in range(load.orders)]).encode()
        asked = time.monotonic()
        connection.request("POST", "/orders", raw, {"content-type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 201, said
        # From when it was due: a service that is late makes the next ones late too.
        took.append(time.monotonic() - (due if load.every_s else asked))
        due += load.every_s
    return took


def _order(order_id: str) -> dict[str, object]:
    return {"order_id": order_id, "version": 1, "customer_id": "c1", "source": "shop", "quantity": 2, "total": "12.50",
            "created_at": "2026-01-01T12:00:00Z"}  # fmt: skip


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
