"""The shape of a body: which fields it has, and of each how many objects have it, of what kind its values are, between
which numbers they lie and which words they are. By it a drift is told (`quality/drift.py`); no parser goes by it.

A path is `data.stations[].station_id`: a dot before a name, `[]` for each element of a list.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from statistics import median
from typing import Any

import msgspec
from msgspec import Raw

from bike_assets.model.drift import WORDS
from bike_assets.model.messages import FeedField
from bike_assets.sources.rows import UNREADABLE, Rows, decoded

MAX_ROWS_READ = 2_000
"""Of a longer list every so manieth row is read: a shape needs no more, and must stay cheap."""

MAX_OBJECT_BYTES = 1_000_000
MAX_NUMBER = 1e300
MAX_FIELDS = 150
MAX_DEPTH = 12
MAX_WORDS, MAX_WORD = 20, 60
"""A field of more words, or of longer ones, is no field of one word out of a few."""

MAIN_SHARE = 0.9
"""Values of which a smaller share is of one kind are mixed."""
MIXED = "mixed"

_decode_top = msgspec.json.Decoder(dict[str, Raw] | Rows[Raw]).decode
_decode_data = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_list = msgspec.json.Decoder(Rows[Raw]).decode
_decode = msgspec.json.Decoder().decode

_KINDS = {bool: "flag", int: "number", float: "number", list: "list", dict: "object"}
_NAME = re.compile(r"[^.\[\]]{1,100}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def shape_of(body: bytes, system_id: str, feed: str, at: datetime) -> list[FeedField]:
    """The fields of a body in the order in which they come; none where it is neither a GBFS file nor an array."""
    try:
        document = _document(decoded(_decode_top, body))
    except UNREADABLE:
        return []
    seen = _Seen()
    seen.take("", document)
    return list(seen.fields(system_id, feed, at))


def _document(top: dict[str, Raw] | list[Raw]) -> Any:
    """A body with only so many of its rows as are read."""
    if isinstance(top, list):
        return _rows(top)
    if "data" not in top:
        return None
    data = {name: _part(raw) for name, raw in _decode_data(top["data"]).items()}
    return {name: data if name == "data" else _part(raw) for name, raw in top.items()}


def _part(raw: Raw) -> Any:
    text = bytes(raw)
    if text[:1] == b"[":
        return _rows(_decode_list(text))
    if len(text) <= MAX_OBJECT_BYTES:
        return _decode(text)
    return "" if text[:1] == b'"' else {}


def _rows(raws: list[Raw]) -> list[Any]:
    """Every so manieth row, without those that cannot be read."""
    return list(_readable(raws[:: -(-len(raws) // MAX_ROWS_READ) or 1]))


def _readable(raws: list[Raw]) -> Iterator[Any]:
    for raw in raws:
        try:
            yield _decode(raw)
        except UNREADABLE:
            continue


class _Seen:
    """What was found at each path, and of how many objects each could have had it."""

    def __init__(self) -> None:
        self._values: defaultdict[str, list[Any]] = defaultdict(list)
        self._objects: Counter[str] = Counter()
        self._within: dict[str, str] = {}

    def take(self, path: str, value: Any, depth: int = 0) -> None:
        """Look at a value and all that is in it, but for what is nested too deep."""
        if depth > MAX_DEPTH:
            return
        if isinstance(value, dict):
            self._objects[path] += 1
            for name, each in value.items():
                if _NAME.fullmatch(name):
                    self._put(f"{path}.{name}" if path else name, path, each, depth)
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, dict | list):
                    self.take(f"{path}[]", each, depth + 1)
                else:
                    self._objects[f"{path}[]"] += 1
                    self._put(f"{path}[]", f"{path}[]", each, depth)

    def _put(self, path: str, within: str, value: Any, depth: int) -> None:
        if path not in self._within:
            if len(self._within) == MAX_FIELDS:
                return
            self._within[path] = within
        self._values[path].append(value)
        self.take(path, value, depth + 1)

    def fields(self, system_id: str, feed: str, at: datetime) -> Iterator[FeedField]:
        """One for each path."""
        for path, within in self._within.items():
            values = [each for each in self._values[path] if each is not None]
            numbers = [each for each in values if type(each) in {int, float} and abs(each) < MAX_NUMBER]
            yield FeedField(
                system_id=system_id,
                feed=feed,
                fetched_at=at,
                path=path,
                objects=self._objects[within],
                given=len(values),
                kind=_kind(values),
                low=float(min(numbers)) if numbers else None,
                median=float(median(numbers)) if numbers else None,
                high=float(max(numbers)) if numbers else None,
                words=_words(path, values),
            )


def _kind(values: list[Any]) -> str | None:
    """What nearly all values are; None where there is none."""
    if not values:
        return None
    kinds = Counter(map(_kind_of, values))
    kind, count = kinds.most_common(1)[0]
    return kind if count >= MAIN_SHARE * len(values) else MIXED


def _kind_of(value: Any) -> str:
    if isinstance(value, str):
        return "time" if _TIME.fullmatch(value) else "text"
    return _KINDS[type(value)]


def _words(path: str, values: list[Any]) -> str | None:
    """The words of a field of few, as a JSON array in their order; None for any other field."""
    if path.rpartition(".")[2].rstrip("[]") not in WORDS:
        return None
    words = {each for each in values if isinstance(each, str)}
    if not words or len(words) > MAX_WORDS or max(map(len, words)) > MAX_WORD:
        return None
    return msgspec.json.encode(sorted(words)).decode()
