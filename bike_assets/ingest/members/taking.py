"""What becomes of a page of members, given who is known: pure. No field of a person is in anything but its `User`."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from bike_assets.ingest.records import Record
from bike_assets.model.messages import MemberCursor, Rejection, User
from bike_assets.model.personal import Keyed, RowRefused, shape_of, what_is_left
from bike_assets.model.topics import MEMBERS_STATE, REJECTIONS, USERS_CREATED
from bike_assets.sources.members import MEMBERS

REFUSED_REMEMBERED = 1_000
_encode = msgspec.json.Encoder().encode
_NO_JSON = (msgspec.MsgspecError, UnicodeError, RecursionError)


@dataclass(slots=True)
class Known:
    """What Kafka holds of members: by the hashes of their ids alone."""

    members: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    cursor: MemberCursor | None = None


@dataclass(slots=True)
class Taken:
    """What became of rows: each of them is one of these."""

    rows: int = 0
    created: int = 0
    known: int = 0
    suppressed: int = 0
    rejected: int = 0

    def add(self, other: "Taken") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def is_balanced(self) -> bool:
        return self.rows == self.created + self.known + self.suppressed + self.rejected


@dataclass(frozen=True, slots=True)
class PageTaken:
    """The records of a page, the keys that are known once they are committed, and the rows that were refused."""

    counts: Taken
    records: list[Record]
    keys: set[str]
    refused: list[str]


def take_page(
    rows: Sequence[bytes], known: AbstractSet[str], forgotten: AbstractSet[str], refused_before: Iterable[str],
    keyed: Keyed, at: datetime,
) -> PageTaken:
    """New members become messages; who is known, or asked to be forgotten, becomes nothing."""
    counts, records, keys, refused = Taken(rows=len(rows)), [], set(), []
    told = set(refused_before)
    for index, raw in enumerate(rows):
        try:
            user = User(taken_at=at, **_left(raw, keyed))
        except RowRefused as err:
            counts.rejected += 1
            mark = keyed.hash("refused", raw.decode("utf-8", "replace"))
            if mark not in told:
                refused.append(mark)
                records.append(_rejection(raw, index, str(err), at))
            continue
        key = keyed.member(user.member_id)
        if key in forgotten:
            counts.suppressed += 1
        elif key in known or key in keys:
            counts.known += 1
        else:
            counts.created += 1
            keys.add(key)
            records.append(Record(USERS_CREATED, key, _encode(user)))
    return PageTaken(counts, records, keys, refused)


def _left(raw: bytes, keyed: Keyed) -> dict[str, Any]:
    try:
        return what_is_left(msgspec.json.decode(raw), keyed)
    except _NO_JSON:
        raise RowRefused("the row is no JSON") from None


def _rejection(raw: bytes, index: int, reason: str, at: datetime) -> Record:
    """With which kinds of values the row had, and none of them: nobody could find it to forget it."""
    try:
        payload = _encode(shape_of(msgspec.json.decode(raw))).decode()
    except _NO_JSON:
        payload = None
    return refusal(index, reason, at, payload)


def refusal(index: int, reason: str, at: datetime, payload: str | None = None) -> Record:
    """A rejection as a record; an index of -1 is the body."""
    told = Rejection(
        system_id=MEMBERS, feed=MEMBERS, fetched_at=at, row_index=index, reason=reason, payload=payload
    )
    return Record(REJECTIONS, MEMBERS, _encode(told))


def cursor_record(cursor: MemberCursor) -> Record:
    return Record(MEMBERS_STATE, MemberCursor.KEY, _encode(cursor))
