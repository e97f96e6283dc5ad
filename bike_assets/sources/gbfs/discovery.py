"""`gbfs.json`: which feeds a system has, and where; `gbfs_versions.json`: in which versions it has them."""

from operator import attrgetter

import msgspec
from msgspec import Raw, Struct

from bike_assets.model.answers import DiscoveryPoll
from bike_assets.model.errors import FeedMalformed
from bike_assets.sources.rows import UNREADABLE, Rows, Text, decoded, sort_out, why


class _Link(Struct):
    name: Text
    url: Text


class _Feeds(Struct):
    feeds: Rows[Raw]


class _Discovery(Struct):
    data: dict[str, Raw]


class _Edition(Struct):
    version: Text
    url: Text


class _Editions(Struct):
    versions: Rows[Raw]


class _Versions(Struct):
    data: _Editions


_decode = msgspec.json.Decoder(_Discovery).decode
_decode_feeds = msgspec.json.Decoder(_Feeds).decode
_decode_rows = msgspec.json.Decoder(Rows[Raw]).decode
_decode_link = msgspec.json.Decoder(_Link).decode
_decode_versions = msgspec.json.Decoder(_Versions).decode
_decode_edition = msgspec.json.Decoder(_Edition).decode


def parse_discovery(body: bytes, system_id: str) -> DiscoveryPoll:
    """The URL of each feed, by its name.

    GBFS 1 and 2 list them once a language: English is taken, or else what comes first. GBFS 3 lists them once.
    An entry without name or url is rejected. Raises FeedMalformed where no feed can be read.
    """
    try:
        rows = _rows(decoded(_decode, body).data)
    except UNREADABLE as err:
        raise FeedMalformed(system_id, f"the answer is no gbfs.json: {why(err)}") from None
    links, rejected = sort_out(rows, _decode_link, attrgetter("name"))
    if not links:
        raise FeedMalformed(system_id, "its gbfs.json lists no feed")
    return DiscoveryPoll({link.name: link.url for link in links}, len(rows), rejected)


def parse_versions(body: bytes, system_id: str) -> DiscoveryPoll:
    """The URL of each version's gbfs.json, by the version: for people to choose from (`bike sources check` tells them),
    as nothing is switched by it.

    An entry without version or url is rejected. Raises FeedMalformed where the envelope is broken.
    """
    try:
        rows = decoded(_decode_versions, body).data.versions
    except UNREADABLE as err:
        raise FeedMalformed(system_id, f"the answer is no gbfs_versions.json: {why(err)}") from None
    editions, rejected = sort_out(rows, _decode_edition, attrgetter("version"))
    return DiscoveryPoll({each.version: each.url for each in editions}, len(rows), rejected)


def is_english(language: str) -> bool:
    """Whether a language, named by IETF BCP 47, is English of any kind."""
    return language.lower().partition("-")[0] == "en"


def _rows(data: dict[str, Raw]) -> list[Raw]:
    if "feeds" in data:
        return _decode_rows(data["feeds"])
    chosen = next(filter(is_english, data), None) or next(iter(data), None)
    return [] if chosen is None else _decode_feeds(data[chosen]).feeds
