"""Topics to tables: each message once, and none as a row of nulls."""

import json
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyspark.sql import SparkSession

from bike_assets.lake import maintenance
from bike_assets.lake.duck import connect
from bike_assets.lake.tables import OpenTables, ensure_table, row_count
from bike_assets.model.messages import Order
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_TABLES
from bike_assets.model.topics import ORDERS, POLLS, REJECTIONS, STATION_STATUS, TOPICS, USERS_CREATED
from bike_assets.stream import events
from bike_assets.stream.events import checkpoint_path, starting_offsets, write_batch
from bike_assets.stream.floors import raise_floors
from bike_assets.stream.messages import is_tombstone
from bike_assets_tests.model.builders import user
from bike_assets_tests.stream.builders import Message, batch, poll, status

REJECTION = (
    b'{"system_id":"oslo","feed":"station_status","fetched_at":"2026-05-04T12:00:00Z","row_index":3,'
    b'"reason":"bad_field: x","payload":"{}"}'
)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """An empty lake, with the checkpoint of a query that was started once."""
    for table in EVENTS_TABLES:
        ensure_table(tmp_path, table)
    checkpoint_path(tmp_path).mkdir(parents=True)
    (checkpoint_path(tmp_path) / "metadata").write_text(json.dumps({"id": "the query"}))
    return tmp_path


@pytest.fixture(params=[events.FEW_MESSAGES, -1], ids=["few", "many"])
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two ways to write a batch."""
    monkeypatch.setattr(events, "FEW_MESSAGES", request.param)


def ask(lake: Path, query: str) -> list[tuple[Any, ...]]:
    with connect(lake) as con:
        return con.execute(query).fetchall()


@pytest.mark.usefixtures("writer")
def test_messages_become_rows_with_the_place_where_they_stood(spark: SparkSession, lake: Path) -> None:
    messages = batch(
        spark,
        Message(STATION_STATUS, status(bikes=7), partition=2, offset=41),
        Message(POLLS, poll(), partition=2, offset=9),
    )
    rows: Counter[str] = Counter()
    write_batch(messages, 0, OpenTables(lake), rows)
    columns = "station_id, bikes_available, utc_date, kafka_partition, kafka_offset"
    found = ask(lake, f"SELECT {columns} FROM events.station_status")  # noqa: S608
    assert [(*row[:2], str(row[2]), *row[3:]) for row in found] == [("1", 7, "2026-05-04", 2, 41)]
    assert ask(lake, "SELECT outcome, kafka_offset FROM events.polls") == [("ok", 9)]
    assert rows == {"events/station_status": 1, "events/polls": 1}


@pytest.mark.usefixtures("writer")
def test_a_batch_that_comes_again_is_passed_over(spark: SparkSession, lake: Path) -> None:
    messages = batch(spark, Message(STATION_STATUS, status()), Message(POLLS, poll()))
    write_batch(messages, 0, OpenTables(lake), Counter())
    write_batch(messages, 0, OpenTables(lake), Counter())
    assert ask(lake, "SELECT count(*) FROM events.station_status") == [(1,)]
    assert ask(lake, "SELECT count(*) FROM events.polls") == [(1,)]


def test_batches_leave_few_files_and_a_broken_one_holds_none_of_them_up(
    spark: SparkSession, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "GATHERED_AT", 2)
    tables = OpenTables(lake)
    for number in range(2):
        write_batch(batch(spark, Message(POLLS, poll())), number, tables, Counter())
    (whole,) = tables.newest(EVENTS_POLLS).file_uris()
    Path(whole).write_bytes(b"PAR1")
    write_batch(batch(spark, Message(POLLS, poll())), 2, tables, Counter())
    assert row_count(lake, EVENTS_POLLS) == 3
    assert whole in tables.newest(EVENTS_POLLS).file_uris()


@pytest.mark.parametrize("ways", [(-1, 9), (9, -1)], ids=["many, then few", "few, then many"])
def test_a_batch_that_was_written_in_the_one_way_is_passed_over_by_the_other(
    spark: SparkSession, lake: Path, monkeypatch: pytest.MonkeyPatch, ways: tuple[int, int]
) -> None:
    for few in (*ways, *ways):
        monkeypatch.setattr(events, "FEW_MESSAGES", few)
        both = batch(spark, Message(STATION_STATUS, status()), Message(POLLS, poll()))
        write_batch(both, 0, OpenTables(lake), Counter())
    assert ask(lake, "SELECT count(*) FROM events.station_status") == [(1,)]
    assert ask(lake, "SELECT count(*) FROM events.polls") == [(1,)]


@pytest.mark.usefixtures("writer")
def test_a_batch_that_was_broken_off_between_two_tables_is_completed(spark: SparkSession, lake: Path) -> None:
    both = batch(spark, Message(STATION_STATUS, status()), Message(POLLS, poll()))
    write_batch(both.where("topic = 'station_status'"), 0, OpenTables(lake), Counter())
    write_batch(both, 0, OpenTables(lake), Counter())
    assert ask(lake, "SELECT count(*) FROM events.station_status") == [(1,)]
    assert ask(lake, "SELECT count(*) FROM events.polls") == [(1,)]


@pytest.mark.parametrize(
    "value",
    [
        b"no JSON",
        b'{"system_id":"oslo"}',
        b'{"system_id":"oslo","station_id":"1","observed_at":"no time"}',
        b"[]",
        b"",
        status().replace(b'"bikes_available":5', b'"bikes_available":"five"'),
    ],
    ids=["no JSON", "fields missing", "no time", "an array", "empty", "text for a number"],
)
def test_a_message_that_is_not_its_topics_is_rejected_and_the_others_are_kept(
    spark: SparkSession, lake: Path, value: bytes
) -> None:
    messages = batch(
        spark,
        Message(STATION_STATUS, status(), offset=1),
        Message(STATION_STATUS, value, offset=2, key=b"oslo/1"),
        Message(STATION_STATUS, status(station_id="2"), offset=3),
    )
    write_batch(messages, 0, OpenTables(lake), Counter())
    assert ask(lake, "SELECT station_id FROM events.station_status ORDER BY 1") == [("1",), ("2",)]
    rejected = ask(lake, "SELECT system_id, feed, row_index, reason, payload FROM events.rejections")
    place = "unreadable_message: topic station_status, partition 0, offset 2"
    assert rejected == [("oslo", "station_status", -1, place, value.decode())]


@pytest.mark.usefixtures("writer")
def test_what_the_poller_rejected_and_what_could_not_be_read_are_kept_together(
    spark: SparkSession, lake: Path
) -> None:
    messages = batch(
        spark, Message(REJECTIONS, REJECTION, offset=5), Message(POLLS, b"no JSON", offset=6)
    )
    write_batch(messages, 0, OpenTables(lake), Counter())
    assert ask(lake, "SELECT row_index FROM events.rejections ORDER BY 1") == [(-1,), (3,)]


def test_members_become_rows_of_their_table_and_nothing_of_a_broken_one_is_kept(
    spark: SparkSession, lake: Path
) -> None:
    messages = batch(
        spark,
        Message(USERS_CREATED, msgspec.json.encode(user()), offset=1, key=b"a hash"),
        Message(USERS_CREATED, b'{"email": "canary@example.com"}', offset=2, key=b"a hash"),
    )
    rows: Counter[str] = Counter()
    write_batch(messages, 0, OpenTables(lake), rows)
    assert ask(lake, "SELECT city, kafka_offset FROM events.users") == [("Oslo", 1)]
    assert ask(lake, "SELECT feed, payload FROM events.rejections") == [("users_created", None)]
    assert rows["events/users"] == 1


def test_without_a_checkpoint_it_goes_on_behind_what_each_table_holds(spark: SparkSession, lake: Path) -> None:
    messages = batch(
        spark,
        Message(STATION_STATUS, status(), partition=0, offset=10),
        Message(STATION_STATUS, b"no JSON", partition=0, offset=11),
        Message(POLLS, poll(), partition=1, offset=4),
        Message(REJECTIONS, REJECTION, partition=1, offset=7),
    )
    write_batch(messages, 0, OpenTables(lake), Counter())
    offsets = starting_offsets(spark, lake, {topic.name: 2 for topic in TOPICS})
    assert offsets["station_status"] == {"0": 12, "1": -2}
    assert offsets["polls"] == {"0": -2, "1": 5}
    assert offsets["rejections"] == {"0": -2, "1": 8}


def test_what_was_replaced_is_not_read_again_without_a_checkpoint(spark: SparkSession, lake: Path) -> None:
    """Its rows are gone, and with them the offsets by which a table tells how far it is."""
    write_batch(batch(spark, Message(REJECTIONS, REJECTION, offset=7)), 0, OpenTables(lake), Counter())
    raise_floors(lake, {"rejections": {"0": 9, "1": 3}, "polls": {"0": 5}})
    offsets = starting_offsets(spark, lake, {topic.name: 2 for topic in TOPICS})
    assert offsets["rejections"] == {"0": 9, "1": 3}
    assert offsets["polls"] == {"0": 5, "1": -2}
    raise_floors(lake, {"rejections": {"0": 2}})
    assert starting_offsets(spark, lake, {topic.name: 2 for topic in TOPICS})["rejections"] == {"0": 8, "1": -2}


def test_a_message_that_forgets_a_key_is_told_from_one_that_cannot_be_read(spark: SparkSession) -> None:
    """Only compacted topics have the one; in the others a message without a value is nobody's."""
    rows = [(topic, value) for topic in ("station_information", "station_status") for value in (None, bytearray(b"{}"))]
    messages = spark.createDataFrame(rows, "topic string, value binary")
    found = messages.where(is_tombstone()).collect()
    assert [(row["topic"], row["value"]) for row in found] == [("station_information", None)]


