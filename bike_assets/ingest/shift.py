"""Moving a recording in time: `fetched_at` and every time in the body alike."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bike_assets.model.answers import Answer
from bike_assets.sources.rows import UNREADABLE

TIME_FIELDS = frozenset({"last_update", "lastUpdate", "last_updated", "last_reported"})
"""The fields of JCDecaux and GBFS that say when something was reported or made."""

# A POSIX time of this size is in milliseconds: in seconds it would lie beyond the year 5000.
_MILLISECONDS_FROM = 100_000_000_000


def shift(answers: Iterable[Answer], by: timedelta) -> Iterator[Answer]:
    """The same answers, `by` later. Whole seconds only: GBFS 2 has no finer times."""
    if by.microseconds:
        raise ValueError(f"not whole seconds: {by!r}")
    for answer in answers:
        body = answer.body if answer.body is None else _shift_body(answer.body, by)
        yield replace(answer, fetched_at=answer.fetched_at + by, body=body)


def shift_ending_at(last_fetched_at: datetime, now: datetime) -> timedelta:
    """By how much to shift a recording so that its last answer comes just now."""
    return timedelta(seconds=int((now - last_fetched_at).total_seconds()))


def _shift_body(body: bytes, by: timedelta) -> bytes:
    try:
        document = msgspec.json.decode(body)
    except UNREADABLE:
        return body
    _shift_in(document, by)
    return msgspec.json.encode(document)


def _shift_in(part: Any, by: timedelta) -> None:
    if isinstance(part, list):
        for each in part:
            _shift_in(each, by)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in TIME_FIELDS:
                part[name] = _shifted(value, by)
            else:
                _shift_in(value, by)


def _shifted(value: Any, by: timedelta) -> Any:
    seconds = int(by.total_seconds())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value + (seconds * 1000 if value >= _MILLISECONDS_FROM else seconds)
    if isinstance(value, str):
        try:
            return (datetime.fromisoformat(value) + by).isoformat()
        except ValueError:
            return value
    return value
