"""Which parser reads an answer: by its feed and, for GBFS, by the version that its body names."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from bike_assets.model.answers import Answer, Parsed, StationPoll
from bike_assets.model.errors import FeedMalformed
from bike_assets.sources.gbfs.discovery import parse_discovery, parse_versions
from bike_assets.sources.gbfs.feeds import Version
from bike_assets.sources.gbfs.v2 import GBFS_2
from bike_assets.sources.gbfs.v3 import GBFS_3
from bike_assets.sources.jcdecaux import v1, v3
from bike_assets.sources.rows import UNREADABLE, decoded, why

Parser = Callable[[bytes, str, frozenset[str] | None, StationPoll | None], Parsed]
"""Takes a body, whose it is, the system's electric vehicle types where they are known, and its last good poll of
stations where there was one.
"""

GBFS = "gbfs."
JCDECAUX = "jcdecaux."
VEHICLE_FEED = "vehicle_status"


def _gbfs_parsers(version: Version[Any, Any]) -> dict[str, Parser]:
    return {
        "gbfs": lambda body, system_id, *_: parse_discovery(body, system_id),
        "gbfs_versions": lambda body, system_id, *_: parse_versions(body, system_id),
        "station_status": version.parse_station_status,
        "station_information": lambda body, system_id, *_: version.parse_station_information(body, system_id),
        "system_information": lambda body, system_id, *_: version.parse_system_information(body, system_id),
        VEHICLE_FEED: lambda body, system_id, *_: version.parse_vehicle_status(body, system_id),
        "vehicle_types": lambda body, system_id, *_: version.parse_vehicle_types(body, system_id),
    }


GBFS_PARSERS = {"1": _gbfs_parsers(GBFS_2), "2": _gbfs_parsers(GBFS_2), "3": _gbfs_parsers(GBFS_3)}
"""By major version, then by feed."""

JCDECAUX_PARSERS: dict[str, Parser] = {
    "jcdecaux.v1.stations": lambda body, system_id, _, before: v1.parse_stations(body, system_id, before),
    "jcdecaux.v3.stations": lambda body, system_id, *_: v3.parse_stations(body, system_id),
}


class _Versioned(msgspec.Struct):
    version: str | int | float | None = None


_decode_version = msgspec.json.Decoder(_Versioned).decode
# Most bodies name their version before their data; looking for it in the whole body costs a quarter of reading it.
_HEAD = re.compile(
    rb'\s*\{(?:\s*"(?:last_updated|ttl)"\s*:\s*(?:\d+|"[0-9TZ:.+-]*")\s*,)*\s*"version"\s*:\s*"([0-9.]+)"\s*,'
)


def feed_name(feed: str) -> str:
    """A feed as poll records name it: GBFS's word, its newest. JCDecaux's stations count as `station_status`."""
    if feed.startswith(JCDECAUX) and feed.endswith(".stations"):
        return "station_status"
    name = feed.removeprefix(GBFS)
    return VEHICLE_FEED if name == "free_bike_status" else name


def has_parser(feed: str) -> bool:
    """Whether answers of a feed of this name can be read, be it of one version of GBFS only."""
    if feed.startswith(GBFS):
        return any(feed_name(feed) in parsers for parsers in GBFS_PARSERS.values())
    return feed in JCDECAUX_PARSERS


def read(answer: Answer, electric_types: frozenset[str] | None, before: StationPoll | None = None) -> Parsed:
    """The answer's body, read. Raises FeedMalformed where it cannot be, with the reason in a sentence."""
    if not answer.body:
        raise FeedMalformed(answer.system_id, "the answer is empty")
    try:
        return _read(answer, answer.body, electric_types, before)
    except UNREADABLE as err:
        raise FeedMalformed(answer.system_id, why(err)) from None


def _read(
    answer: Answer, body: bytes, electric_types: frozenset[str] | None, before: StationPoll | None
) -> Parsed:
    if answer.feed.startswith(GBFS):
        return _read_gbfs(answer, body, electric_types, before)
    parser = JCDECAUX_PARSERS.get(answer.feed)
    if parser is None:
        raise FeedMalformed(answer.system_id, f"no parser reads a feed called {answer.feed}")
    return parser(body, answer.system_id, electric_types, before)


def _read_gbfs(
    answer: Answer, body: bytes, electric_types: frozenset[str] | None, before: StationPoll | None
) -> Parsed:
    version = _version(answer, body)
    parsers = GBFS_PARSERS.get(version.partition(".")[0])
    if parsers is None:
        raise FeedMalformed(answer.system_id, f"GBFS {version} is not supported, only {_supported()}")
    parser = parsers.get(feed_name(answer.feed))
    if parser is None:
        raise FeedMalformed(answer.system_id, f"no parser reads a feed called {answer.feed}")
    return parser(body, answer.system_id, electric_types, before)


def _version(answer: Answer, body: bytes) -> str:
    """The version that a body names, as text or as a number; one that names none is GBFS 1.0's."""
    head = _HEAD.match(body)
    if head is not None:
        return head[1].decode()
    try:
        version = decoded(_decode_version, body).version
    except UNREADABLE as err:
        raise FeedMalformed(answer.system_id, f"the answer is no GBFS feed: {why(err)}") from None
    return "1.0" if version is None else str(version)


def _supported() -> str:
    return ", ".join(f"{major}.x" for major in GBFS_PARSERS)
