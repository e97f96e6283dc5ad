"""What a feed can do wrong, by name: each fault turns the good answer of a file into a faulty one.

Unless a file of GBFS is named, which may be any, these are the files with stations: GBFS's `station_status` and
`station_information`, and JCDecaux's stations; the others of a system stay good. A fault is one of three kinds: of rows
(`ROWS`), of a body (`BODIES`), or of the answer itself, which then writes what goes over the wire (`ANSWERS`).
`FROZEN` is the server's own: it repeats the body that it first sent. Where a fault speaks of something that a
file or a version does not have, the answer stays good.
"""

import gzip
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from http.server import BaseHTTPRequestHandler
from typing import Any

Row = dict[str, Any]
Change = Callable[[Any], Any]
OfAnswer = Callable[[BaseHTTPRequestHandler, bytes], None]

FROZEN = "frozen"
HUGE_BYTES = 200_000_000
BOMB_BYTES = 1_000_000_000
DRIP_S = 1.0
LONG_TEXT = "x" * 1_000_000
FAR_DEGREES = 2.7
"""300 km, northwards."""

ID = ("number", "station_id", "vehicle_id", "bike_id", "vehicle_type_id")
NAME = ("name",)
BIKES = ("available_bikes", "num_bikes_available", "num_vehicles_available", "totalStands.availabilities.bikes")
NUMBER = (*BIKES, "current_range_meters", "max_range_meters")
DOCKS = ("available_bike_stands", "num_docks_available", "totalStands.availabilities.stands")
CAPACITY = ("bike_stands", "capacity", "totalStands.capacity")
TIME = ("last_update", "lastUpdate", "last_reported")
FEED_TIME = ("last_updated",)
LATITUDE = ("lat", "position.lat", "position.latitude")
KIND = ("status", "vehicle_types_available.0.vehicle_type_id", "propulsion_type")
"""By any version's name; where one is nested, by its path."""

_HOUR_MS = 3_600_000
_LISTS = ("stations", "vehicles", "bikes", "vehicle_types", "versions", "feeds")
"""Under which name the rows of a file of GBFS stand; the one row of `system_information` is its data."""

_IN_MS = 10**11
"""A time above it, as a number, is in milliseconds: in seconds it would be the year 5138."""

# What no encoder of JSON writes stands in a row as a word, which takes its place in the body.
_WORDS = {b'"=1e400="': b"1e400", b'"=NaN="': b"NaN", b"=half=": rb"\ud83d", b"=control=": b"\x07\n\\u0000\\u001b"}


def as_meant(body: bytes) -> bytes:
    """A body of rows with faults, with what no encoder of JSON writes where a fault wants it."""
    for word, meant in _WORDS.items():
        body = body.replace(word, meant)
    return body


def of_rows(name: str, rows: list[Row]) -> list[Row]:
    """The rows of one system's stations with a fault; the same where the fault is none of rows."""
    return ROWS[name](rows) if name in ROWS else rows


def of_feed(name: str, body: bytes) -> bytes:
    """A file of GBFS with a fault of its rows or of its own time; the same bytes where the fault is another."""
    feed = json.loads(body)
    if name in ROWS:
        feed["data"] = _with_rows(feed["data"], ROWS[name])
    if name in TIMES_OF_FEED:
        _put([feed], FEED_TIME, TIMES_OF_FEED[name])
    return as_meant(json.dumps(feed, ensure_ascii=False, separators=(",", ":")).encode())


def _with_rows(data: dict[str, Any], change: Callable[[list[Row]], list[Row]]) -> dict[str, Any]:
    """The data of a file with other rows; a discovery of GBFS 1 or 2 has a list for each language."""
    for name in _LISTS:
        if name in data:
            return data | {name: change(data[name])}
    if all(isinstance(each, dict) for each in data.values()):
        return {language: _with_rows(each, change) for language, each in data.items()}
    return (change([data]) or [{}])[-1]


def of_body(name: str | None, body: bytes) -> bytes:
    """A body with a fault; the same where the fault is none of bodies."""
    return BODIES[name](body) if name is not None and name in BODIES else body


def _put(rows: list[Row], names: tuple[str, ...], change: Change) -> list[Row]:
    """Change what each row has under one of the names."""
    for row in rows:
        for path in names:
            *way, last = path.split(".")
            part: Any = row
            for step in way:
                part = (part[int(step)] if isinstance(part, list) else part.get(step)) if part else None
            if isinstance(part, dict) and last in part:
                part[last] = change(part[last])
    return rows


def _first(names: tuple[str, ...], change: Change) -> Callable[[list[Row]], list[Row]]:
    """A fault of the first row only."""
    return lambda rows: [*_put(rows[:1], names, change), *rows[1:]]


def _all(names: tuple[str, ...], change: Change) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: _put(rows, names, change)


def _to(value: Any) -> Change:
    return lambda _: value


def _worded(word: str) -> Change:
    """Of a text, or of GBFS 3's list of texts: the text and a word after it."""
    return lambda said: [said[0] | {"text": said[0]["text"] + word}] if isinstance(said, list) else said + word


def _ms(at: Any) -> int:
    if isinstance(at, str):
        return int(datetime.fromisoformat(at).timestamp() * 1000)
    return int(at if at > _IN_MS else at * 1000)


def _written_like(at: Any, ms: int) -> int | str:
    if isinstance(at, str):
        return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return ms if at > _IN_MS else ms // 1000


