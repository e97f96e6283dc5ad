"""The door to the network, against a local server that behaves and misbehaves on request."""

import gzip
import logging
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from bike_assets.model.answers import Answer
from bike_assets.model.messages import Outcome
from bike_assets.sources.http import Fetcher, Request
from bike_assets.sources.redaction import redact_url

HOST = "127.0.0.1"
CANARY = "canary-5f3e9d/+0a"
CANARY_QUOTED = "canary-5f3e9d%2F%2B0a"
DEADLINE_S = 0.5
MAX_BYTES = 200_000
DRIP_S = 0.05
AT = datetime(2026, 6, 1, 14, 0, 0, 123_987, tzinfo=timezone(timedelta(hours=2)))

Do = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """What it was asked, and what it does for each path."""

    url: str
    does: dict[str, Do] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


class _Httpd(ThreadingHTTPServer):
    block_on_close = False
    request_queue_size = 64  # many connect at once; the default of 5 would make some wait a second

    def handle_error(self, *_: object) -> None:
        """A client that leaves early is what these tests are about."""


@pytest.fixture
def start() -> Iterator[Callable[[], Server]]:
    running = []

    def start_one() -> Server:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                mine.asked.append(self.path)
                mine.headers.append(dict(self.headers))
                with suppress(OSError):  # the client may leave early
                    mine.does[urlsplit(self.path).path](self)

            def log_message(self, *_: object) -> None:
                pass

        httpd = _Httpd((HOST, 0), Handler)
        mine = Server(f"http://{HOST}:{httpd.server_port}")
        threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(httpd)
        return mine

    yield start_one
    for httpd in running:
        httpd.shutdown()
        httpd.server_close()


@pytest.fixture
def server(start: Callable[[], Server]) -> Server:
    return start()


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    fetcher = Fetcher(DEADLINE_S, MAX_BYTES)
    yield fetcher
    fetcher.close()


