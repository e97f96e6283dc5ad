"""Documents that a schema of GBFS accepts, made by chance; every one is valid, and what they leave out stands here.

The schemas set no bounds to much that we bound. A row is read within these bounds, and rejected beyond:

- a text has MAX_TEXT characters at most, an id one at least;
- a count is MAX_COUNT at most;
- a time lies from 1970 to 2199, and has no leap second;
- each row of a file has an id of its own: of two, one is rejected.

Nor has a document, among fields that its schema does not name, those that other versions name.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from jsonschema import Draft7Validator

from bike_assets.model.constants import MAX_COUNT
from bike_assets.sources.rows import EPOCH, LATEST, LATEST_S, MAX_TEXT
from bike_assets_tests.sources.schemas import schema

Schema = dict[str, Any]
Values = SearchStrategy[Any]

ROWS = {"gbfs": ("feeds", "name"), "gbfs_versions": ("versions", "version"), "vehicle_types":
        ("vehicle_types", "vehicle_type_id"), "station_status": ("stations", "station_id"),
        "station_information": ("stations", "station_id"), "free_bike_status": ("bikes", "bike_id"),
        "vehicle_status": ("vehicles", "vehicle_id")}  # fmt: skip
"""Where the rows of a file stand in its data, and what they are called by."""


@cache
def documents(version: str, feed: str) -> Values:
    """Valid files `<feed>.json` of this version."""
    return _values(schema(version, feed)).map(lambda made: _without_doubles(made, feed))


def _without_doubles(document: Any, feed: str) -> Any:
    if feed in ROWS:
        for rows in row_lists(document, feed):
            rows[:] = {row[ROWS[feed][1]]: row for row in rows}.values()
    return document


def row_lists(document: Any, feed: str) -> list[list[Any]]:
    """The rows of a document; one list a language where the discovery has languages."""
    name, data = ROWS[feed][0], document["data"]
    return [data[name]] if name in data else [part[name] for part in data.values()]


def _values(of: Schema) -> Values:
    if "const" in of:
        return st.just(of["const"])
    if "enum" in of:
        return st.sampled_from(of["enum"])
    made = _BY_TYPE[of["type"]](of)
    if _CONDITIONS & of.keys():
        return made.filter(Draft7Validator(of).is_valid)
    return made


_CONDITIONS = {"if", "allOf", "anyOf", "oneOf", "contains", "dependencies", "minProperties"}


def _objects(of: Schema) -> Values:
    required = set(of.get("required", ()))
    named = {name: _not_empty_id(name, _values(what)) for name, what in of.get("properties", {}).items()}
    fixed = st.fixed_dictionaries(
        {name: what for name, what in named.items() if name in required},
        optional={name: what for name, what in named.items() if name not in required},
    )
    return st.tuples(_more(of, set(named)), fixed).map(lambda parts: parts[0] | parts[1])


def _more(of: Schema, named: set[str]) -> Values:
    """Fields that are not named one by one."""
    for pattern, what in of.get("patternProperties", {}).items():
        return st.dictionaries(st.from_regex(pattern), _values(what), min_size=1, max_size=2)
    others = of.get("additionalProperties", True)
    if others is False:
        return st.just({})
    values = st.none() | st.booleans() | st.text(max_size=3) if others is True else _values(others)
    return st.dictionaries(st.text(max_size=3).filter(lambda name: name not in named), values, max_size=1)


def _not_empty_id(name: str, values: Values) -> Values:
    return values.filter(bool) if name in {"station_id", "vehicle_type_id", "bike_id", "vehicle_id"} else values


def _arrays(of: Schema) -> Values:
    lists = st.lists(_values(of["items"]), min_size=of.get("minItems", 0), max_size=max(4, of.get("minItems", 0)))
    wanted = [_values(of["items"]).map(_with(what)) for what in _contained(of)]
    return st.tuples(lists, *wanted).map(lambda parts: [*parts[0], *parts[1:]])


def _with(what: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: row | what


def _contained(part: Any) -> list[dict[str, Any]]:
    """The fixed fields of all rows that an array must, or under some condition may have to, contain."""
    if isinstance(part, list):
        return [found for each in part for found in _contained(each)]
    if not isinstance(part, dict):
        return []
    rest = [_contained(each) for name, each in part.items() if name not in {"contains", "items"}]
    if "contains" in part:
        rest.append([{name: what["const"] for name, what in part["contains"]["properties"].items()}])
    return [found for each in rest for found in each]


def _integers(of: Schema) -> Values:
    """Whole numbers, now and then written with a fraction of zero, which is an integer to JSON Schema."""
    low, high = _bounds(of, 0)
    whole = st.integers(low, high) | st.sampled_from([low, low + 999])
    return whole | whole.map(float)


def _numbers(of: Schema) -> Values:
    low, high = _bounds(of, -MAX_COUNT)
    return st.floats(low, high) | st.integers(low, high)


def _bounds(of: Schema, least: int) -> tuple[int, int]:
    low = of.get("minimum", least)
    return low, of.get("maximum", LATEST_S - 1 if low > MAX_COUNT else MAX_COUNT)


def _strings(of: Schema) -> Values:
    if "pattern" in of:
        return st.from_regex(of["pattern"])
    texts = st.text(max_size=8) | st.sampled_from(["é" * MAX_TEXT, "\U0001f6b2", '"}, {"', "\0"])
    return {"date-time": _instants(), "uri": st.just("https://city.example/a")}.get(of.get("format", ""), texts)


@st.composite
def _instants(draw: st.DrawFn) -> str:
    """Times as RFC 3339 has them: any offset, any fraction, capitals or not."""
    a_day = timedelta(days=1)  # no offset is longer, so that none leads out of the bounds
    at = draw(st.datetimes((EPOCH + a_day).replace(tzinfo=None), (LATEST - a_day).replace(tzinfo=None)))
    offset = draw(st.integers(-1439, 1439))
    fraction = draw(st.sampled_from(["", ".5", ".123456789012"]))
    sign, (hours, minutes) = "-" if offset < 0 else "+", divmod(abs(offset), 60)
    zone = draw(st.sampled_from(["Z", "z", f"{sign}{hours:02}:{minutes:02}"]))
    return f"{at:%Y-%m-%d}{draw(st.sampled_from('Tt'))}{at:%H:%M:%S}{fraction}{zone}"


_BY_TYPE: dict[str, Callable[[Schema], Values]] = {
    "object": _objects, "array": _arrays, "integer": _integers, "number": _numbers, "string": _strings,
    "boolean": lambda _: st.booleans(),
}  # fmt: skip
