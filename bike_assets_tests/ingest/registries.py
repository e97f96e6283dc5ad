"""A small schema registry: what it was told, by subject, in the interface of Confluent's."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def _fields(schema: dict[str, Any]) -> set[tuple[str, str]]:
    return {(kind, name) for kind, each in schema["$defs"].items() for name in each.get("properties", {})}


class Registry:
    """Its subjects, each with its schemas; `broken` is the status that it answers with instead.

    As Confluent's, it has the level BACKWARD where a subject has none of its own: a new field is refused then in an
    object that may have others. `asked` is all that it was asked.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.subjects: dict[str, list[dict[str, Any]]] = {}
        self.levels: dict[str, str] = {}
        self.ids: dict[str, int] = {}
        self.asked: list[str] = []
        self.broken: int | None = None
        self.said: bytes | None = None
        self.is_strict = False
        """Whether it lets nobody set a level."""

    def take(self, method: str, path: str, told: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(f"{method} {path}")
        if self.broken is not None:
            return self.broken, {"error_code": self.broken, "message": "It is broken."}
        kind, subject, *rest = path.strip("/").split("/")
        if kind == "config":
            return self._level(method, subject, told)
        versions = self.subjects.get(subject, [])
        if rest == ["versions", "latest"]:
            return (200, {"schema": json.dumps(versions[-1])}) if versions else (404, {"error_code": 40401})
        if told["schemaType"] != "JSON":
            return 422, {"error_code": 42201, "message": "Unknown type"}
        schema = json.loads(told["schema"])
        if schema in versions:
            return 200, {"id": self._id(schema)}
        if not rest:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        if versions and self.levels.get(subject, "BACKWARD") != "NONE" and _fields(schema) - _fields(versions[-1]):
            return 409, {"error_code": 409, "message": "It is not compatible with an earlier schema.\nDetails"}
        self.subjects.setdefault(subject, []).append(schema)
        return 200, {"id": self._id(schema)}

    def _level(self, method: str, subject: str, told: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if method == "PUT":
            if self.is_strict:
                return 403, {"error_code": 40301, "message": "Forbidden"}
            self.levels[subject] = told["compatibility"]
            return 200, told
        if subject in self.levels:
            return 200, {"compatibilityLevel": self.levels[subject]}
        return 404, {"error_code": 40408, "message": "Subject does not have subject-level compatibility configured"}

    def _id(self, schema: dict[str, Any]) -> int:
        return self.ids.setdefault(json.dumps(schema), len(self.ids) + 1)


@contextmanager
def registry() -> Iterator[Registry]:
    """One for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
            status, answer = running.take(self.command, self.path, told)
            body = running.said or json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST  # noqa: N815  as the server calls them

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
