import socket
from collections.abc import Mapping
from queue import Queue
from typing import Any

import pytest
import requests

from bike_assets.dashboard import app, events
from bike_assets.dashboard.app import run_page
from bike_assets.dashboard.feed import Written
from bike_assets.model.errors import AlreadyRunning
from bike_assets.model.tables import TABLES
from bike_assets_tests.dashboard.builders import NOON, description, polled, station, system
from bike_assets_tests.dashboard.memory_feed import MemoryFeed
from bike_assets_tests.dashboard.serving import Served, serve
from bike_assets_tests.dashboard.sse import PlainViewer


def ask(page: Served, path: str) -> requests.Response:
    return requests.get(page.url + path, timeout=10)


def wait_until_live(page: Served) -> None:
    with PlainViewer(page.port) as viewer:
        while viewer.next_of("status")["connection"] != "live":
            pass


def test_the_page_links_to_dagster_with_the_address_made_safe() -> None:
    with serve(MemoryFeed()) as page:
        answer = ask(page, "/")
    assert 'href="http://127.0.0.1:3000/?a=1&amp;b=2"' in answer.text
    assert "{{" not in answer.text


def test_every_answer_forbids_the_browser_to_ask_elsewhere() -> None:
    with serve(MemoryFeed()) as page:
        for path in ("/", "/dictionary", "/static/page.css", "/api/snapshot", "/api/systems", "/healthz"):
            assert "default-src 'self'" in ask(page, path).headers["content-security-policy"], path


def test_the_dictionary_has_a_place_for_each_table_and_is_linked_from_the_page() -> None:
    with serve(MemoryFeed()) as page:
        told = ask(page, "/dictionary").text
        assert 'href="/dictionary"' in ask(page, "/").text
    for table in TABLES:
        assert f'<h3 id="{table.name}">{table.name}</h3>' in told
        assert all(f"<td><code>{column.name}</code></td>" in told for column in table.columns)


def test_health_tells_the_state_the_stations_and_the_newest_message() -> None:
    with serve(MemoryFeed(station("1"), station("2"))) as page:
        wait_until_live(page)
        answer = ask(page, "/healthz")
        told = answer.json()
    assert answer.status_code == 200
    assert (told["is_alive"], told["connection"], told["stations"]) == (True, "live", 2)
    assert told["last_message_at"] <= told["server_time"]


def test_health_stays_good_while_the_broker_is_away() -> None:
    feed = MemoryFeed()
    feed.break_down()
    with serve(feed) as page, PlainViewer(page.port) as viewer:
        while viewer.next_of("status")["connection"] != "down":
            pass
        answer = ask(page, "/healthz")
    assert answer.status_code == 200
    assert (answer.json()["connection"], answer.json()["is_alive"]) == ("down", True)


class BrokenFeed(MemoryFeed):
    """A feed whose reader dies of a mistake."""

    def read(self, timeout_s: float) -> list[Written]:
        raise ZeroDivisionError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_page_whose_reader_died_is_not_healthy_and_its_heart_does_not_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[bool] = []
    monkeypatch.setattr(events, "KEEP_ALIVE_S", 2 * app.HEARTBEAT_S)
    with serve(BrokenFeed(), lambda _: beats.append(True)) as page:
        while (answer := ask(page, "/healthz")).status_code == 200:
            pass
        beats.clear()
        assert answer.json()["is_alive"] is False
        with PlainViewer(page.port) as viewer:
            # The second one is a keep-alive: the heart would have beaten several times until then.
            viewer.next_of("status")
            viewer.next_of("status")
    assert beats == []


def test_the_heart_beats_while_the_feed_is_followed_and_counts_what_was_read() -> None:
    beats: Queue[Mapping[str, Any]] = Queue()
    with serve(MemoryFeed(station("1"), station("2")), beats.put):
        counts = (beats.get(timeout=10)["rows"]["serving/page"] for _ in range(5))
        assert 2 in counts


def test_the_snapshot_and_the_systems_can_be_asked_for() -> None:
    feed = MemoryFeed(system(), description(name="Torget"), station(), polled(at=NOON))
    with serve(feed) as page:
        wait_until_live(page)
        snapshot, systems = ask(page, "/api/snapshot").json(), ask(page, "/api/systems").json()
    assert dict(zip(snapshot["station_fields"], snapshot["stations"][0], strict=True))["name"] == "Torget"
    assert (systems[0]["system_id"], systems[0]["stations"]) == ("oslo", 1)


def test_no_documentation_page_that_would_load_from_elsewhere_is_served() -> None:
    with serve(MemoryFeed()) as page:
        assert {ask(page, path).status_code for path in ("/docs", "/redoc")} == {404}


def test_a_busy_port_is_one_sentence_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AlreadyRunning, match=f"127.0.0.1:{port} .*BIKE_PAGE_PORT"):
            run_page("127.0.0.1", port, "127.0.0.1:1", "http://127.0.0.1:3000", lambda _: None)
