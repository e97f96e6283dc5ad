"""What has drifted, said body by body and without any short cut: what `quality/drift.py` must find, but for words."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from bike_assets.model.messages import FeedField

WEEK, MOMENT = timedelta(days=7), timedelta(milliseconds=1)
LATITUDES, LONGITUDES = {"lat", "latitude"}, {"lon", "lng", "longitude"}
COUNTS = re.compile(r"num_.*|available_.*|bikes|stands|.*Bikes|count|ttl|.*_ttl")


class At(NamedTuple):
    """A field in a body, or that it is not there; `other` is the longitude of a latitude, and the other way round."""

    at: datetime
    share: float
    kind: str | None = None
    median: float | None = None
    far: float | None = None
    other: float | None = None


class Drifted(NamedTuple):
    path: str
    drift: str
    before_at: datetime
    first_at: datetime
    last_at: datetime
    bodies: int


def drifts(fields: Sequence[FeedField]) -> set[Drifted]:
    """Of one feed of one system."""
    return {each for path in {field.path for field in fields} for each in _of_path(path, _series(path, fields))}


def _within(path: str) -> str:
    return path.rpartition(".")[0]


def _name(path: str) -> str:
    return path.rpartition(".")[2].rstrip("[]")


def _series(path: str, fields: Sequence[FeedField]) -> list[At]:
    there = {field.fetched_at: field for field in fields if field.path == path}
    beside: dict[datetime, float | None] = {}
    for field in fields:
        pair = {_name(path), _name(field.path)}
        if _within(field.path) == _within(path) and pair & LATITUDES and pair & LONGITUDES:
            beside[field.fetched_at] = field.median
    found = []
    for at in sorted({field.fetched_at for field in fields if _within(field.path) == _within(path)}):
        one = there.get(at)
        if one is None:
            found.append(At(at, 0.0, other=beside.get(at)))
            continue
        far = None if one.low is None or one.high is None else max(abs(one.low), abs(one.high))
        found.append(At(at, one.given / max(one.objects, 1), one.kind, one.median, far, beside.get(at)))
    return found


def _of_path(path: str, series: Sequence[At]) -> Iterable[Drifted]:
    first: dict[str, tuple[At, list[At]]] = {}
    for now in series:
        week = [each for each in series if now.at - WEEK <= each.at <= now.at - MOMENT]
        if len(week) >= 2 and (drift := _drift(path, now, _usual(week))):
            first.setdefault(drift, (now, week))
    for drift, (began, week) in first.items():
        shown = [each for each in series if each.at >= began.at and _drift(path, each, _usual(week)) == drift]
        yield Drifted(path, drift, week[-1].at, began.at, shown[-1].at, len(shown))


def _usual(week: Sequence[At]) -> At:
    """What most of these have: the lower median of each."""
    columns = defaultdict(list)
    for each in week:
        for name, value in each._asdict().items():
            if value is not None:
                columns[name].append(value)
    return At(**{name: sorted(values)[(len(values) - 1) // 2] for name, values in columns.items()})


def _drift(path: str, now: At, before: At) -> str | None:
    if now.share < 0.1:
        return "gone" if before.share >= 0.9 and not path.endswith("[]") else None
    if now.kind and before.kind and now.kind != before.kind:
        return "type" if "mixed" not in (now.kind, before.kind) else None
    if now.median is None or before.median is None or now.far is None or before.far is None:
        return None
    if now.other is not None and before.other is not None and (
        abs(now.median - before.other) < 1 and abs(now.other - before.median) < 1 <= abs(now.median - before.median)
    ):  # fmt: skip
        return "swapped"
    if COUNTS.fullmatch(_name(path)) or not now.median or not before.median:
        return None
    small, large = sorted([(abs(now.median), now.far), (abs(before.median), before.far)])
    return "unit" if large[0] >= 8 * small[0] and large[1] >= 8 * small[1] else None
