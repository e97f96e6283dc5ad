"""`gbfs.json`: which feeds a system has, and where."""

from operator import attrgetter

import msgspec
from msgspec import Raw, Struct

from bike_assets.model.answers import DiscoveryPoll
from bike_assets.model.errors import FeedMalformed
from bike_assets.sources.rows import UNREADABLE, Text, sort_out, why

LANGUAGE = "en"


class _Link(Struct):
    name: Text
    url: Text


class _Feeds(Struct):
    feeds: list[Raw]


class _Discovery(Struct):
    data: dict[str, Raw]


_decode = msgspec.json.Decoder(_Discovery).decode
_decode_feeds = msgspec.json.Decoder(_Feeds).decode
_decode_rows = msgspec.json.Decoder(list[Raw]).decode
_decode_link = msgspec.json.Decoder(_Link).decode


def parse_discovery(body: bytes, system_id: str) -> DiscoveryPoll:
    """The URL of each feed, by its name.

    GBFS 1 and 2 list them once a language: English is taken, or what comes first. GBFS 3 lists them once.
    An entry without name or url is rejected. Raises FeedMalformed where no feed can be read.
    """
    try:
        rows = _rows(_decode(body).data)
    except UNREADABLE as err:
        raise FeedMalformed(system_id, f"the answer is no gbfs.json: {why(err)}") from None
    links, rejected = sort_out(rows, _decode_link, attrgetter("name"))
    if not links:
        raise FeedMalformed(system_id, "its gbfs.json lists no feed")
    return DiscoveryPoll({link.name: link.url for link in links}, len(rows), rejected)


def _rows(data: dict[str, Raw]) -> list[Raw]:
    if "feeds" in data:
        return _decode_rows(data["feeds"])
    chosen = data.get(LANGUAGE) or next(iter(data.values()), None)
    return [] if chosen is None else _decode_feeds(chosen).feeds
