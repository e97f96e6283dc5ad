"""What is put right in a body, by a slow reading of the rules; and what no body may cost."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bike_assets.ingest.memory import SystemMemory
from bike_assets.model.messages import Outcome
from bike_assets.sources import mending
from bike_assets.sources.mending import mended
from bike_assets.sources.rows import UNREADABLE, decoded
from bike_assets_tests.ingest.builders import taken
from bike_assets_tests.sources.builders import answer

PIECES = st.sampled_from([
    b'"', b"\\", b'"a"', b"NaN", b"-", b"Infinity",
    b"\n", b"\x01", b"\x00", b",", b"{", b"}", b"[", b"]", b":", b'"a":',
    rb"\ud83d", rb"\udc00", rb"\ude0", rb"\u00e9",
    b"x", b" ", b"N", b"I", rb"\n", rb"\"", b"5", b"\xef\xbb\xbf", b"\xff",
])  # fmt: skip
BODIES = st.lists(PIECES, max_size=14).map(b"".join)
JSON = st.recursive(st.none() | st.integers(0, 9) | st.text(max_size=3), lambda part: st.lists(part, max_size=3)
                    | st.dictionaries(st.text(max_size=2), part, max_size=3), max_leaves=8)  # fmt: skip

DECODERS = [msgspec.json.Decoder(kind).decode for kind in (Any, dict[str, msgspec.Raw] | list[msgspec.Raw], list[str])]


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """JSON into which some pieces came."""
    body = msgspec.json.encode(draw(JSON))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(PIECES) + body[at + draw(st.integers(0, 2)) :]
    return body


def _with_whole(escape: re.Match[bytes]) -> bytes:
    """An escape, or two that are one character, unless it is a lone surrogate."""
    is_lone = len(escape[0]) == 6 and 0xD800 <= int(escape[0].lstrip(rb"\uU"), base=16) < 0xE000
    return rb"\ufffd" if is_lone else escape[0]


def by_the_rules(body: bytes) -> bytes:
    """Character by character what `mended` promises."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    halves = re.sub(rb"\\(?:u[0-9a-f]{4}|.)(?:(?<=u[dD][89abAB]..)\\u[dD][c-fC-F][0-9a-f]{2})?", _with_whole, body,
                    flags=re.DOTALL | re.IGNORECASE)  # fmt: skip
    out, at, is_text, is_escaped = b"", 0, False, False
    while at < len(halves):
        one = halves[at : at + 1]
        word = None if is_text else re.compile(rb"\b(NaN|Infinity)\b").match(halves, at)
        if word:
            out = out.removesuffix(b"-") + b"null"
            at = word.end()
            continue
        if is_text and not is_escaped and one == b'"':
            is_text = False
        elif not is_text:
            is_text = one == b'"'
        out += b" " if is_text and one < b" " else one
        is_escaped = is_text and one == b"\\" and not is_escaped
        at += 1
    return out


@settings(max_examples=500)
@given(BODIES | spoiled())
def test_a_body_is_put_right_by_the_rules(body: bytes) -> None:
    assert mended(body) == by_the_rules(body)


def outcome(decode: Any, body: bytes) -> Any:
    try:
        return "read", repr(decode(body)).partition(" object at ")[0]
    except UNREADABLE as err:
        return "refused", str(err)


@settings(max_examples=500)
@given(BODIES | spoiled(), st.sampled_from(DECODERS))
def test_what_can_be_mended_is_and_the_first_error_tells(body: bytes, decode: Any) -> None:
    """A body of which it is not even tried could not have been read."""
    wanted = outcome(decode, body)
    if wanted[0] == "refused":
        wanted = outcome(decode, by_the_rules(body))
    assert outcome(lambda each: decoded(decode, each), body) == wanted


SIZE = 8_000_000
NO_JSON = {
    "a page": b'<p class="a">We will be back \\soon</p>\n', "quotes": b'["', "quotes of nothing": b'""',
    "escapes": b"\\n",
    "half characters": rb"\ud83d", "words": b"NaN,", "words within words": b"xNaN", "letters of words": b"N",
    "control characters": b'"\x01"', "zeros": b"\x00", "brackets": b"[", "rows": b'{"a":"b","c":[1]},', "a text": b"a",
    "pairs": rb"\ud83d\ude00",
}  # fmt: skip


@pytest.mark.parametrize(("feed", "before"), [
    ("gbfs.station_status", b""), ("gbfs.station_status", b'{"last_updated":NaN,"x":"'),
    ("jcdecaux.v1.stations", b"[NaN,"), ("jcdecaux.v1.stations", b'[NaN,"'),
])  # fmt: skip
@pytest.mark.parametrize("what", NO_JSON)
@pytest.mark.timeout(60)  # a moment, where each look at it is of its length; hours, where one is of its square
def test_what_is_no_json_is_refused_in_a_time_of_its_length(what: str, feed: str, before: bytes) -> None:
    """However it begins, and in all that is made of an answer, which looks for its version, its rows and its shape."""
    body = before + NO_JSON[what] * (SIZE // len(NO_JSON[what]))
    assert taken(SystemMemory("town"), answer(feed, body, "town")).poll.outcome is Outcome.INVALID


def test_more_than_is_mended_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "MAX_MENDED", 2)
    for piece in (b'"\x01"', rb'"\ud83d"', b"NaN,"):
        assert mended(piece * 2) != piece * 2
        assert mended(piece * 3) == piece * 3
