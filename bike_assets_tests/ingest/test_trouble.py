"""One system's trouble is its own: hosts that hang, refuse or come back, beside a town that is well."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bike_assets.ingest import breaker
from bike_assets.ingest.turns import Turns
from bike_assets.model import topics
from bike_assets_tests.ingest.stand_in import StandInKafka
from bike_assets_tests.ingest.test_poller import Running, entry, polling, statuses

HANGING, THREADS, PER_HOST = 6, 4, 2


@contextmanager
def hanging() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


class Failing:
    """A server that is down until it is mended; then each of its systems has a feed that nobody asks for."""

    def __init__(self) -> None:
        self.is_mended = is_mended = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if is_mended.is_set() else 500)
                self.send_header("Content-Length", str(len(DISCOVERY)))
                self.end_headers()
                self.wfile.write(DISCOVERY)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


DISCOVERY = b'{"last_updated": 1, "ttl": 0, "version": "2.3", "data": {"en": {"feeds": [{"name": "a", "url": "http://x.example"}]}}}'


@pytest.fixture
def kafka() -> StandInKafka:
    return StandInKafka()


@pytest.fixture
def failing() -> Iterator[Failing]:
    server = Failing()
    yield server
    server.close()


def town_beside(base: str, *others: str) -> Callable[[str], str]:
    """The simulator's town, asked each second, and systems at another server."""
    return lambda url: entry(url, poll_seconds=1) + "".join(entry(base, each, poll_seconds=1) for each in others)


def polls(kafka: StandInKafka, system_id: str) -> list[dict[str, Any]]:
    return [row for row in kafka.rows(topics.POLLS) if row["system_id"] == system_id]


def downs(running: Running) -> int | None:
    """How many sources are down, as the last heartbeat says."""
    return running.beats[-1]["down"] if running.beats else None


def test_a_host_that_hangs_delays_nobody_else(kafka: StandInKafka, tmp_path: Path) -> None:
    turns = Turns(THREADS, PER_HOST)
    with (
        hanging() as base,
        polling(kafka, tmp_path, town_beside(base, *(f"bad{n}" for n in range(HANGING))), turns=turns) as running,
    ):
        running.wait_until(lambda: len(statuses(kafka)) >= 4)
        assert turns.waiting >= 1, "some of the hanging host's systems must wait for the others"
        late = list(running.poller._late_s)
    assert max(late) < 8, "who waits for a host that hangs waits for its deadline of 10 s"
    assert {row["system_id"] for row in statuses(kafka)} == {"town"}


def test_each_failure_is_told_and_the_feed_is_asked_less_and_less(
    kafka: StandInKafka, tmp_path: Path, failing: Failing
) -> None:
    with polling(kafka, tmp_path, town_beside(failing.url, "bad")) as running:
        running.wait_until(lambda: len(polls(kafka, "bad")) >= breaker.FAILURES)
        running.wait_until(lambda: downs(running) == 1)
        [asker] = [each for each in running.poller._roster.askers if each.system_ids == {"bad"}]
        assert asker.interval_s >= 2
    told = {(row["outcome"], row["http_status"], row["error"]) for row in polls(kafka, "bad")}
    assert told == {("http_error", 500, f"{failing.url}/gbfs/bad/gbfs.json answered with status 500")}


def test_the_first_answer_of_a_host_lets_all_its_systems_be_asked_again(
    kafka: StandInKafka, tmp_path: Path, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FAILURES", 1)
    with polling(kafka, tmp_path, town_beside(failing.url, "bad", "worse")) as running:
        running.wait_until(lambda: downs(running) == 2)
        for asker in running.poller._roster.askers:
            if "worse" in asker.system_ids:
                for _ in range(8):
                    asker._breakers["gbfs.gbfs"].tell(is_answered=False)
        wait = time.monotonic()
        failing.is_mended.set()
        running.wait_until(lambda: downs(running) == 0)
        assert time.monotonic() - wait < 15, "the next probe of the one would be minutes away"
