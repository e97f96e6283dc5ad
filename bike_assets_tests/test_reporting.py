"""Reports to Dagster, against a local server in the webserver's place."""

import errno
import json
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from structlog.testing import capture_logs

from bike_assets import reporting
from bike_assets.local.ports import free_ports
from bike_assets.reporting import Progress, Reported, Reporter, progress
from bike_assets_tests.waiting import wait_until


class Webserver:
    """Takes reports; `statuses` are its next answers, 200 where there are none left."""

    def __init__(self, port: int) -> None:
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.refused: list[str] = []
        self.statuses: list[int] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = server.statuses.pop(0) if server.statuses else 200
                if status == 200:
                    server.taken.append((self.path, json.loads(body)))
                else:
                    server.refused.append(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"said so")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def paths(self) -> list[str]:
        return [path.removeprefix("/report_asset_materialization/") for path, _ in self.taken]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(reporting, "RETRY_S", 0.02)
    (found,) = free_ports(1)
    return found


@pytest.fixture
def webserver(port: int) -> Iterator[Webserver]:
    running = Webserver(port)
    yield running
    running.close()


def started(port: int) -> Reporter:
    reporter = Reporter(f"http://127.0.0.1:{port}")
    reporter.start()
    return reporter


def test_a_report_goes_to_its_assets_endpoint_with_its_numbers(port: int, webserver: Webserver) -> None:
    started(port).materialized(("events", "polls"), {"rows": 3}, "3 rows since the last report")
    wait_until(lambda: bool(webserver.taken))
    assert webserver.taken == [
        (
            "/report_asset_materialization/events/polls",
            {"metadata": {"rows": 3}, "description": "3 rows since the last report"},
        )
    ]


def test_reports_wait_for_a_webserver_that_is_down_and_come_in_order(port: int) -> None:
    reporter = started(port)
    for name in ("a", "b", "c"):
        reporter.materialized((name,), {}, "")
    webserver = Webserver(port)
    wait_until(lambda: len(webserver.taken) == 3)
    webserver.close()
    assert webserver.paths == ["a", "b", "c"]


def test_a_webserver_that_fails_is_asked_again(port: int, webserver: Webserver) -> None:
    webserver.statuses = [500, 503]
    reporter = started(port)
    reporter.materialized(("a",), {}, "")
    reporter.materialized(("b",), {}, "")
    wait_until(lambda: len(webserver.taken) == 2)
    assert webserver.paths == ["a", "b"]
    assert len(webserver.refused) == 2


def test_a_report_that_is_refused_is_dropped_with_a_warning(port: int, webserver: Webserver) -> None:
    webserver.statuses = [404]
    with capture_logs() as logs:
        reporter = started(port)
        reporter.materialized(("no", "such"), {}, "")
        reporter.materialized(("events", "polls"), {}, "")
        wait_until(lambda: bool(webserver.taken))
    assert webserver.paths == ["events/polls"]
    warnings = [log for log in logs if log["log_level"] == "warning"]
    assert [(log["path"], log["status"], log["said"]) for log in warnings] == [
        ("report_asset_materialization/no/such", 404, "said so")
    ]


def test_reporting_to_nobody_returns_at_once_and_keeps_only_the_newest(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "KEPT_REPORTS", 2)
    reporter = Reporter(f"http://127.0.0.1:{port}")
    for name in ("a", "b", "c"):
        reporter.materialized((name,), {}, "")
    webserver = Webserver(port)
    reporter.start()
    wait_until(lambda: len(webserver.taken) == 2)
    webserver.close()
    assert webserver.paths == ["b", "c"]


def test_what_is_told_is_by_how_much_each_asset_of_a_moving_layer_grew() -> None:
    rows = {"topics/polls": 5, "topics/rejections": 0, "live/system_minute": 7, "raw": 1}
    assert list(progress({"topics/polls": 3, "live/system_minute": 7}, rows)) == [
        Progress(("raw",), 1, 1), Progress(("topics", "polls"), 2, 5), Progress(("topics", "rejections"), 0, 0)]


def test_a_service_that_started_anew_tells_nothing_until_it_is_past_what_was_told() -> None:
    assert list(progress({"events/polls": 3}, {"events/polls": 2})) == []