def says(status: int, body: bytes = b"", **headers: str) -> Do:
    def do(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            if value:
                handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return do


def in_turn(*does: Do) -> Do:
    left = iter(does)

    def do(handler: BaseHTTPRequestHandler) -> None:
        next(left)(handler)

    return do


def fetch(fetcher: Fetcher, url: str, *, etag: str | None = None) -> Answer:
    request = Request("city", "gbfs.station_status", url, {"contract": "lyon"}, {"apiKey": SecretStr(CANARY)}, etag)
    answer = fetcher.fetch(request, lambda: AT)
    assert CANARY not in repr(answer)
    assert CANARY_QUOTED not in repr(answer)
    return answer


def test_an_answer_is_brought_whole(server: Server, fetcher: Fetcher) -> None:
    server.does["/s"] = says(200, b"[1]", ETag='"v1"')
    answer = fetch(fetcher, f"{server.url}/s")
    assert (answer.system_id, answer.feed) == ("city", "gbfs.station_status")
    assert (answer.http_status, answer.body) == (200, b"[1]")
    assert (answer.failure, answer.error, answer.etag) == (None, None, '"v1"')
    assert answer.fetched_at == datetime(2026, 6, 1, 12, 0, 0, 123_000, tzinfo=UTC)
    assert answer.fetched_at.tzinfo is UTC
    assert re.fullmatch("[0-9a-f]{32}", answer.request_id)
    assert answer.seconds is not None
    assert 0 < answer.seconds < DEADLINE_S
    assert server.asked == [f"/s?contract=lyon&apiKey={CANARY_QUOTED}"]
    assert server.headers[0]["User-Agent"].startswith("bike_assets/")


def test_the_time_is_taken_when_the_last_byte_has_come(server: Server, fetcher: Fetcher) -> None:
    sent = []

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        says(200, b"[", Content_Length="2")(handler)
        time.sleep(DRIP_S)
        sent.append(datetime.now(UTC))
        handler.wfile.write(b"]")

    server.does["/s"] = slowly
    answer = fetcher.fetch(Request("city", "f", f"{server.url}/s"), lambda: datetime.now(UTC))
    assert answer.body == b"[]"
    assert answer.fetched_at >= sent[0].replace(microsecond=sent[0].microsecond // 1000 * 1000)


def test_what_no_library_should_raise_is_a_failure_like_any_other(
    server: Server, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unforeseen(*_: object) -> None:
        raise ZeroDivisionError(CANARY)

    monkeypatch.setattr(Fetcher, "_asked", unforeseen)
    answer = fetch(fetcher, server.url)
    assert (answer.failure, answer.body) == (Outcome.HTTP_ERROR, None)
    assert re.fullmatch(r"\S+ could not be reached, or broke off \(ZeroDivisionError\)", answer.error or "")


def test_an_etag_is_sent_and_304_has_no_body(server: Server, fetcher: Fetcher) -> None:
    server.does["/s"] = says(304, Content_Length="", ETag='"v1"')
    answer = fetch(fetcher, f"{server.url}/s", etag='"v1"')
    assert server.headers[0]["If-None-Match"] == '"v1"'
    assert (answer.http_status, answer.body, answer.failure, answer.etag) == (304, None, None, '"v1"')


def test_connections_are_used_again(server: Server, fetcher: Fetcher) -> None:
    ports = []

    def note_port(handler: BaseHTTPRequestHandler) -> None:
        ports.append(handler.client_address[1])
        says(200, b"[]")(handler)

    server.does["/s"] = note_port
    assert [fetch(fetcher, f"{server.url}/s").body for _ in range(3)] == [b"[]"] * 3
    assert len(set(ports)) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_an_error_status_is_an_http_error_at_once(server: Server, fetcher: Fetcher, status: int) -> None:
    server.does["/s"] = says(status, f"key {CANARY} is wrong".encode(), Retry_After="1")
    answer = fetch(fetcher, f"{server.url}/s")
    assert (answer.http_status, answer.failure, answer.body) == (status, Outcome.HTTP_ERROR, None)
    assert answer.error == f"{server.url}/s answered with status {status}"
    assert len(server.asked) == 1


def drip(head: bytes, piece: bytes) -> Do:
    def do(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        for _ in range(100):
            handler.wfile.write(piece)
            time.sleep(DRIP_S)

    return do


@pytest.mark.parametrize(
    "does",
    [
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" "),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X-Slow: x\r\n"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"", b""),
    ],
    ids=["body", "chunks", "one header", "headers", "continue", "silence"],
)
def test_the_deadline_is_for_the_whole_answer(server: Server, fetcher: Fetcher, does: Do) -> None:
    server.does["/s"] = does
    started = time.monotonic()
    answer = fetch(fetcher, f"{server.url}/s")
    assert time.monotonic() - started > DEADLINE_S * 0.9
    assert (answer.failure, answer.body) == (Outcome.TIMEOUT, None)
    assert answer.error == f"{server.url}/s did not answer in full within 0.5 s"


def test_each_answer_has_a_deadline_of_its_own(server: Server, fetcher: Fetcher) -> None:
    server.does["/s"] = says(200, b"[]")
    for _ in range(4):
        assert fetch(fetcher, f"{server.url}/s").body == b"[]"
        time.sleep(DEADLINE_S / 3)  # the connection stays open for longer than one deadline


def chunked(handler: BaseHTTPRequestHandler) -> None:
    says(200, Content_Length="", Transfer_Encoding="chunked")(handler)
    for _ in range(100):
        handler.wfile.write(b"2710\r\n" + b" " * 10_000 + b"\r\n")


BOMB = gzip.compress(bytes(100_000_000), 9)


@pytest.mark.parametrize(
    "does",
    [
        says(200, b"", Content_Length=str(MAX_BYTES + 1)),
        chunked,
        says(200, BOMB, Content_Encoding="gzip"),
        says(200, gzip.compress(BOMB), Content_Encoding="gzip, gzip"),
    ],
    ids=["announced", "not announced", "bomb", "bomb in a bomb"],
)
def test_a_body_that_is_too_large_is_not_read(server: Server, fetcher: Fetcher, does: Do) -> None:
    server.does["/s"] = does
    tracemalloc.start()
    answer = fetch(fetcher, f"{server.url}/s")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (answer.http_status, answer.failure, answer.body) == (200, Outcome.TOO_LARGE, None)
    assert answer.error == f"{server.url}/s answered with more than 200,000 bytes"
    assert peak < 5_000_000


@pytest.mark.parametrize("size", [MAX_BYTES - 1, MAX_BYTES])
def test_a_body_up_to_the_cap_is_read(server: Server, fetcher: Fetcher, size: int) -> None:
    server.does["/s"] = says(200, gzip.compress(b" " * size), Content_Encoding="gzip")
    assert fetch(fetcher, f"{server.url}/s").body == b" " * size


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_passing_failure_is_asked_again(server: Server, fetcher: Fetcher, status: int) -> None:
    server.does["/s"] = in_turn(says(status), says(200, b"[]"))
    answer = fetch(fetcher, f"{server.url}/s")
    assert (answer.http_status, answer.body) == (200, b"[]")
    assert len(server.asked) == 2


def test_an_answer_that_breaks_off_is_asked_for_again(server: Server, fetcher: Fetcher) -> None:
    def break_off(handler: BaseHTTPRequestHandler) -> None:
        says(200, b"[1,", Content_Length="100")(handler)
        handler.close_connection = True

    server.does["/s"] = in_turn(break_off, says(200, b"[]"))
    assert fetch(fetcher, f"{server.url}/s").body == b"[]"


def test_retries_end_after_two(server: Server) -> None:
    server.does["/s"] = says(503)
    fetcher = Fetcher(10, MAX_BYTES)
    assert fetch(fetcher, f"{server.url}/s").http_status == 503
    assert len(server.asked) == 3
    fetcher.close()


def test_no_retry_begins_that_the_deadline_would_end(server: Server) -> None:
    server.does["/s"] = says(503)
    fetcher = Fetcher(0.1, MAX_BYTES)
    assert fetch(fetcher, f"{server.url}/s").http_status == 503
    assert len(server.asked) == 1
    fetcher.close()


def test_nobody_there_is_an_http_error(fetcher: Fetcher) -> None:
    with socket.socket() as held:
        held.bind((HOST, 0))  # bound, not listening: nobody else can answer there
        answer = fetch(fetcher, f"http://{HOST}:{held.getsockname()[1]}/s")
    assert (answer.failure, answer.http_status) == (Outcome.HTTP_ERROR, None)
    assert "could not be reached, or broke off (ConnectionRefusedError)" in (answer.error or "")


@pytest.mark.parametrize(
    "url", ["http://[", "ftp://city.example/s", "http://", "no url", "http://\u2603..x/", f"http://{'a' * 80}/"]
)
def test_an_address_that_is_none_is_an_http_error(fetcher: Fetcher, url: str) -> None:
    answer = fetch(fetcher, url)
    assert answer.failure is Outcome.HTTP_ERROR
    assert answer.error


@pytest.mark.parametrize("junk", [b"hello\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00" * 70_000])
def test_what_is_no_http_is_an_http_error(server: Server, fetcher: Fetcher, junk: bytes) -> None:
    def do(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(junk)
        handler.close_connection = True

    server.does["/s"] = do
    answer = fetch(fetcher, f"{server.url}/s")
    assert (answer.failure, answer.body) == (Outcome.HTTP_ERROR, None)


def test_a_body_that_cannot_be_decompressed_is_an_http_error(server: Server, fetcher: Fetcher) -> None:
    server.does["/s"] = says(200, b"no gzip", Content_Encoding="gzip")
    answer = fetch(fetcher, f"{server.url}/s")
    assert (answer.failure, answer.body) == (Outcome.HTTP_ERROR, None)
    assert "cannot be asked or read" in (answer.error or "")


def test_redirects_are_followed_on_the_same_server(server: Server, fetcher: Fetcher) -> None:
    server.does["/s"] = says(301, Location="/t?a=1")
    server.does["/t"] = says(307, Location=f"{server.url}/u")
    server.does["/u"] = says(302, Location="v")
    server.does["/v"] = says(200, b"[]")
    assert fetch(fetcher, f"{server.url}/s").body == b"[]"
    assert server.asked[1:] == ["/t?a=1", "/u", "/v"]


def test_a_redirect_without_end_is_left(server: Server, fetcher: Fetcher) -> None:
    server.does["/s"] = says(302, Location="/s")
    answer = fetch(fetcher, f"{server.url}/s")
    assert (answer.failure, len(server.asked)) == (Outcome.HTTP_ERROR, 4)
    assert answer.error == f"{server.url}/s leads on and on, 3 redirects were followed"


def test_the_key_follows_to_no_other_server(
    start: Callable[[], Server], server: Server, fetcher: Fetcher
) -> None:
    other = start()
    other.does["/t"] = says(200, b"[]")
    for target in (f"{other.url}/t?apiKey={CANARY}", other.url.replace(HOST, "localhost") + "/t",
                   f"//{urlsplit(other.url).netloc}/t", "file:///etc/hostname", "http://[", f"//x:y@other/{CANARY}"):
        server.does["/s"] = says(302, Location=target)
        answer = fetch(fetcher, f"{server.url}/s")
        assert (answer.failure, answer.body) == (Outcome.HTTP_ERROR, None)
    assert other.asked == []


@pytest.mark.parametrize(
    ("before", "after", "is_same"),
    [
        ("http://a.example/s", "https://a.example/s", True),
        ("https://a.example/s", "http://a.example/s", False),
        ("https://a.example/s", "https://A.example:443/t", True),
        ("https://a.example/s", "https://b.example/s", False),
        ("https://a.example/s", "https://a.example:444/s", False),
        ("https://a.example/s", "https://a.example@b.example/s", False),
    ],
)
def test_same_place(before: str, after: str, is_same: bool) -> None:
    from bike_assets.sources.http import _is_same_place

    assert _is_same_place(before, after) is is_same


def test_a_key_that_the_server_echoes_is_taken_out(server: Server, fetcher: Fetcher) -> None:
    server.does["/s"] = says(200, f'{{"raw": "{CANARY}", "url": "/s?apiKey={CANARY_QUOTED}"}}'.encode())
    assert fetch(fetcher, f"{server.url}/s").body == b'{"raw": "[removed]", "url": "/s?apiKey=[removed]"}'


def test_an_address_is_said_without_query_and_user() -> None:
    assert redact_url(f"https://me:{CANARY[:6]}@city.example:8/s?apiKey=1#2") == "https://city.example:8/s"


def test_no_cookie_is_kept(server: Server, fetcher: Fetcher) -> None:
    server.does["/s"] = says(200, b"[]", Set_Cookie=f"key={CANARY}")
    fetch(fetcher, f"{server.url}/s")
    fetch(fetcher, f"{server.url}/s")
    assert "Cookie" not in server.headers[1]


def breaks_a_header(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nbroken header\r\nContent-Length: 2\r\n\r\n[]")
    handler.close_connection = True


def test_no_log_record_at_any_level_holds_the_key(
    server: Server, fetcher: Fetcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "requests"):
        caplog.set_level(logging.DEBUG, name)
    server.does["/s"] = in_turn(says(503), says(200, b"[]"))
    server.does["/t"] = says(302, Location=f"/u?apiKey={CANARY}")
    server.does["/u"] = breaks_a_header
    fetch(fetcher, f"{server.url}/s")
    fetch(fetcher, f"{server.url}/t")
    fetch(fetcher, f"http://{HOST}:1/s")
    said = caplog.text + "".join(f"{vars(record)}" for record in caplog.records)
    assert "GET /s?[removed]" in said
    assert CANARY not in said
    assert CANARY_QUOTED not in said


def test_many_threads_share_a_fetcher(server: Server, fetcher: Fetcher) -> None:
    server.does["/slow"] = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" ")
    server.does["/s"] = says(200, b"[]")
    answers: list[Answer] = []

    def ask(path: str) -> None:
        answers.append(fetch(fetcher, server.url + path))

    threads = [threading.Thread(target=ask, args=(path,)) for path in ("/slow", "/s") * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(answer.failure) for answer in answers) == ["None"] * 8 + ["timeout"] * 8