def test_a_checkpoint_without_an_offset_is_none(
    spark: SparkSession, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkpoint_path(lake) / "offsets").mkdir()
    asked = []

    def starting(*given: object) -> dict[str, dict[str, int]]:
        asked.append(given)
        return {}

    monkeypatch.setattr(events, "starting_offsets", starting)
    with suppress(Exception):  # no offsets are given, so Spark's source refuses: only who was asked counts
        events.events_query(spark, lake, "127.0.0.1:1", {}, Counter())
    assert len(asked) == 1


@pytest.mark.usefixtures("writer")
def test_an_orders_amount_is_exact_in_its_table_and_its_day_is_the_one_it_was_made_in(
    spark: SparkSession, lake: Path
) -> None:
    order = Order(
        order_id="A-1", version=2, customer_id="c1", source="shop", quantity=3, total=Decimal("9999999999.99"),
        created_at=datetime(2026, 5, 3, 23, 59, 59, 999000, tzinfo=UTC),
    )  # fmt: skip
    write_batch(batch(spark, Message(ORDERS, msgspec.json.encode(order), 1, 7, b"A-1")), 0, OpenTables(lake), Counter())
    found = ask(lake, "SELECT order_id, version, total, created_at, utc_date, kafka_offset FROM events.orders")
    assert found == [("A-1", 2, order.total, order.created_at, date(2026, 5, 3), 7)]
