"""The transactional writer against a real broker: what it says where Kafka says no."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bike_assets.ingest import writer as module
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.writer import PartitionWriter
from bike_assets.local.broker import ensure_topics
from bike_assets.model.answers import Answer
from bike_assets.model.errors import BrokerUnavailable, Fenced, KafkaRefuses
from bike_assets_tests.ingest.builders import RANGES, TOO_MUCH
from bike_assets_tests.ingest.test_vehicles import polled
from bike_assets_tests.model.builders import vehicle_reading

NOON = datetime(2024, 3, 30, 12, tzinfo=UTC)
BODY = b'[{"number": 1, "name": "%s", "position": {"lat": 47.2, "lng": 6.0}, "status": "OPEN", "available_bikes": 3}]'


def answer(minute: int, name: bytes = b"Gare") -> Answer:
    return Answer("jcdecaux:made", "jcdecaux.v1.stations", NOON + timedelta(minutes=minute), body=BODY % name,
                  http_status=200, request_id=f"r{minute}")


@pytest.fixture
def writer(fresh_broker: str) -> Iterator[PartitionWriter]:
    """The writer of partition 0, opened."""
    ensure_topics(fresh_broker, 1)
    made = PartitionWriter(fresh_broker, 0, lambda _: Profile(timezone="Etc/UTC"))
    made.open()
    yield made
    made.close()


def other(writer: PartitionWriter) -> PartitionWriter:
    """Whoever takes the partition over."""
    return PartitionWriter(writer._servers, 0, writer._profile_of)


def next_minute(writer: PartitionWriter) -> int:
    known = writer.memories["jcdecaux:made"].observed_at.get("station_status", NOON)
    return (known - NOON) // timedelta(minutes=1) + 1


def test_a_writer_goes_on_from_what_another_committed(writer: PartitionWriter) -> None:
    minute = next_minute(writer)
    writer.write([answer(minute)])
    successor = other(writer)
    successor.open()
    assert next_minute(successor) == minute + 1
    assert [poll.outcome for poll in successor.write([answer(minute)])] == ["out_of_order"]
    successor.close()


def test_a_writer_goes_on_with_the_vehicles_that_another_committed(writer: PartitionWriter) -> None:
    """Those that are gone are forgotten by their topic too."""
    one, both = {"a": vehicle_reading()}, {"a": vehicle_reading(is_reserved=True), "b": vehicle_reading()}
    for minute, listed in enumerate((one, both, {"b": vehicle_reading()})):
        [poll] = writer.write([polled(NOON + timedelta(minutes=minute), listed)])
    assert (poll.feed, poll.outcome, poll.events) == ("vehicle_status", "ok", 1)
    successor = other(writer)
    successor.open()
    assert successor.memories["town"].vehicles == writer.memories["town"].vehicles
    assert successor.memories["town"].vehicles.known.keys() == {"b"}
    [poll] = successor.write([polled(NOON + timedelta(minutes=3), {"b": vehicle_reading()})])
    assert (poll.outcome, poll.events) == ("ok", 0)
    successor.close()


def test_a_writer_that_was_taken_over_is_told_so(writer: PartitionWriter) -> None:
    successor = other(writer)
    successor.open()
    with pytest.raises(Fenced, match="two pollers write to one Kafka"):
        writer.write([answer(next_minute(writer))])
    successor.close()


def test_a_transaction_that_outlived_its_time_is_taken_again(
    writer: PartitionWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker says "fenced" here too: by how long it lasted the two are told apart."""
    successor = other(writer)
    successor.open()
    monkeypatch.setattr(module, "TRANSACTION_S", 0.0)
    with pytest.raises(BrokerUnavailable):
        writer.write([answer(next_minute(writer))])
    successor.close()


def test_whatever_a_feed_says_kafka_takes_it(writer: PartitionWriter) -> None:
    answers = [Answer(f"city_{number}", feed, NOON, body=body, http_status=200, request_id="r")
               for number, (feed, body) in enumerate([*TOO_MUCH.values(), ("gbfs.vehicle_types", RANGES)])]  # fmt: skip
    assert [poll.rows_in - poll.rows_rejected for poll in writer.write(answers)] == [0] * len(answers)


def test_what_kafka_will_never_take_is_not_tried_again(
    writer: PartitionWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module._PRODUCER, "message.max.bytes", 1_000)
    writer.open()
    with pytest.raises(KafkaRefuses, match=r"^Kafka refuses what is written to partition 0: .*Message size too large"):
        writer.write([answer(next_minute(writer), b"x" * 1_500)])
