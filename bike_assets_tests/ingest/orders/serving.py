"""The service of orders as a process of its own, to be talked to and to be killed."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from bike_assets.ingest.orders.book import Book
from bike_assets.ingest.orders.writer import copy_topic
from bike_assets.local.ports import free_ports
from bike_assets_tests.waiting import wait_until

_PROGRAM = """
import sys
from pathlib import Path
from bike_assets.ingest.orders.app import run_orders
port, servers, partitions, book, rate, days = sys.argv[1:]
run_orders("127.0.0.1", int(port), servers, int(partitions), Path(book), int(rate), int(days), lambda _: None)
"""


class Service:
    """Where it is, and its process."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def is_ready(self) -> bool:
        assert self.process.poll() is None, "it ended by itself"
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=1).ok
        except requests.RequestException:
            return False

    def post(self, raw: bytes, kind: str = "application/json") -> requests.Response:
        url = f"http://127.0.0.1:{self.port}/orders"
        return requests.post(url, raw, headers={"content-type": kind}, timeout=30)


def in_topic(servers: str, partitions: int, path: Path) -> Counter[str]:
    """How often each version stands in the topic: a book that counts."""
    found: Counter[str] = Counter()

    class Counting(Book):
        def note(self, contents: Any, copied: Any) -> None:
            found.update(f"{key.order_id}/{key.version}" for key in contents)
            super().note(contents, copied)

    copy_topic(servers, partitions, Counting(path))
    return found


@contextmanager
def service(
    servers: str, partitions: int, book: Path, rate: int = 100_000, days: int = 36_500
) -> Iterator[Service]:
    """The service for as long as the block runs; one that was killed meanwhile is no matter."""
    (found,) = free_ports(1)
    command = [sys.executable, "-c", _PROGRAM, str(found), servers, str(partitions), str(book), str(rate), str(days)]
    process = subprocess.Popen(command)
    running = Service(process, found)
    try:
        wait_until(running.is_ready)
        yield running
    finally:
        process.terminate()
        process.wait(30)
