"""A body that is read by what moved in its text is the body as a whole decode reads it, whatever stands in it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bike_assets.model.answers import StationPoll
from bike_assets.model.errors import FeedMalformed
from bike_assets.sources.gbfs import feeds
from bike_assets.sources.gbfs.v2 import GBFS_2
from bike_assets.sources.jcdecaux import v1
from bike_assets.sources.rows import from_milliseconds
from bike_assets_tests.sources.builders import NOON_S, jcdecaux_row, status_row

Rows = list[dict[str, Any]]
Parse = Callable[[bytes, StationPoll | None], StationPoll]

ODD = ['}, {"', '"last_update":1400000000000,', '\\"last_reported":1', "é\U0001f6b2", "a" * 40, "", "{", "},"]
"""Texts in which a reader by text could see what is none."""


def by_jcdecaux(body: bytes, before: StationPoll | None) -> StationPoll:
    return v1.parse_stations(body, "jcdecaux:lyon", before)


def by_gbfs(body: bytes, before: StationPoll | None) -> StationPoll:
    return GBFS_2.parse_station_status(body, "city", frozenset({"e"}), before)


def said(parse: Parse, body: bytes, before: StationPoll | None = None) -> Any:
    """All that is known of a body once it is read; or why it cannot be."""
    try:
        poll = parse(body, before)
    except FeedMalformed as err:
        return err.reason
    rows = [poll.read(place) for place in range(len(poll.rows))]
    times = [poll.reported_at(place) for place in range(len(poll.rows))]
    return rows, times, list(map(poll.id_of, poll.rows)), poll.feed_updated_at, poll.rows_in, list(poll.rejected)


def good_poll(parse: Parse, body: bytes, before: StationPoll | None) -> StationPoll | None:
    """What the poller would remember: the last body that could be read."""
    try:
        return parse(body, before)
    except FeedMalformed:
        return before


counts = st.integers(-1, 30) | st.sampled_from([None, 999, 10**7, "5", True, 1.0])
texts = st.sampled_from(ODD) | st.text(max_size=5)
odd_times = st.sampled_from([None, 0, -1, 5, 10**12, 10**17, "x", 1.5e9])
milliseconds = st.integers(NOON_S * 1000, NOON_S * 1000 + 10**6) | odd_times
seconds = st.integers(NOON_S, NOON_S + 1000) | odd_times
types = st.lists(st.fixed_dictionaries({"vehicle_type_id": st.sampled_from("em"), "count": st.integers(0, 3)}),
                 max_size=2)  # fmt: skip

JCDECAUX_FIELDS = {
    "available_bikes": counts, "available_bike_stands": counts, "last_update": milliseconds, "name": texts,
    "number": st.integers(1, 4), "status": st.sampled_from(["OPEN", "CLOSED", 1]), "more": texts,
    "nested": st.fixed_dictionaries({"last_update": milliseconds}),
}  # fmt: skip
GBFS_FIELDS = {
    "num_bikes_available": counts, "num_docks_available": counts, "last_reported": seconds,
    "station_id": st.sampled_from(["1", "2", "3", *ODD]), "is_renting": st.sampled_from([True, False, 1]),
    "vehicle_types_available": types, "nested": st.fixed_dictionaries({"last_reported": seconds}),
}  # fmt: skip


def jcdecaux_body(rows: Rows, style: dict[str, Any], updated: int) -> bytes:
    return json.dumps(rows, **style).encode("utf-8", "surrogatepass")


def gbfs_body(rows: Rows, style: dict[str, Any], updated: int) -> bytes:
    feed = {"last_updated": updated, "ttl": 60, "version": "2.3", "data": {"stations": rows}}
    return json.dumps(feed, **style).encode("utf-8", "surrogatepass")


STYLES = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])


@st.composite
def sequences(draw: st.DrawFn, first: Rows, fields: dict[str, Any], write: Callable[..., bytes]) -> list[bytes]:
    """Bodies of one feed in a row: mostly times that move, now and then a value, a row, the style or some bytes."""
    rows, style = first, draw(STYLES)
    bodies = [write(rows, style, NOON_S)]
    for number in range(draw(st.integers(1, 4))):
        rows = [dict(row) for row in rows]
        for _ in range(draw(st.integers(0, 3))):
            if rows:
                name = draw(st.sampled_from(sorted(fields)))
                draw(st.sampled_from(rows))[name] = draw(fields[name])
        match draw(st.integers(0, 9)):
            case 0 if rows:
                del rows[draw(st.integers(0, len(rows) - 1))]
            case 1:
                rows.append(dict(draw(st.sampled_from(first))))
            case 2:
                rows = draw(st.permutations(rows))
            case 3:
                style = draw(STYLES)
        body = write(rows, style, NOON_S + number)
        if draw(st.integers(0, 4)) == 0:
            at = draw(st.integers(0, len(body)))
            new = draw(st.binary(max_size=3) | st.sampled_from([b'"', b"}", b",", b"{", b"\\", b"1", b'"a":1,']))
            body = body[:at] + new + body[at + draw(st.integers(0, 3)) :]
        bodies.append(body)
    return bodies


def decoded_whole(parse: Parse, body: bytes) -> Any:
    """What is known of a body that is not taken apart at all."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (v1, feeds):
            patch.setattr(module, "take_apart", lambda *_: None)
        return said(parse, body)