def test_of_a_silent_asset_is_told_each_ten_minutes_while_its_layer_goes_on(
    port: int, webserver: Webserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    beat = Reported(lambda _: None, Reporter(f"http://127.0.0.1:{port}"), "messages")
    for minute, polls in enumerate([1, *range(2, 11), 10, 12]):
        now[0] = 60.0 * minute
        beat({"rows": {"topics/polls": polls, "topics/rejections": 0}})
    monkeypatch.undo()
    wait_until(lambda: len(webserver.taken) == 13)
    silent = [report["metadata"]["messages"] for path, report in webserver.taken if path.endswith("rejections")]
    # At the tenth minute nothing came to any topic: nobody knows then that the silent one is up to date.
    assert silent == [0, 0]
    assert webserver.paths[-1] == "topics/rejections"


def test_of_a_silent_asset_is_not_told_while_a_service_sees_nothing(port: int, webserver: Webserver) -> None:
    rows = {"topics/polls": 1, "topics/rejections": 0}
    Reported(lambda _: None, Reporter(f"http://127.0.0.1:{port}"), "messages")({"rows": rows, "is_seeing": False})
    Reported(lambda _: None, Reporter(f"http://127.0.0.1:{port}"), "messages")({"rows": rows, "is_seeing": True})
    wait_until(lambda: len(webserver.taken) == 3)
    assert sorted(webserver.paths) == ["topics/polls", "topics/polls", "topics/rejections"]


def test_every_heartbeat_beats_and_only_some_report(
    port: int, webserver: Webserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    beats: list[object] = []
    beat = Reported(beats.append, Reporter(f"http://127.0.0.1:{port}"), "rows")
    for at, total in ((100.0, 2), (130.0, 5), (161.0, 9)):
        now[0] = at
        beat({"rows": {"events/polls": total}})
    monkeypatch.undo()
    wait_until(lambda: len(webserver.taken) == 2)
    assert len(beats) == 3
    assert [report["metadata"] for _, report in webserver.taken] == [
        {"rows": 2, "rows_since_start": 2},
        {"rows": 7, "rows_since_start": 9},
    ]


def test_more_can_be_told_of_an_asset(port: int, webserver: Webserver) -> None:
    def more(key: Sequence[str]) -> dict[str, object]:
        return {"by_reason": {"no JSON": 1}} if key[-1] == "rejections" else {}

    beat = Reported(lambda _: None, Reporter(f"http://127.0.0.1:{port}"), "rows", more)
    beat({"rows": {"events/polls": 1, "events/rejections": 1}})
    wait_until(lambda: len(webserver.taken) == 2)
    assert [report["metadata"].get("by_reason") for _, report in webserver.taken] == [None, {"no JSON": 1}]


def test_events_are_observed_as_they_grow_and_all_else_is_materialised(port: int, webserver: Webserver) -> None:
    """A partition of events is materialised when its day closes."""
    Reported(lambda _: None, Reporter(f"http://127.0.0.1:{port}"), "rows")({"rows": {"events/polls": 1, "raw/x": 2}})
    wait_until(lambda: len(webserver.taken) == 2)
    assert [path for path, _ in webserver.taken] == [
        "/report_asset_observation/events/polls", "/report_asset_materialization/raw/x"]


def test_a_partition_is_named_and_whoever_told_of_it_learns_that_it_was_heard(
    port: int, webserver: Webserver
) -> None:
    webserver.statuses = [503]
    heard: list[str] = []
    started(port).materialized(("events", "polls"), {}, "", "2024-03-30", lambda: heard.append("it"))
    wait_until(lambda: bool(heard))
    assert webserver.taken == [("/report_asset_materialization/events/polls",
                                {"metadata": {}, "description": "", "partition": "2024-03-30"})]


def test_a_disk_that_is_full_for_a_moment_ends_no_later_report(port: int, webserver: Webserver) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    reporter = started(port)
    with capture_logs() as logs:
        reporter.materialized(("events", "polls"), {}, "", "2024-03-30", full)
        reporter.materialized(("later",), {}, "")
        wait_until(lambda: len(webserver.taken) == 2)
    assert webserver.paths == ["events/polls", "later"]
    assert [log["path"] for log in logs if log["log_level"] == "error"] == [
        "report_asset_materialization/events/polls"]


@pytest.mark.parametrize("value", [object(), float("nan")], ids=["no type of JSON", "no number of JSON"])
def test_a_report_that_is_no_json_is_dropped_and_those_after_it_are_sent(
    port: int, webserver: Webserver, value: object
) -> None:
    reporter = started(port)
    reporter.materialized(("wrong",), {"rows": value}, "")
    reporter.materialized(("later",), {}, "")
    wait_until(lambda: bool(webserver.taken))
    assert webserver.paths == ["later"]
