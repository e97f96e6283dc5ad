"""The fields of a body, as they are told."""

import json

import msgspec
import pytest

from bike_assets.model.messages import FeedField
from bike_assets.sources.shapes import shape_of
from bike_assets_tests.sources.builders import NOON, body_of, gbfs


def shape(body: bytes) -> list[FeedField]:
    return shape_of(body, "city", "any", NOON)


def test_a_field_is_told_with_how_many_have_it_and_between_which_numbers_they_lie() -> None:
    rows = [{"station_id": "a", "at": {"lat": 2.5}}, {"station_id": "b", "at": {"lat": 1}}, {"station_id": None}]
    told = [(each.path, each.objects, each.given, each.kind, each.low, each.median, each.high)
            for each in shape(gbfs({"stations": rows}, version=None))]  # fmt: skip
    assert told == [
        ("last_updated", 1, 1, "number", *[NOON.timestamp()] * 3),
        ("ttl", 1, 1, "number", 60, 60, 60),
        ("version", 1, 0, None, None, None, None),
        ("data", 1, 1, "object", None, None, None),
        ("data.stations", 1, 1, "list", None, None, None),
        ("data.stations[].station_id", 3, 2, "text", None, None, None),
        ("data.stations[].at", 3, 2, "object", None, None, None),
        ("data.stations[].at.lat", 2, 2, "number", 1, 1.75, 2.5),
    ]


@pytest.mark.parametrize(
    ("values", "kind"),
    [([True, False], "flag"), ([1, 2.5], "number"), (["2026-06-01T12:00:00Z"], "time"), (["Opera", ""], "text"),
     (["2026-06-01T12:00:00.5+02:00"], "time"), (["2026-06-01 12:00:00"], "text"), ([[], [1]], "list"),
     ([None], None), ([1, "1"], "mixed"), ([1] * 19 + ["1"], "number"), ([{}], "object")],
)  # fmt: skip
def test_a_kind_is_what_nearly_all_values_are(values: list[object], kind: str | None) -> None:
    field = shape(body_of([{"a": value} for value in values]))[0]
    assert (field.path, field.kind) == ("[].a", kind)


def test_the_words_of_a_field_of_few_are_told_in_their_order_and_of_no_other() -> None:
    rows = [{"status": "OPEN", "name": "A", "rental_methods": ["key", "phone"]}, {"status": "CLOSED", "name": "B"}]
    told = {each.path: each.words for each in shape(body_of(rows)) if each.words}
    assert told == {"[].status": '["CLOSED","OPEN"]', "[].rental_methods[]": '["key","phone"]'}
    assert not [each for each in shape(body_of([{"status": str(n)} for n in range(21)])) if each.words]
    assert not [each for each in shape(body_of([{"status": "x" * 61}])) if each.words]


def test_of_a_long_list_every_so_manieth_row_is_looked_at_and_of_many_fields_the_first() -> None:
    (field,) = shape(body_of([{"n": n} for n in range(5_000)]))
    assert (field.path, field.objects, field.low, field.median, field.high) == ("[].n", 1_667, 0, 2_499, 4_998)
    assert len(shape(body_of([{f"n{n}": n for n in range(1_000)}]))) == 150


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"error":1}', b'{"data":[1]}', b'{"data":null}', b"7"]
)
def test_what_is_no_feed_has_no_fields(body: bytes) -> None:
    assert shape(body) == []


@pytest.mark.parametrize(
    "row", [b"1e400", b'{"a":NaN}', b'{"a":' + b"9" * 400 + b"}", b'{"a.b":1,"":2,"c[]":3}', b"[" * 300 + b"]" * 300,
            b'{"a":' * 200 + b"1" + b"}" * 200, b'{"a":"\\ud83d"}', b'{"a":"\xc3"}', b"null",
            b'{"a":-1e300}'])  # fmt: skip
def test_odd_rows_cost_no_more_than_themselves(row: bytes) -> None:
    fields = shape(b"[" + b",".join([b'{"k":1}', row]) + b"]")
    assert json.dumps([msgspec.to_builtins(field) for field in fields], allow_nan=False)
    paths = [field.path for field in fields]
    assert len(set(paths)) == len(paths)
    assert "[].k" in paths
