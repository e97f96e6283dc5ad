"""A small schema registry: what it was told, by subject, in the interface of Confluent's."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bike_assets.model.compatibility import breaks


class Registry:
    """Its subjects, each with its schemas; `broken` is the status that it answers with instead."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.subjects: dict[str, list[dict[str, Any]]] = {}
        self.ids: dict[str, int] = {}
        self.broken: int | None = None
        self.said: bytes | None = None

    def take(self, subject: str, told: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.broken is not None:
            return self.broken, {"error_code": self.broken, "message": "It is broken."}
        schema, versions = json.loads(told["schema"]), self.subjects.setdefault(subject, [])
        if told["schemaType"] != "JSON":
            return 422, {"error_code": 42201, "message": "Unknown type"}
        if versions and breaks(versions[-1], schema):
            return 409, {"error_code": 409, "message": "It is not compatible with an earlier schema.\nDetails"}
        if schema not in versions:
            versions.append(schema)
        return 200, {"id": self.ids.setdefault(told["schema"], len(self.ids) + 1)}


@contextmanager
def registry() -> Iterator[Registry]:
    """One for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = running.take(self.path.split("/")[2], told)
            body = running.said or json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = Registry(server)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
