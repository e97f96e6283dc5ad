"""A feed that fails may have moved: where the feeds are is asked again soon, and not too often."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import pytest

from bike_assets.ingest import asking
from bike_assets.ingest.asking import SourceAsker
from bike_assets.ingest.breaker import FAILURES, PROBE_S
from bike_assets.ingest.memory import SystemMemory
from bike_assets.model.answers import Answer
from bike_assets.model.messages import Poll
from bike_assets.sources.config import GbfsSource
from bike_assets.sources.http import Fetcher
from bike_assets.sources.plan import Defaults
from bike_assets_tests.ingest.builders import taken
from bike_assets_tests.sources.builders import gbfs, stations, status_row

DAY_S, MINUTE_S = 86_400, 60
WELL = (200, stations(status_row()))


class System:
    """A system's server; what it lists and what stands at each address is changed by a test."""

    def __init__(self) -> None:
        self.listed = {"station_status": "/old"}
        self.answers: dict[str, tuple[int, bytes]] = {"/old": WELL}
        self.asked: list[tuple[str, str | None]] = []
        system = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                given = self.headers.get("If-None-Match")
                system.asked.append((self.path, given))
                status, body = system.answer(self.path)
                etag = f'"{crc32(body)}"'  # the same at each address
                status, body = (304, b"") if status == 200 and given == etag else (status, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", etag)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path: str) -> tuple[int, bytes]:
        if path != "/gbfs.json":
            return self.answers.get(path, (404, b""))
        feeds = [{"name": name, "url": self.url + where} for name, where in self.listed.items()]
        return 200, gbfs({"en": {"feeds": feeds}})

    def moves(self, status: int, body: bytes) -> None:
        """The status stands at another address now, which the discovery tells; at the old one is this."""
        self.listed = {"station_status": "/new"}
        self.answers = {"/old": (status, body), "/new": WELL}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Turns:
    """Turns of a source, each as late after the one before as it says itself; each answer is committed."""

    def __init__(self, system: System, fetcher: Fetcher, every_s: float = MINUTE_S) -> None:
        self.now_s = 0.0
        self._system = system
        self._memory = SystemMemory("town")
        source = GbfsSource(system_id="town", url=f"{system.url}/gbfs.json")
        self.asker = SourceAsker(source, Defaults(every_s, system.url, None), fetcher)

    def turn(self) -> list[str]:
        """The addresses asked."""
        self._system.asked.clear()
        for answer in self.asker.ask():
            self.asker.committed(answer, self.poll_of(answer))
        self.now_s += self.asker.interval_s
        return [path for path, _ in self._system.asked]

    def poll_of(self, answer: Answer) -> Poll:
        return taken(self._memory, answer).poll

    def until(self, seconds: float) -> list[tuple[float, str]]:
        """When each address is asked until then."""
        found = []
        while self.now_s < seconds:
            at = self.now_s
            found += [(at, path) for path in self.turn()]
        return found


@pytest.fixture
def system() -> Iterator[System]:
    own = System()
    yield own
    own.close()


@pytest.fixture
def fetcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fetcher]:
    monkeypatch.setattr("bike_assets.sources.http.BACK_OFF_S", 0.001)
    own = Fetcher(10, 10**7)
    yield own
    own.close()


@pytest.fixture
def turns(system: System, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> Turns:
    own = Turns(system, fetcher)
    monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=lambda: own.now_s))
    return own


def asked_for_discovery(found: list[tuple[float, str]]) -> list[float]:
    return [at for at, path in found if path == "/gbfs.json"]


def test_a_feed_that_is_well_has_its_discovery_asked_once_a_day(turns: Turns) -> None:
    turns.asker._defaults = Defaults(600, "", None)
    assert asked_for_discovery(turns.until(DAY_S + 1)) == [0, DAY_S]


