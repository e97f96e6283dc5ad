"""The check of drift finds what looking at each body finds, whatever the bodies are."""

from datetime import timedelta

import duckdb
import msgspec
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bike_assets.lake.tables import arrow_schema
from bike_assets.model.messages import FeedField
from bike_assets.model.tables import EVENTS_FEED_FIELDS
from bike_assets.quality.drift import feeds_do_not_drift
from bike_assets_tests.model.builders import NOON, feed_field
from bike_assets_tests.oracle.drift import Drifted, drifts

PATHS = ("data[].lat", "data[].lon", "data[].capacity", "data[].count", "data[].at.unit", "data[].tags[]", "ttl_of")
PLACES = st.sampled_from([0.0, 0.4, 10.7, 11.2, 59.9, -59.9, 599.0])


@st.composite
def some_fields(draw: st.DrawFn) -> list[FeedField]:
    """Bodies some hours or days apart, in which fields come, go, and hold one of a few values."""
    at, found = NOON, []
    for _ in range(draw(st.integers(2, 14))):
        at += timedelta(hours=draw(st.sampled_from([1, 5, 24, 70, 168])))
        for path in draw(st.lists(st.sampled_from(PATHS), min_size=1, unique=True)):
            median = draw(PLACES)
            values = {"low": median, "median": median, "high": draw(st.sampled_from([median, abs(median) + 1]))}
            kind = draw(st.sampled_from(["number", "number", "number", "text", "mixed", None]))
            given = draw(st.sampled_from([10, 10, 10, 9, 1, 0])) if kind else 0
            numbers = values if kind == "number" else dict.fromkeys(values)
            found.append(feed_field(fetched_at=at, path=path, objects=10, given=given, kind=kind, **numbers))
    return found


def checked(fields: list[FeedField]) -> set[Drifted]:
    rows = [msgspec.structs.asdict(each) | {"utc_date": each.fetched_at.date()} for each in fields]
    with duckdb.connect() as con:
        con.load_extension("icu")
        con.execute("SET TimeZone = 'UTC'; CREATE SCHEMA events")
        con.register("rows", pa.Table.from_pylist(rows, arrow_schema(EVENTS_FEED_FIELDS)))
        con.execute("CREATE TABLE events.feed_fields AS FROM rows")
        con.execute("CREATE TABLE events.polls AS SELECT system_id, feed, fetched_at, utc_date FROM rows")
        found = con.sql(feeds_do_not_drift(con).query).project(", ".join(Drifted._fields))
        return {Drifted(*row) for row in found.fetchall()}


RENAMED = [
    feed_field(fetched_at=NOON + timedelta(hours=hour), path=path, objects=10, given=10, kind="number", low=0.0,
               median=0.0, high=0.0)
    for hour, path in ((1, "data[].count"), (2, "data[].count"), (3, "data[].lat"))
]  # fmt: skip
"""Where no field is in all bodies, one that is in most is missed too."""


@settings(max_examples=60, deadline=None)
@given(fields=some_fields())
@example(RENAMED)
def test_the_check_finds_what_a_look_at_each_body_finds(fields: list[FeedField]) -> None:
    found = {each._replace(**{name: getattr(each, name).astimezone(NOON.tzinfo) for name in
                              ("before_at", "first_at", "last_at")}) for each in checked(fields)}  # fmt: skip
    assert found == drifts(fields)
