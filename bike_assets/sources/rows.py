"""What the parsers of all feeds share: the bounds of a field, and sorting good rows from bad ones.

A parser first decodes a whole body in one typed step. Only where that fails, or where two rows are of
one station, does it go through the rows one by one (`sort_out`).
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw

from bike_assets.model.answers import RejectedRow
from bike_assets.model.constants import DOCKS_NOT_GIVEN, MAX_COUNT
from bike_assets.sources.mending import is_mendable, mended

NO_ID = re.compile(r"[/\x00-\x1f\x7f-\x9f]")
"""What the id of a system never has: a topic's key is `system/station`, parted by the first slash."""

MAX_TEXT = 2_000
"""Characters of a name or an id; a longer one is a broken row, and would not fit into a message of Kafka."""

MAX_ROWS = 300_000
"""Of one answer: more vehicles than the largest body that is read has (64 MB, some 270 bytes each), and more
stations than there are. A body with more of them is refused whole, for two bytes can be a row.
"""

MAX_REJECTED = 100_000
"""Rows of one answer: each takes a hundred times what it can have been. A body with more of them is refused whole."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_S = 7_258_118_400
"""2200-01-01: a later time is a wrong unit or a broken clock, and no instant that anyone can use."""
LATEST = EPOCH + timedelta(seconds=LATEST_S)

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Text = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Words = Annotated[str, Meta(max_length=MAX_TEXT)]
Seconds = Annotated[int, Meta(ge=0, lt=LATEST_S)] | Annotated[float, Meta(ge=0, lt=LATEST_S)]
Milliseconds = Annotated[int, Meta(ge=0, lt=LATEST_S * 1000)]
Instant = Annotated[datetime, Meta(tz=True)]
"""A time as RFC 3339 writes it, with its offset; without one it could be any of two dozen instants."""
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are no JSON, no UTF-8, nested too deep, or of the wrong shape."""

Row = TypeVar("Row")
Rows = Annotated[list[Row], Meta(max_length=MAX_ROWS)]


def from_seconds(seconds: float | None) -> datetime | None:
    """POSIX seconds as an instant, to the millisecond."""
    return None if seconds is None else from_milliseconds(int(seconds * 1000))


def from_milliseconds(milliseconds: int | None) -> datetime | None:
    """Milliseconds since 1970 as an instant."""
    # Exact up to LATEST_S: a float of that size still tells half a microsecond.
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def from_instant(at: datetime | None) -> datetime | None:
    """An instant in UTC, to the millisecond."""
    if at is None:
        return None
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def check_instant(at: datetime | None, field: str) -> None:
    """Hold an instant to the bounds of all times, which no type can. Raises ValidationError."""
    if at is not None and not EPOCH <= at < LATEST:
        raise msgspec.ValidationError(f"Expected an instant from 1970 to 2199 - at $.{field}")


def docks(count: int | None) -> int | None:
    """Docks as they are counted; None where the producer says that it does not count them."""
    return None if count == DOCKS_NOT_GIVEN else count


def why(err: BaseException) -> str:
    """msgspec's words without its markup: `Expected int, got str - at $.available_bikes`."""
    if isinstance(err, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(err, RecursionError):
        return "nested too deep"
    return str(err).replace("`", "")


def decoded(decode: Callable[[bytes], Row], body: bytes) -> Row:
    """What `decode` makes of a body; where need be, of what `mended` makes of it.

    A truncated name must not cost the whole poll, and msgspec goes no further than its half character.
    """
    try:
        return decode(body)
    except UNREADABLE as err:
        if not is_mendable(body, err) or (new := mended(body)) == body:
            raise
    return decode(new)


def sort_out(
    raws: Sequence[Raw],
    decode: Callable[[Raw], Row],
    id_of: Callable[[Row], str],
    time_of: Callable[[Row], Any] = lambda _: None,
) -> tuple[list[Row], list[RejectedRow]]:
    """Good rows in the body's order, and the others with their reason; none is in both or in neither.

    Of two rows with one id the later `time_of` wins, the first of equals. Raises ValidationError where more than
    MAX_REJECTED are not good.
    """
    good: dict[str, tuple[int, Row]] = {}
    rejected: list[RejectedRow] = []
    for index, raw in enumerate(raws):
        _refuse_too_many(rejected)
        try:
            row = decode(raw)
        except UNREADABLE as err:
            rejected.append(RejectedRow(index, f"bad_field: {why(err)}", bytes(raw)))
            continue
        loser = index
        first = good.setdefault(id_of(row), (index, row))
        if first[0] != index:
            if _is_later(time_of(row), time_of(first[1])):
                good[id_of(row)] = (index, row)
                loser = first[0]
            reason = f"duplicate: {id_of(row)} stands in this answer twice"
            rejected.append(RejectedRow(loser, reason, bytes(raws[loser])))
    _refuse_too_many(rejected)
    return [row for _, row in sorted(good.values(), key=_place)], sorted(rejected, key=_index)


def _refuse_too_many(rejected: Sequence[RejectedRow]) -> None:
    if len(rejected) > MAX_REJECTED:
        last = rejected[-1].reason
        raise msgspec.ValidationError(f"more than {MAX_REJECTED:,} of its rows are bad, the last: {last}")


def good_rows(
    whole: Callable[[], list[Row]],
    raws: Sequence[Raw],
    decode: Callable[[Raw], Row],
    id_of: Callable[[Row], Any],
    time_of: Callable[[Row], Any],
) -> tuple[list[Row], list[RejectedRow]]:
    """What `sort_out` gives; by the one typed step `whole` where it reads all rows, each of another station."""
    try:
        rows = whole()
    except UNREADABLE:
        rows = []
    if len(set(map(id_of, rows))) == len(raws):
        return rows, []
    return sort_out(raws, decode, id_of, time_of)


def _is_later(time: Any, other: Any) -> bool:
    return time is not None and (other is None or time > other)


def _place(found: tuple[int, Row]) -> int:
    return found[0]


def _index(rejected: RejectedRow) -> int:
    return rejected.row_index
