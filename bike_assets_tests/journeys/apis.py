"""APIs on loopback that behave and misbehave, each under a path of its own; they repeat the key where they can."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
SLOW_S = 3.0
GOOD, BAD_ROWS = "good", "bad_rows"
FORBIDDEN, ELSEWHERE, SLOW, REFUSED = "forbidden", "elsewhere", "slow", "refused"
NO_JSON, WRONG_SHAPE = "no_json", "wrong_shape"


def jcdecaux_row(number: int, **said: Any) -> dict[str, Any]:
    """A station as JCDecaux's version 1 answers it."""
    return {"number": number, "contract_name": "x", "name": f"{number} - PLACE", "address": "Place", "bonus": False,
            "position": {"lat": 47.2, "lng": 6.0}, "banking": True, "bike_stands": 10, "status": "OPEN",
            "available_bikes": 3, "available_bike_stands": 7, "last_update": int(time.time() * 1000)} | said


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        case, key = url.path.split("/")[1], parse_qs(url.query).get("apiKey", [""])[0]
        with suppress(OSError):  # who asks may leave early
            self._answer(case, key, url.query)

    def _answer(self, case: str, key: str, query: str) -> None:
        rows = [jcdecaux_row(1, address=f"asked for with {key}"), jcdecaux_row(2)]
        match case:
            case "good":
                self._send(200, rows)
            case "bad_rows":
                self._send(200, [*rows, jcdecaux_row(3, available_bikes=-1), {"number": 4}, key])
            case "forbidden":
                self._send(403, {"error": f"{key} is not a key"})
            case "elsewhere":
                self._send(302, {}, Location=f"http://localhost:1/?{query}")
            case "slow":
                time.sleep(SLOW_S)
            case "no_json":
                self._send(200, f"<html>{key}</html>".encode())
            case "wrong_shape":
                self._send(200, {"error": "Unauthorized", "key": key})

    def _send(self, status: int, said: Any, **headers: str) -> None:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def apis() -> Iterator[str]:
    """The address under which they are, for as long as the block runs."""
    server = ThreadingHTTPServer((HOST, 0), _Api)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
