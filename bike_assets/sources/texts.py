"""Reading a body by what its text has in common with the body before it.

From one poll to the next the text of nearly every row stays as it was, but for the time of the row's own
report. So a body is cut at those times, its pieces are compared with those of the last good body, and only
rows that touch a piece which moved are decoded. What comes out is what decoding the whole body gives:

- A body is its envelope (what stands before the first row and after the last one) and its rows, with a
  separator between each two. Exactly one separator stands between two times that follow each other: it is
  counted in every piece that moved. So a row is the end of one piece, its time, and the beginning of the next.
- A row's text is decoded alone with a stand-in for its time, and must be a good row whose time is the
  stand-in: then what stands there is the row's time, and the row is good with any time that `cut` finds.
- The envelope is that of the body before but for its digits, and is decoded with no row in it.

Where any of this does not hold, the whole body has to be decoded, and taken apart anew.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from operator import ne
from typing import Any, Generic, TypeVar

from msgspec import Raw

from bike_assets.sources.rows import UNREADABLE

Row = TypeVar("Row")

_OPENING = re.compile(rb'\{\s*"[^"\\]*"\s*:')
_DIGITS = re.compile(rb"\d+")
_NULL = b"null"
_NEVER = frozenset({_NULL, b"0"})
_STAND_IN = "987654321098765"
"""Of which one digit less than a time has are an instant of 2001, when no system of today had a station to report."""


@dataclass(frozen=True)
class RowForm(Generic[Row]):
    """How a feed writes its rows: the name and the digits of their own time, and how one is decoded."""

    time_name: str
    digits: int
    decode: Callable[[bytes], Row]
    id_of: Callable[[Row], Any]

    @cached_property
    def cut(self) -> re.Pattern[bytes]:
        """Finds the time of each row: null, 0, or an instant from 2001 to 2191, all of which rows may have."""
        return re.compile(rb'"%b"\s*:\s*([1-6]\d{%d}|0|null)(?=\s*[,}])' % (self._name, self.digits - 1))

    @cached_property
    def _stand_in(self) -> int:
        return int(_STAND_IN[: self.digits - 1])

    @cached_property
    def _name(self) -> bytes:
        return self.time_name.encode()

    def read(self, before_time: bytes, after_time: bytes) -> Row | None:
        """The row whose text this is but for its time; None where it is not one good row."""
        try:
            row = self.decode(b'%b"%b":%d%b' % (before_time, self._name, self._stand_in, after_time))
        except UNREADABLE:
            return None
        return self.without_time(row) if getattr(row, self.time_name) == self._stand_in else None

    def without_time(self, row: Row) -> Row:
        """The row, now equal to any that differs only in its time."""
        setattr(row, self.time_name, None)
        return row


@dataclass(frozen=True, slots=True)
class Texts(Generic[Row]):
    """A body taken apart: its rows without their times, the pieces of text around these, the times as written.

    Each piece holds one separator: that of two rows or, for the first and the last piece, one put in the place of
    the envelope. `opening` is what each row begins with, up to its first value; `head` and `tail` find the
    envelope in the next body, and `envelope` is this body without its rows.
    """

    form: RowForm[Row]
    head: re.Pattern[bytes]
    opening: bytes
    separator: bytes
    tail: re.Pattern[bytes]
    rows: list[Row]
    pieces: list[bytes]
    times: Sequence[bytes] = ()
    envelope: bytes = b""

    def next(self, body: bytes) -> "Texts[Row] | None":
        """The body after this one, with the very rows of this one where they stay; None where it is too unlike."""
        parts = self.form.cut.split(body)
        pieces, times = parts[::2], parts[1::2]
        head, tail = self.head.match(pieces[0]), self.tail.search(pieces[-1])
        if head is None or tail is None or len(pieces) != len(self.pieces):
            return None
        pieces[0] = self.separator + pieces[0][head.end() :]
        pieces[-1] = pieces[-1][: tail.start()] + self.separator
        rows = self._rows_of(pieces)
        if rows is None:
            return None
        return replace(self, rows=rows, pieces=pieces, times=times, envelope=head[1] + tail[1])

    def _rows_of(self, pieces: list[bytes]) -> list[Row] | None:
        touched: set[int] = set()
        for at in compress(range(len(pieces)), map(ne, pieces, self.pieces)):
            before, now = self.pieces[at].split(self.separator), pieces[at].split(self.separator)
            if len(now) != 2:
                return None
            if now[0] != before[0]:
                touched.add(at - 1)
            if now[1] != before[-1]:
                touched.add(at)
        rows, id_of, is_renamed = self.rows.copy(), self.form.id_of, False
        for place in touched:
            row = self.form.read(*self.around(pieces, place))
            if row is None:
                return None
            is_renamed = is_renamed or id_of(row) != id_of(rows[place])
            rows[place] = row
        return None if is_renamed and len(set(map(id_of, rows))) < len(rows) else rows

    def around(self, pieces: list[bytes], place: int) -> tuple[bytes, bytes]:
        """The text of a row before its time and after it."""
        begins, ends = pieces[place].split(self.separator)[1], pieces[place + 1].split(self.separator)[0]
        return self.opening + begins, ends + b"}"


def take_apart(body: bytes, raws: Sequence[Raw], rows: list[Row], form: RowForm[Row]) -> Texts[Row] | None:
    """A body whose rows are all good, each of another station: `rows`, without their times, of which `raws` are
    the texts. None where these are unlike: where a row has no time or writes it otherwise, or where they differ in
    their first key or in what stands between them.
    """
    texts = list(map(bytes, raws))
    opening = _OPENING.match(texts[0]) if texts else None
    if opening is None:
        return None
    start, end = body.find(texts[0]), body.rfind(texts[-1]) + len(texts[-1])
    between = body[start + len(texts[0]) : body.find(texts[1], start + len(texts[0]))] if len(texts) > 1 else b","
    blank = Texts(
        form=form,
        head=re.compile(rb"(%b)%b" % (_but_for_digits(body[:start]), re.escape(opening[0]))),
        opening=opening[0],
        separator=b"}" + between + opening[0],
        tail=re.compile(rb"\}(%b)\Z" % _but_for_digits(body[end:])),
        rows=rows,
        pieces=[b""] * (len(texts) + 1),
    )
    taken = blank.next(body)
    if taken is None or taken.rows != rows:
        return None
    exact = (form.cut.split(text)[::2] == [*taken.around(taken.pieces, place)] for place, text in enumerate(texts))
    return taken if all(exact) else None


def number(written: bytes) -> int | None:
    """A time that `cut` found."""
    return None if written == _NULL else int(written)


def newest(times: Sequence[bytes]) -> bytes:
    """The last of the times that `cut` found, of which 0 is none, as null; null where there is none."""
    return max((time for time in times if time not in _NEVER), default=_NULL)  # all have the same digits


def _but_for_digits(text: bytes) -> bytes:
    return rb"\d+".join(map(re.escape, _DIGITS.split(text)))
