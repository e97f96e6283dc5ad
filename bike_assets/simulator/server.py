"""Simulated cities over HTTP, on loopback: `/vls/v1/stations` and `/vls/v3/stations` as JCDecaux's, and each city at
`/gbfs/<system_id>/<version>/` as GBFS; without a version in the path it is GBFS 2.3. `/members/api` has members.

`POST /admin/ride?system_id=X` moves one bike at once and answers with the instant and the new levels.
`POST /admin/fault?system_id=X&fault=Y` makes a city misbehave from now on, in a way that `faults` names: in its files
with stations, or with `&file=vehicle_types` in this file of GBFS alone. Without a fault it behaves again.
"""

import json
import signal
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from types import FrameType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bike_assets.model.answers import JCDECAUX_PREFIX
from bike_assets.model.errors import AlreadyRunning, WrongSettings
from bike_assets.simulator import faults, gbfs, jcdecaux, members
from bike_assets.simulator.city import City, SimStation
from bike_assets.simulator.seeds import city_from_recording

HOST = "127.0.0.1"
TTL_S = 5
_IDLE_S = 120
_LOOK_S = 0.1
"""How often the server looks whether it is to stop."""
_JSON = "application/json; charset=utf-8"

Clock = Callable[[], datetime]
Query = dict[str, list[str]]


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered, before it is known whether the asker has it already; `fault` is one of `faults.ANSWERS`."""

    status: HTTPStatus
    body: bytes
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What a city does wrong: `name` is one of `faults.FAULTS`, `file` one of GBFS, None for all that have stations."""

    name: str
    file: str | None = None

    def is_in(self, file: str) -> bool:
        return file in gbfs.WITH_STATIONS if self.file is None else file == self.file


def _refusal(status: HTTPStatus, why: str) -> Reply:
    return Reply(status, json.dumps({"error": why}).encode())


class Simulation:
    """The cities behind the server. Each request first lets happen what has happened since the last."""

    def __init__(self, cities: Sequence[City], clock: Clock, ttl_s: int) -> None:
        self._cities = {each.system_id: each for each in cities}
        self._clock, self._ttl_s = clock, ttl_s
        self._began = clock()
        self._faults: dict[str, Fault] = {}
        self._frozen: dict[tuple[str, ...], bytes] = {}
        self._lock = threading.Lock()

    def get(self, path: str, query: Query, base_url: str) -> Reply:
        """Answer a GET of one of the APIs."""
        with self._lock:
            match path.strip("/").split("/"):
                case ["members", "api"]:
                    return self._members(query)
                case ["vls", version, "stations"] if version in jcdecaux.ROWS:
                    return self._jcdecaux(version, query)
                case ["gbfs", system_id, file]:
                    return self._gbfs(system_id, gbfs.USUAL_VERSION, file, base_url)
                case ["gbfs", system_id, version, file]:
                    return self._gbfs(system_id, version, file, base_url)
        return _refusal(HTTPStatus.NOT_FOUND, "no such feed")

    def post(self, path: str, query: Query) -> Reply:
        """Answer a POST: a ride at this instant, or a fault from now on."""
        system_id = query.get("system_id", [""])[0]
        if system_id in self._cities:
            with self._lock:
                match path:
                    case "/admin/ride":
                        return self._ride(system_id)
                    case "/admin/fault":
                        return self._misbehave(system_id, *(query.get(name, [None])[0] for name in ("fault", "file")))
        return _refusal(HTTPStatus.NOT_FOUND, "POST /admin/ride or /admin/fault, ?system_id=<one of the cities>")

    def _ride(self, system_id: str) -> Reply:
        ride = self._city(system_id).ride_now()
        if ride is None:
            return _refusal(HTTPStatus.CONFLICT, "no bike, or no dock, in the whole city")
        answer = {"system_id": system_id, "at": ride.at.isoformat(timespec="milliseconds"),
                  "from": _levels(ride.origin), "to": _levels(ride.goal)}
        return Reply(HTTPStatus.OK, json.dumps(answer).encode())

    def _misbehave(self, system_id: str, fault: str | None, file: str | None) -> Reply:
        if fault is not None and fault not in faults.FAULTS:
            return _refusal(HTTPStatus.BAD_REQUEST, f"no such fault; there are {', '.join(sorted(faults.FAULTS))}")
        if file is not None and file not in gbfs.FILES:
            return _refusal(HTTPStatus.BAD_REQUEST, f"no such file; there are {', '.join(sorted(gbfs.FILES))}")
        self._frozen = {asked: body for asked, body in self._frozen.items() if system_id not in asked}
        self._faults.pop(system_id, None)
        if fault is not None:
            self._faults[system_id] = Fault(fault, file)
        return Reply(HTTPStatus.OK, json.dumps({"system_id": system_id, "fault": fault, "file": file}).encode())

    def _city(self, system_id: str) -> City:
        city = self._cities[system_id]
        city.advance(self._clock())
        return city

    def _members(self, query: Query) -> Reply:
        asked = {name: query.get(name, ["1"])[0] for name in ("page", "results")}
        if not all(each.isascii() and each.isdigit() and len(each) < 10 for each in asked.values()):
            return _refusal(HTTPStatus.BAD_REQUEST, "page and results are numbers")
        seed = query.get("seed", ["simulator"])[0]
        return Reply(HTTPStatus.OK, members.page(seed, int(asked["page"]), int(asked["results"]), self._began,
                                                 self._clock()))  # fmt: skip

    def _jcdecaux(self, version: str, query: Query) -> Reply:
        if not query.get("apiKey", [""])[0]:
            return _refusal(HTTPStatus.FORBIDDEN, "Unauthorized")
        ids = [each for each in self._cities if each.startswith(JCDECAUX_PREFIX)]
        if "contract" in query:
            wanted = JCDECAUX_PREFIX + query["contract"][0].lower()
            if wanted not in ids:
                return _refusal(HTTPStatus.BAD_REQUEST, "Specified contract does not exist")
            ids = [wanted]
        rows = [row for each in ids for row in self._jcdecaux_rows(each, version)]
        of_stations = [each for each in ids if each in self._faults and self._faults[each].file is None]
        fault = self._faults[of_stations[0]].name if of_stations else None
        return self._faulty(fault, (version, *ids), faults.as_meant(jcdecaux.body(rows)))

    def _jcdecaux_rows(self, system_id: str, version: str) -> list[dict[str, Any]]:
        rows = jcdecaux.stations(self._city(system_id), version)
        fault = self._faults.get(system_id)
        return faults.of_rows(fault.name, rows) if fault and fault.file is None else rows

    def _faulty(self, fault: str | None, asked: tuple[str, ...], body: bytes) -> Reply:
        """A good body, or what a fault makes of it; of several systems' that of the first that has one."""
        if fault == faults.FROZEN:
            body = self._frozen.setdefault(asked, body)
        return Reply(HTTPStatus.OK, faults.of_body(fault, body), fault if fault in faults.ANSWERS else None)

    def _gbfs(self, system_id: str, version: str, file: str, base_url: str) -> Reply:
        body = None
        if system_id in self._cities and version in gbfs.VERSIONS and file.endswith(".json"):
            name, folder = file.removesuffix(".json"), f"{base_url}/gbfs/{system_id}"
            body = gbfs.feed(self._city(system_id), name, folder, self._ttl_s, version)
        if body is None:
            return _refusal(HTTPStatus.NOT_FOUND, "no such feed")
        fault = self._faults.get(system_id)
        if fault is None or not fault.is_in(name):
            return Reply(HTTPStatus.OK, body)
        return self._faulty(fault.name, (f"{version}/{name}", system_id), faults.of_feed(fault.name, body))


