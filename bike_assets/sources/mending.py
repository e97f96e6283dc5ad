"""What many encoders write and no JSON has, put right: each is one row's trouble, and must not cost a whole poll.

Half a character becomes U+FFFD, a control character in a text a space, NaN and the infinities null, which is "not
given"; a byte order mark goes. All else that is no JSON stays so.

A body can be anything, of any size that is read at all: it is looked through only where its first error is one of
these, by expressions that pass over all that is good in one step, and not on and on where too much is wrong.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

MAX_MENDED = 100_000
"""Places of one body: a row of a readable answer has one or two, and each takes time."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANK = bytes.maketrans(bytes(range(32)), b" " * 32)
_CONTROL = re.compile(rb"[\x00-\x1f]")
_NO_NUMBER = rb"\b(?:NaN|Infinity)\b"
_NONE = re.compile(_NO_NUMBER)
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A text, whole or broken off at the body's end."""

_GOOD = re.compile(rb'(?:[^"NI]++|(?!%b)[NI]|"(?:[^"\\\x00-\x1f]++|\\[^\x00-\x1f])*+")*+' % _NO_NUMBER)
"""Texts without a control character, and what stands between texts, up to NaN or Infinity."""

_HALF = rb"u[dD][89a-fA-F][0-9a-fA-F]{2}"
_PAIR = rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_WHOLE = re.compile(rb"(?:[^\\]++|\\(?:%b|(?!%b).))*+" % (_PAIR, _HALF), re.DOTALL)
"""All up to an escape that is half a character: one of a pair of surrogates without the other."""
_HALF_LENGTH = len(rb"\ud83d")

_PLACE = re.compile(r"\(byte (\d+)\)$")


def is_mendable(body: bytes, err: Exception) -> bool:
    """Whether an error of msgspec's decoder, which goes from left to right, can be one that is mended here."""
    if type(err) is not msgspec.DecodeError:
        return False
    said = str(err)
    if "surrogate" in said or "escape" in said:
        return True
    place = _PLACE.search(said)
    if place is None:  # broken off, or in want of the second half of a character
        return rb"\u" in body[-2 * _HALF_LENGTH - 1 :]
    at = int(place[1])
    return "invalid character" in said and (
        body[at : at + 1] < b" " or body.startswith((b"NaN", b"Infinity"), at) or body.startswith(_BYTE_ORDER_MARK)
    )


def mended(body: bytes) -> bytes:
    """The body put right; as it is where more is wrong than is mended."""
    body = body.removeprefix(_BYTE_ORDER_MARK)
    # In place, and nothing is kept of what stays: a body of escapes alone must not take a hundred times its size.
    same_length, nones = bytearray(body), list[tuple[int, int]]()
    places = 0
    for at in _halves(body):
        same_length[at : at + _HALF_LENGTH] = rb"\ufffd"
        places += 1
        if places > MAX_MENDED:
            return body
    for start, end in _odd(body):
        if body[start] == ord('"'):
            same_length[start:end] = same_length[start:end].translate(_BLANK)
        else:
            nones.append((start, end))
        places += 1
        if places > MAX_MENDED:
            return body
    return _with_nulls(bytes(same_length), nones)


def _halves(body: bytes) -> Iterator[int]:
    """Where an escape of half a character begins."""
    at = 0
    while (at := _end(_WHOLE, body, at)) < len(body) - 1:
        yield at
        at += _HALF_LENGTH


def _odd(body: bytes) -> Iterator[tuple[int, int]]:
    """From where to where a text with a control character goes, or a word that stands for no number."""
    at = 0
    while (at := _end(_GOOD, body, at)) < len(body):
        start, at = at, max(_end(_TEXT, body, at), _end(_NONE, body, at))
        if body[start] != ord('"'):
            yield start - (body[start - 1 : start] == b"-"), at
        elif _CONTROL.search(body, start, at):  # else it is broken off
            yield start, at


def _end(expression: re.Pattern[bytes], body: bytes, at: int) -> int:
    found = expression.match(body, at)
    return at if found is None else found.end()


def _with_nulls(body: bytes, spans: Sequence[tuple[int, int]]) -> bytes:
    starts, ends = [0, *(end for _, end in spans)], [*(start for start, _ in spans), len(body)]
    return b"null".join(body[start:end] for start, end in zip(starts, ends, strict=True))