def _later(by_ms: int) -> Change:
    return lambda at: at if at is None else _written_like(at, _ms(at) + by_ms)


def _as_text(at: Any) -> str:
    """A time as nobody's specification writes it: without the T and without its offset."""
    return f"{datetime.fromtimestamp(_ms(at) / 1000, UTC):%Y-%m-%d %H:%M:%S}"


_TIMES: Mapping[str, Change] = {
    "null": _to(None),
    "negative": _to(-5),
    "in_the_future": _later(24 * _HOUR_MS),
    "in_seconds": lambda at: _ms(at) // 1000,
    "in_milliseconds": _ms,
    "as_text": _as_text,
}


def _twice(rows: list[Row]) -> list[Row]:
    """The first station once more, before all others: an earlier report of no bike."""
    earlier = _put(_put(json.loads(json.dumps(rows[:1])), BIKES, _to(0)), TIME, _later(-60_000))
    return [*earlier, *rows]


def _without_capacity(rows: list[Row]) -> list[Row]:
    for row in rows[:1]:
        for part in (row, row.get("totalStands")):
            if isinstance(part, dict):
                part.pop("bike_stands", None)
                part.pop("capacity", None)
    return rows


def _long(said: Any) -> Any:
    return [said[0] | {"text": LONG_TEXT}] if isinstance(said, list) else LONG_TEXT


TIMES_OF_FEED: Mapping[str, Change] = {
    **{f"feed_time_{name}": change for name, change in _TIMES.items()}, "older": _later(-_HOUR_MS),
}  # fmt: skip
"""Of the time of the file; JCDecaux has none but the newest of its rows, so there they are of all rows."""

ROWS: Mapping[str, Callable[[list[Row]], list[Row]]] = {
    "number_as_text": _first(NUMBER, str),
    "number_negative": _first(NUMBER, _to(-1)),
    "number_1e400": _first(NUMBER, _to("=1e400=")),
    "number_nan": _first(NUMBER, _to("=NaN=")),
    "twice": _twice,
    "half_character": _first(NAME, _worded("=half=")),
    "control_characters": _first(NAME, _worded("=control=")),
    "long_name": _first(NAME, _long),
    "long_id": _first(ID, _to(LONG_TEXT)),
    "unknown_enum": _first(KIND, _to("HOVERING")),
    "no_capacity": _without_capacity,
    "docks_999": _first(DOCKS, _to(999)),
    "moved_300_km": _first(LATITUDE, lambda lat: lat + FAR_DEGREES),
    "empty": lambda rows: [],
    **{f"time_{name}": _first(TIME, change) for name, change in _TIMES.items()},
    **{name: _all(TIME, change) for name, change in TIMES_OF_FEED.items()},
}

BODIES: Mapping[str, Callable[[bytes], bytes]] = {
    "no_json": lambda _: b"It works!",
    "html": lambda _: b"<!DOCTYPE html><html><body>We will be back soon.</body></html>",
    "wrong_shape": lambda _: b'{"error":"quota exceeded"}',
    "cut": lambda body: body[: len(body) // 2],
}


def _head(handler: BaseHTTPRequestHandler, status: int = 200, **headers: str) -> None:
    """Of an answer after which the connection is closed."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Connection", "close")
    handler.end_headers()


def _huge(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
    """200 MB that are not announced."""
    _head(handler)
    piece = b" " * (1 << 16)
    for _ in range(HUGE_BYTES // len(piece)):
        handler.wfile.write(piece)


@cache
def _bomb() -> bytes:
    """A gigabyte in a megabyte, as a thousand members of one gzip file, which is done in no time."""
    return gzip.compress(bytes(1_000_000), 9) * (BOMB_BYTES // 1_000_000)


def _bombs(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    _head(handler, Content_Encoding="gzip", Content_Length=str(len(_bomb())))
    handler.wfile.write(_bomb())


def _drip(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """A byte a second."""
    _head(handler, Content_Length=str(len(body)))
    for byte in body:
        handler.wfile.write(bytes((byte,)))
        time.sleep(DRIP_S)


def _announced(handler: BaseHTTPRequestHandler, body: bytes, share: float) -> None:
    """A Content-Length that is wrong by a factor; the connection stays open after one that is too short."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(int(len(body) * share)))
    handler.end_headers()
    handler.wfile.write(body)
    handler.close_connection = share > 1


def _leads_to(handler: BaseHTTPRequestHandler, _: bytes, before: str) -> None:
    """A redirect to the very path that was asked for, its query and so its key included, behind `before`."""
    port = handler.server.server_address[1]  # type: ignore[index]  # a TCP server's is a host and a port
    _head(handler, 302, Location=before.format(port=port) + handler.path, Content_Length="0")


ANSWERS: Mapping[str, OfAnswer] = {
    "huge": _huge,
    "bomb": _bombs,
    "drip": _drip,
    "length_too_long": partial(_announced, share=1.5),
    "length_too_short": partial(_announced, share=0.5),
    "redirect_loop": partial(_leads_to, before=""),
    "redirect_to_http": partial(_leads_to, before="http://127.0.0.1:{port}"),
    "redirect_elsewhere": partial(_leads_to, before="http://localhost:{port}"),
}

FAULTS = frozenset({*ROWS, *BODIES, *ANSWERS, FROZEN})
