"""The demo in a home of its own, and a browser that looks at it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from bike_assets_tests.journeys.homes import Home, end, home, wait_until

START_S = 120.0
ANSWER_S = 2.0

# A state that is not `unknown`: the station was seen by a good poll of the last half hour.
HAS_LIVE_STATION = "() => window.bikeLive && window.bikeLive.shown.entries().some(([, state]) => state !== 'unknown')"


@contextmanager
def home_with_jars() -> Iterator[Home]:
    """A finished set-up and nothing else; whatever runs in it is ended with the block."""
    with TemporaryDirectory(prefix="bike-bench-") as directory, home(Path(directory)) as made:
        yield made


@contextmanager
def demo(made: Home) -> Iterator[float]:
    """`bike up --demo` for as long as the block runs; gives when it was started, by the monotonic clock."""
    began = time.monotonic()
    process = made.start("up", "--demo")
    try:
        yield began
    finally:
        end(process)


def wait_for(what: str, is_true: Callable[[], bool]) -> None:
    """Wait until it is; an address that does not answer yet is not."""

    def is_there() -> bool:
        try:
            return is_true()
        except requests.RequestException:
            return False

    wait_until(is_there, START_S, what, every_s=0.05)


def get_json(url: str) -> Any:
    """What an address answers now."""
    answer = requests.get(url, timeout=ANSWER_S)
    answer.raise_for_status()
    return answer.json()


def is_page_live(made: Home) -> bool:
    """Whether the page's answers hold a station."""
    return bool(get_json(f"{made.url('PAGE_PORT')}/api/snapshot")["stations"])
