"""Whatever goes wrong with an answer costs that poll alone, and leaves nothing of it but its record."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from bike_assets.ingest import records, taking
from bike_assets.ingest.memory import SystemMemory
from bike_assets.ingest.records import Atom, Record
from bike_assets.ingest.taking import _refuse_too_large
from bike_assets.model import topics
from bike_assets.model.answers import Answer
from bike_assets.model.errors import KafkaRefuses
from bike_assets.model.messages import Outcome
from bike_assets_tests.ingest.builders import RANGES, after, status
from bike_assets_tests.ingest.stand_in import StandInKafka, StandInWriter
from bike_assets_tests.ingest.test_lanes import Running, committed
from bike_assets_tests.model.builders import poll
from bike_assets_tests.oracle.made import Station

SAID = "lone \ud800 surrogate\nand a second line"
STEPS = ("read", "_follow", "detect", "_events_made", "_system", "_fields", "_poll_record",
         "_encode", "hour_of")  # fmt: skip
"""What taking an answer calls: any of them may meet what nobody thought of, before or after it did its work."""


def polls_of(minutes: range) -> list[Answer]:
    """A station comes, one goes, and the counts change at each poll; with an hour's edge at the 3rd."""
    town = [{"1": Station(n), "2": Station(9 - n)} | ({"3": Station(n)} if n % 2 else {}) for n in minutes]
    return [status(after(minutes=57 + n), town[n]) for n in minutes]


ANSWERS = polls_of(range(6))
BAD = 3


def raising_after(step: Callable[..., Any]) -> Callable[..., Any]:
    def raises(*given: Any, **more: Any) -> Any:
        step(*given, **more)
        raise ZeroDivisionError(SAID)

    return raises


@pytest.mark.parametrize("step", STEPS)
def test_a_poll_that_fails_leaves_nothing_but_its_record(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held against a town that was not asked at that moment at all."""
    kafka, other = StandInKafka(), StandInKafka()
    writer, wanted = kafka.writer(0), other.writer(0)
    for each in (writer, wanted):
        each.open()
    writer.write(ANSWERS[:BAD])
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(records, step, raising_after(getattr(records, step)))
        # What records a failure works: only what makes something of an answer is broken.
        patched.setattr(taking, "refuse", mended_before(patched))
        [poll] = writer.write([ANSWERS[BAD]])
    assert (poll.outcome, poll.events, poll.rows_accepted) == (Outcome.INVALID, 0, 0)
    assert poll.error == "taking it failed: ZeroDivisionError: lone ? surrogate"
    assert [(each["log_level"], each["exc_info"]) for each in logs] == [("error", True)]
    [rejection] = kafka.rows(topics.REJECTIONS)
    assert (rejection["row_index"], rejection["reason"]) == (-1, poll.error)
    assert rejection["payload"] == (ANSWERS[BAD].body or b"").decode()
    assert kafka.memories(0)["made_gbfs"].observed_at == writer.memories["made_gbfs"].observed_at
    writer.write(ANSWERS[BAD + 1 :])
    wanted.write(ANSWERS[:BAD] + ANSWERS[BAD + 1 :])
    for topic in (topics.STATION_STATUS, topics.STATION_INFORMATION, topics.FEED_FIELDS, topics.SYSTEM_INFORMATION):
        assert kafka.rows(topic) == other.rows(topic), topic.name
    good = [poll for poll in kafka.rows(topics.POLLS) if poll["outcome"] == "ok"]
    assert good == other.rows(topics.POLLS)
    assert kafka.memories(0) == other.memories(0) == remembered(writer) == remembered(wanted)


def mended_before(patched: pytest.MonkeyPatch) -> Callable[..., Any]:
    def refused(*given: Any) -> Any:
        patched.undo()
        return records.refuse(*given)

    return refused


def remembered(writer: StandInWriter) -> dict[str, SystemMemory]:
    """What a writer goes on from, but for the body before, which is in no topic."""
    return {system_id: replace(memory, last_poll=None) for system_id, memory in writer.memories.items()}


def test_the_lane_and_the_other_systems_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka, take = StandInKafka(), records.take

    def take_others(memory: Any, answer: Answer, profile: Any) -> Any:
        if answer.system_id == "bad":
            raise MemoryError
        return take(memory, answer, profile)

    monkeypatch.setattr(taking, "take", take_others)
    running = Running(kafka)
    for answer in ANSWERS:
        running.lane.put(replace(answer, system_id="bad"))
        running.put_and_wait(answer)
    running.lane.stop()
    running.lane.check()
    assert running.lane.report()["failing"] == {"bad station_status": "taking it failed: MemoryError: "}
    assert {row["system_id"] for row in kafka.rows(topics.STATION_STATUS)} == {"made_gbfs"}
    assert len(committed(kafka)) == sum(poll["events"] for poll in kafka.rows(topics.POLLS))
    outcomes = [poll["outcome"] for poll in kafka.rows(topics.POLLS) if poll["system_id"] == "bad"]
    assert outcomes == ["invalid"] * len(ANSWERS)


def test_a_message_that_kafka_would_not_take_is_found_before() -> None:
    kafka = StandInKafka()
    writer = kafka.writer(0)
    writer.open()
    types = Answer("made_gbfs", "gbfs.vehicle_types", after(minutes=1), body=RANGES, http_status=200, request_id="r")
    _, poll, _ = writer.write([status(), types, status(after(minutes=2))])
    said = r"taking it failed: KafkaRefuses: a message of vehicle_state would have \d{7} bytes, Kafka takes 1000000"
    assert re.fullmatch(said, poll.error or "")
    assert [row["outcome"] for row in kafka.rows(topics.POLLS)] == ["ok", "invalid", "ok"]
    assert max(len(record.key.encode()) + len(record.value or b"") for record in kafka.committed[0]) < 1_000_000
    assert writer.memories["made_gbfs"].vehicles.ranges_m == {}


def test_what_kafka_puts_round_a_message_is_counted_with_it() -> None:
    def atom(size: int) -> Atom:
        return Atom(poll(), [Record(topics.STATION_STATE, "oslo", b"x" * size)])

    _refuse_too_large(atom(998_900))
    with pytest.raises(KafkaRefuses, match="would have 999001 bytes"):
        _refuse_too_large(atom(998_985))


def test_what_cannot_be_read_back_is_left_out_told_and_counted() -> None:
    kafka = StandInKafka()
    first = kafka.writer(0)
    first.open()
    first.write([*ANSWERS[:2], *(replace(answer, system_id="other") for answer in ANSWERS[:2])])
    broken = {"made_gbfs/1": b'{"system_id": "made_gbfs"}', "made_gbfs/2": b"\xff", "nobody": b"{"}
    kafka.committed[0] += [records.Record(topics.STATION_STATE, key, value) for key, value in broken.items()]
    after_it = kafka.writer(0)
    with capture_logs() as logs:
        after_it.open()
    assert {each["key"] for each in logs} == set(broken)
    assert after_it.memories.unreadable == len(broken)
    assert after_it.memories["made_gbfs"].stations.keys() == {"3"}
    assert remembered(after_it)["other"] == remembered(first)["other"]
    [poll] = after_it.write([ANSWERS[2]])
    assert (poll.outcome, poll.events) == (Outcome.OK, 3)
