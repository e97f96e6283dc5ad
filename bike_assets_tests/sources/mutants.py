"""Good bodies of every feed, and what may become of them on their way."""

import re
from random import Random

from bike_assets.simulator import gbfs, jcdecaux
from bike_assets_tests.simulator.builders import city, fleet, station

TOWN = city([station("1"), station("2", ebikes=2), station("3", is_open=False)], system_id="jcdecaux:town",
            fleet=fleet(3))
OTHER = city([station("4"), station("5")], system_id="jcdecaux:other")
GBFS_FEEDS = ("gbfs", "gbfs_versions", "system_information", "vehicle_types", "station_information", "free_bike_status",
              "vehicle_status", "station_status")

ODD_VALUES = [
    b"null", b"true", b"-1", b"0", b"1", b"2", b"999", b"3.5", b"1e400", b"-1e400", b"1" * 400, b"NaN", b"Infinity",
    b"-Infinity", b"[]", b"{}", b'"NaN\n"', b'"\x07\x00"', b'""', b'"5"', b'"-5"',
    b'"1e400"', b'"nan"', b'"inf"', b'"-Infinity"', b'"null"', b'"true"', b'"\\ud83d"', b'"\\u0000"', b'"\xff"',
    b'"0001-01-01T00:00:00+14:00"', b'"9999-12-31T23:59:59-14:00"', b'"2026-06-01T12:00:00"', b"1780315200000",
    b'"%b"' % (b"a" * 3_000), b"[" * 3_000, b"[" * 600 + b"]" * 600, b'[{"text":5}]', b'[{"text":"x"}]',
]  # fmt: skip
VALUE = re.compile(rb'(?<=:)(?:"[^"]*"|[-+.\w]+|\[\]|\{\})')
BROKEN_OFF = [b'"', b"}", b"]", b",", b"{", b"[", b"\\", b"\xc3", b"\x00", b" ", b"<html>", b":", b"u"]


def bodies(version: str) -> dict[str, bytes]:
    """By feed, what the simulator serves in a version."""
    if version in jcdecaux.ROWS:
        return {f"jcdecaux.{version}.stations": jcdecaux.body(jcdecaux.stations(TOWN, version))}
    made = {f"gbfs.{name}": gbfs.feed(TOWN, name, "http://127.0.0.1:1", 5, version) for name in GBFS_FEEDS}
    return {feed: body for feed, body in made.items() if body is not None}


def all_contracts(version: str) -> bytes:
    """An answer of JCDecaux's for both cities."""
    return jcdecaux.body(jcdecaux.stations(TOWN, version) + jcdecaux.stations(OTHER, version))


def mutated(body: bytes, chance: Random) -> bytes:
    """A body in which values became odd ones, bytes came or went, or pieces stand elsewhere."""
    for _ in range(chance.randint(1, 4)):
        body = _once(body, chance)
    return body


def _once(body: bytes, chance: Random) -> bytes:
    at, start = chance.randint(0, len(body)), chance.randint(0, len(body))
    match chance.randint(0, 4):
        case 0 | 1 if found := list(VALUE.finditer(body)):
            first, last = chance.choice(found).span()
            return body[:first] + chance.choice(ODD_VALUES) + body[last:]
        case 2:
            return body[:at] + chance.choice([*BROKEN_OFF, chance.randbytes(chance.randint(0, 4))]) + body[at:]
        case 3:
            return body[:start] + body[start + chance.randint(0, 40) :]
    return body[:at] + body[start : start + chance.randint(0, 300)] + body[at:]
