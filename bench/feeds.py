"""A thousand GBFS systems on loopback, cheap to serve: `python -m bench.feeds PORT SYSTEMS STATIONS`.

Each body was made before it is asked for; only its time is put in. A system's status goes to and fro through VARIANTS
bodies, so that from poll to poll the same share of stations changes. The systems stand on HOSTS addresses
(127.0.1.1 and on): as many servers as far as a client can tell.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from bench.bodies import GBFS, System, vehicle_types

HOSTS = 250
VARIANTS = 6
SIZES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.2, 1.7, 4.0)
"""Sizes of systems in units of the mean, which is theirs too: a few are large."""

BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)
SEED = 1


def host(number: int) -> str:
    """The address of a system."""
    return f"127.0.1.{1 + number % HOSTS}"


def url(number: int, port: int) -> str:
    """Where its feeds are listed."""
    return f"http://{host(number)}:{port}/{number}/gbfs"


def sizes(systems: int, stations: int) -> list[int]:
    """How many stations each system has; `stations` in all."""
    mean = stations / systems
    found = [round(mean * SIZES[number % len(SIZES)]) for number in range(systems)]
    found[0] += stations - sum(found)
    return found


class Feeds:
    """What is answered: by system, and by what was asked of it before."""

    def __init__(self, port: int, of_size: Sequence[int]) -> None:
        self._port = port
        self._sizes = of_size
        self._asked: Counter[int] = Counter()
        self._bodies = {size: _bodies(size) for size in set(of_size)}
        self._places = {size: _places(size) for size in set(of_size)}

    def answer(self, path: str) -> bytes:
        """The body of `/<system>/<feed>`."""
        _, number, feed = path.partition("?")[0].split("/")
        size = self._sizes[int(number)]
        match feed:
            case "gbfs":
                return self._discovery(int(number))
            case "station_status":
                self._asked[int(number)] += 1
                at = self._asked[int(number)] % (2 * VARIANTS - 2)
                return _timed(self._bodies[size][min(at, 2 * VARIANTS - 2 - at)])
            case "station_information":
                return _timed(self._places[size])
            case "vehicle_types":
                return vehicle_types(number, datetime.now(UTC)).body or b""
        return _timed(b'"data":{"system_id":"%s","language":"en","name":"S","timezone":"UTC"}}' % number.encode())

    def _discovery(self, number: int) -> bytes:
        names = "system_information", "vehicle_types", "station_information", "station_status"
        base = url(number, self._port).removesuffix("gbfs")
        feeds = [{"name": name, "url": f"{base}{name}"} for name in names]
        return _timed(b'"data":%s}' % msgspec.json.encode({"en": {"feeds": feeds}}))


def _timed(rest: bytes) -> bytes:
    return b'{"last_updated":%d,"ttl":15,"version":"2.3",%s' % (time.time(), rest)


def _bodies(size: int) -> list[bytes]:
    system = System(f"of{size}", GBFS, SEED, size)
    bodies = [system.answer(BEGAN_AT + timedelta(minutes=minute)).body or b"" for minute in range(VARIANTS)]
    return [body[body.index(b'"data":') :] for body in bodies]


def _places(size: int) -> bytes:
    rows = [
        {"station_id": str(5_001 + number), "name": f"Place {number}", "lat": 59.9, "lon": 10.7 + number / 1e4,
         "capacity": 20}
        for number in range(size)
    ]  # fmt: skip
    return b'"data":{"stations":%s}}' % msgspec.json.encode(rows)


async def _serve(port: int, feeds: Feeds) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = feeds.answer(head.split(b" ", 2)[1].decode())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                             % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, [host(number) for number in range(HOSTS)], port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    port, systems, stations = map(int, sys.argv[1:])
    asyncio.run(_serve(port, Feeds(port, sizes(systems, stations))))