def agree(parse: Parse, bodies: list[bytes]) -> None:
    before: StationPoll | None = None
    for body in bodies:
        assert said(parse, body, before) == said(parse, body) == decoded_whole(parse, body)
        before = good_poll(parse, body, before)


@settings(max_examples=400, deadline=None)
@given(sequences([jcdecaux_row(number=number) for number in (1, 2, 3)], JCDECAUX_FIELDS, jcdecaux_body))
def test_bodies_of_jcdecaux_read_one_after_the_other_are_as_each_alone(bodies: list[bytes]) -> None:
    agree(by_jcdecaux, bodies)


@settings(max_examples=400, deadline=None)
@given(sequences([status_row(station_id=id_) for id_ in ("1", "2", "3")], GBFS_FIELDS, gbfs_body))
def test_bodies_of_gbfs_read_one_after_the_other_are_as_each_alone(bodies: list[bytes]) -> None:
    agree(by_gbfs, bodies)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([None, 0, -1, -(10**12), 10**12, NOON_S]) |
                            st.integers(NOON_S * 1000, NOON_S * 1000 + 5)] * 2), min_size=2, max_size=4))
def test_times_that_are_none_are_none_however_a_body_is_read(times: list[tuple[int | None, int | None]]) -> None:
    """A last report that is null, 0, negative or in another unit, of one station or of all: both paths say the same."""
    bodies = [jcdecaux_body([jcdecaux_row(number=number, last_update=time) for number, time in enumerate(each)], {}, 0)
              for each in times]
    agree(by_jcdecaux, bodies)
    for body, each in zip(bodies, times, strict=True):
        good = [time for time in each if time and time > 946_684_800_000]  # 2000
        at = from_milliseconds(max(good, default=None))
        assert by_jcdecaux(body, None).feed_updated_at == at


@pytest.mark.parametrize(("parse", "row", "own_time", "write"), [
    (by_jcdecaux, jcdecaux_row, "last_update", jcdecaux_body), (by_gbfs, status_row, "last_reported", gbfs_body),
])  # fmt: skip
def test_a_row_whose_text_stands_is_not_decoded_again(
    parse: Parse, row: Callable[..., dict[str, Any]], own_time: str, write: Callable[..., bytes]
) -> None:
    ids = [{"number": 1, "station_id": "1"}, {"number": 2, "station_id": "2"}]
    rows = [row(**each) for each in ids]
    before = parse(write(rows, {}, NOON_S), None)
    later = [each | {own_time: each[own_time] + 60} for each in rows]
    after = parse(write(later, {}, NOON_S + 60), before)
    assert [now is then for now, then in zip(after.rows, before.rows, strict=True)] == [True, True]
    assert [after.reported_at(place) for place in (0, 1)] != [before.reported_at(place) for place in (0, 1)]
    bikes = "available_bikes" if parse is by_jcdecaux else "num_bikes_available"
    changed = parse(write([later[0], later[1] | {bikes: 1}], {}, NOON_S + 120), after)
    assert [now is then for now, then in zip(changed.rows, after.rows, strict=True)] == [True, False]
    assert changed.read(1).reading.bikes_available == 1


def test_a_time_within_a_row_is_not_the_rows_own() -> None:
    rows = [status_row(station_id="1"), status_row(station_id="2", last_reported=NOON_S + 0.5)]
    agree(by_gbfs, [gbfs_body([rows[0], rows[1] | {"nested": {"last_reported": NOON_S + more}}], {}, NOON_S)
                    for more in (0, 60, 120)])  # fmt: skip