@pytest.mark.parametrize(("status", "body", "failures"), [
    (404, b"", 1), (410, b"", 1), (500, b"", FAILURES), (403, b"", FAILURES), (200, b"<html>moved</html>", FAILURES),
    (200, gbfs({"stations": []}), FAILURES),
], ids=["404", "410", "500", "403", "a page", "no station"])  # fmt: skip
def test_a_feed_that_moved_is_found_where_it_is(
    turns: Turns, system: System, status: int, body: bytes, failures: int
) -> None:
    turns.until(2 * MINUTE_S)
    system.moves(status, body)
    assert [turns.turn() for _ in range(failures)] == [["/old"]] * failures
    assert turns.turn() == ["/gbfs.json", "/new"]
    assert (system.asked[-1], turns.asker.is_down) == (("/new", None), False), "without the ETag of the old address"
    assert [path for _, path in turns.until(turns.now_s + 3_600)] == ["/new"] * 60


@pytest.mark.parametrize("feed", ["station_status", "station_information"])
def test_a_feed_that_is_broken_for_good_does_not_hammer_the_discovery(
    turns: Turns, system: System, feed: str
) -> None:
    system.listed = {"station_status": "/old"} | {feed: "/broken"}
    asked = asked_for_discovery(turns.until(DAY_S / 4))
    assert asked[:2] == [0, 60]
    assert all(later - at >= min(60 * 2**n, PROBE_S) for n, (at, later) in enumerate(pairwise(asked)))
    assert DAY_S / 4 / PROBE_S * 0.8 < len(asked) < DAY_S / 4 / PROBE_S + 5


def test_once_it_is_well_the_discovery_is_left_alone(turns: Turns, system: System) -> None:
    del system.answers["/old"]
    turns.until(3_600)
    system.answers["/old"] = WELL
    turns.until(7_200)
    assert asked_for_discovery(turns.until(10_800)) == []


def test_a_discovery_without_a_status_is_asked_again_soon(turns: Turns, system: System) -> None:
    system.listed = {"system_information": "/old"}
    assert turns.turn()[0] == "/gbfs.json"
    system.listed = {"station_status": "/old"}
    assert "/old" in [path for _, path in turns.until(turns.now_s + 2 * MINUTE_S)]


def test_a_discovery_that_lost_its_status_loses_no_poll(turns: Turns, system: System) -> None:
    turns.turn()
    turns.asker._next.clear()  # a day is over
    system.listed = {"system_information": "/about"}
    assert [turns.turn() for _ in range(2)] == [["/gbfs.json", "/old"], ["/gbfs.json", "/old"]]
    system.listed = {"station_status": "/old"}
    assert len(asked_for_discovery(turns.until(turns.now_s + 3_600))) == 1


def test_a_discovery_that_nobody_could_read_is_an_answer_like_any_other(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unforeseen(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(asking, "parse_discovery", unforeseen)
    assert [turns.turn() for _ in range(2)] == [["/gbfs.json"], ["/gbfs.json"]]


def with_ttl(ttl_s: int, **changes: Any) -> bytes:
    return json.dumps(json.loads(WELL[1]) | {"ttl": ttl_s} | changes).encode()


@pytest.mark.parametrize(("ttl_s", "every_s"), [(0, 60), (300, 300), (900, 900), (901, 900), (10**9, 900)])
def test_a_good_body_says_for_how_long_it_holds_up_to_half_a_gap(
    turns: Turns, system: System, ttl_s: int, every_s: float
) -> None:
    system.answers["/old"] = (200, with_ttl(ttl_s))
    turns.turn()
    assert (turns.asker.interval_s, turns.asker.poll_seconds) == (every_s, every_s)


@pytest.mark.parametrize("bad", [{"data": {"stations": []}}, {"data": None}, {"last_updated": 1}])
def test_a_body_that_is_not_good_does_not_say_when_to_come_again(
    turns: Turns, system: System, bad: dict[str, Any]
) -> None:
    system.answers["/old"] = (200, with_ttl(120))
    turns.turn()
    system.answers["/old"] = (200, with_ttl(900, **bad))
    turns.asker._etags.clear()
    turns.turn()
    assert turns.asker.interval_s == 120, "that of the last good one"
