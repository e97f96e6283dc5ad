"""`gbfs.json`: which feeds a system has, and where; `gbfs_versions.json`: in which versions it has them."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from operator import attrgetter

import msgspec
from msgspec import Raw, Struct

from bike_assets.model.answers import DiscoveryPoll, RejectedRow
from bike_assets.model.errors import FeedMalformed
from bike_assets.sources.rows import UNREADABLE, Rows, Text, decoded, sort_out, why

MAX_LANGUAGES = 100
"""So many lists of one system are looked at, until one is good: there are no more languages than that in any feed."""


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

    GBFS 1 and 2 list them once a language: English is taken, or else what comes first; where something is wrong with
    that list, what is missing from it is taken from the next. GBFS 3 lists them once. A language that cannot be read,
    and an entry without name or url, is rejected. Raises FeedMalformed where no feed can be read.
    """
    try:
        data = decoded(_decode, body).data
    except UNREADABLE as err:
        raise FeedMalformed(system_id, f"the answer is no gbfs.json: {why(err)}") from None
    urls, rejected = _links(data)
    if not urls:
        reason = f": {rejected[0].reason}" if rejected else ""
        raise FeedMalformed(system_id, f"its gbfs.json lists no feed{reason}")
    return DiscoveryPoll(urls, len(urls) + len(rejected), rejected)


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


def _links(data: dict[str, Raw]) -> tuple[dict[str, str], list[RejectedRow]]:
    """The URLs of the first lists that have them, up to one that is good in all its entries; and what was rejected."""
    urls: dict[str, str] = {}
    rejected: list[RejectedRow] = []
    seen = 0
    for language, raw in islice(_lists(data), MAX_LANGUAGES):
        try:
            rows = _decode_rows(raw) if language is None else _decode_feeds(raw).feeds
        except UNREADABLE as err:
            rejected.append(RejectedRow(seen, f"bad_language: {why(err)}", bytes(raw)))
            seen += 1
            continue
        links, bad = sort_out(rows, _decode_link, attrgetter("name"))
        urls = {link.name: link.url for link in links} | urls
        rejected += (replace(row, row_index=seen + row.row_index) for row in bad)
        seen += len(rows)
        if links and not bad:
            break
    return urls, rejected


def _lists(data: dict[str, Raw]) -> Iterator[tuple[str | None, Raw]]:
    """The lists of feeds, the preferred first, each with its language; GBFS 3's one has none."""
    if "feeds" in data:
        yield None, data["feeds"]
        return
    for language in sorted(data, key=is_english, reverse=True):
        yield language, data[language]
