"""What was refused, counted and shown."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from bike_assets.lake.duck import connect
from bike_assets.lake.rejections import TABLES, by_reason, first_rejected, newest
from bike_assets.model.messages import Outcome
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_REJECTIONS
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, poll, rejection

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A row of Oslo refused in two polls, a duplicate in each of two, a body of Bergen, and a message of nobody."""
    write_messages(
        tmp_path, EVENTS_REJECTIONS,
        rejection(reason="bad_field: x", payload="first"),
        rejection(reason="bad_field: x", payload="second", fetched_at=NOON + MINUTE),
        rejection(reason="duplicate: 7 stands in this answer twice", row_index=1, fetched_at=NOON + MINUTE),
        rejection(reason="duplicate: 8 stands in this answer twice", row_index=2, fetched_at=NOON + DAY),
        rejection(system_id="bergen", feed="station_information", row_index=-1, reason="no JSON", payload=None),
        rejection(reason="unreadable_message: topic polls, partition 0, offset 7", fetched_at=NOON - MINUTE),
    )
    write_messages(tmp_path, EVENTS_POLLS, poll(rows_in=3, rows_rejected=2, fetched_at=NOON + MINUTE),
                   poll(system_id="bergen", feed="station_information", outcome=Outcome.INVALID))
    with connect(tmp_path, TABLES) as made:
        yield made


def test_rows_are_counted_by_reason_without_what_is_of_one_row(con: duckdb.DuckDBPyConnection) -> None:
    found = [(each["system_id"], each["reason"], each["rows"]) for each in by_reason(con)]
    assert found == [("oslo", "bad_field: x", 2), ("oslo", "duplicate", 2), ("bergen", "no JSON", 1),
                     ("oslo", "unreadable_message", 1)]


def test_each_group_has_its_first_its_last_and_the_newest_as_an_example(con: duckdb.DuckDBPyConnection) -> None:
    [found] = by_reason(con, "oslo", "station_status", NOON, NOON + MINUTE * 2)[:1]
    assert (found["first_at"], found["last_at"], found["example"]) == (NOON, NOON + MINUTE, "second")


def test_only_what_is_asked_for_is_counted(con: duckdb.DuckDBPyConnection) -> None:
    assert [each["system_id"] for each in by_reason(con, feed="station_information")] == ["bergen"]
    assert [(each["reason"], each["rows"]) for each in by_reason(con, since=NOON + DAY)] == [("duplicate", 1)]
    assert sum(each["rows"] for each in by_reason(con, until=NOON)) == 1
    assert by_reason(con, "trondheim") == []


def test_the_newest_rows_come_first_with_their_poll(con: duckdb.DuckDBPyConnection) -> None:
    found = newest(con, 3, "oslo")
    assert [(each["fetched_at"], each["row_index"]) for each in found] == [
        (NOON + DAY, 2), (NOON + MINUTE, 0), (NOON + MINUTE, 1)]
    assert [(each["outcome"], each["rows_in"]) for each in found] == [(None, None), ("ok", 3), ("ok", 3)]
    assert newest(con, 9, "bergen")[0] | {"payload": None, "outcome": "invalid"} == newest(con, 9, "bergen")[0]


def test_the_first_poll_that_lost_something_is_one_of_a_feed(con: duckdb.DuckDBPyConnection) -> None:
    assert first_rejected(con, "oslo", None, NOON - DAY) == NOON
    assert first_rejected(con, "oslo", "station_status", NOON + MINUTE * 2) == NOON + DAY
    assert first_rejected(con, "oslo", "station_information", NOON - DAY) is None