def _levels(station: SimStation) -> dict[str, Any]:
    return {
        "station_id": station.station_id,
        "bikes_available": station.bikes,
        "ebikes_available": station.ebikes,
        "docks_available": station.docks,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, simulation: Simulation, tls: ssl.SSLContext | None) -> None:
        self.simulation = simulation
        super().__init__((HOST, port), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.base_url = f"{'https' if tls else 'http'}://{HOST}:{self.server_address[1]}"

    def server_bind(self) -> None:
        # HTTPServer's own asks the name service who we are, which can take seconds where there is none.
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An asker that goes away in the middle of its answer is no error of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self._send(self.server.simulation.get(url.path, parse_qs(url.query), self.server.base_url))

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._send(self.server.simulation.post(url.path, parse_qs(url.query)))

    def _send(self, reply: Reply) -> None:
        if reply.fault is not None:
            faults.ANSWERS[reply.fault](self, reply.body)
            return
        etag = f'"{blake2b(reply.body, digest_size=8).hexdigest()}"'
        known = {each.strip().removeprefix("W/") for each in self.headers.get("If-None-Match", "").split(",")}
        is_known = reply.status == HTTPStatus.OK and self.command == "GET" and etag in known
        body = b"" if is_known else reply.body
        self.send_response(HTTPStatus.NOT_MODIFIED if is_known else reply.status)
        self.send_header("ETag", etag)
        if not is_known:
            self.send_header("Content-Type", _JSON)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: a request's line holds the API key."""


@contextmanager
def serve(
    cities: Sequence[City], port: int, clock: Clock = now, ttl_s: int = TTL_S, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve the cities on loopback while the block runs; gives the base URL. Port 0 is any free one. With `tls`
    they are served by https.

    Raises AlreadyRunning where the port is taken.
    """
    try:
        server = _Server(port, Simulation(cities, clock, ttl_s), tls)
    except OSError as err:
        raise AlreadyRunning(
            f"The simulator cannot listen on {HOST}:{port} ({err.strerror}): "
            f"stop what listens there, or set BIKE_SIMULATOR_PORT to a free port."
        ) from None
    thread = threading.Thread(target=server.serve_forever, args=(_LOOK_S,), name="simulator", daemon=True)
    thread.start()
    try:
        yield server.base_url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run_simulator(port: int, seed: int, recordings: Sequence[Path], begin: datetime) -> None:
    """Serve the cities of the recordings until SIGTERM or Ctrl-C.

    They go on from the recordings' ends at `begin`: with that of an earlier run, its cities go on as if it
    had never stopped.
    """
    cities = [city_from_recording(each, seed, begin) for each in recordings]
    if len({each.system_id for each in cities}) < len(cities):
        raise WrongSettings("Two recordings given to the simulator are of the same system; give one of each.")
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    with serve(cities, port):
        stop.wait()
