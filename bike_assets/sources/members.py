"""The members API: randomuser.me's format, 1.4 (https://randomuser.me/documentation), page by page.

`results`, `page` and `seed` are asked for, and the answer's `info` has to name the same page and seed: of a server that
does not page, every page would be the first one.
"""

from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from bike_assets.model.errors import FeedMalformed
from bike_assets.sources.http import Request

MEMBERS = "members"
"""What the API is called where a feed has a system's id."""

SEED = "bike_assets"


class _Info(Struct):
    seed: str
    results: int
    page: int


class _Body(Struct):
    results: list[msgspec.Raw]
    info: _Info


_decode = msgspec.json.Decoder(_Body).decode


def seed_of(url: str) -> str:
    """Which the API is asked with: the one in its address, or ours."""
    return parse_qs(urlsplit(url).query).get("seed", [SEED])[0]


def page_request(url: str, page: int, results: int) -> Request:
    """What to ask for a page."""
    has_seed = "seed" in parse_qs(urlsplit(url).query)
    seed = {} if has_seed else {"seed": SEED}
    return Request(MEMBERS, MEMBERS, url, params={"results": str(results), "page": str(page), **seed})


def read_page(body: bytes, seed: str, page: int) -> list[bytes]:
    """The rows of a page as they came. Raises FeedMalformed, which repeats nothing of a row."""
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as err:
        raise FeedMalformed(MEMBERS, f"no page of members: {err}") from None
    if (found.info.seed, found.info.page) != (seed, page):
        raise FeedMalformed(MEMBERS, f"page {page} was asked for, and another page or seed was answered")
    return [bytes(row) for row in found.results]
