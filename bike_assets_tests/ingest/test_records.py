"""Which answers are good, and what an answer writes."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from bike_assets.ingest import detect as detecting
from bike_assets.ingest import records as recording
from bike_assets.ingest.memory import SystemMemory
from bike_assets.ingest.records import _judge_parsed
from bike_assets.model import topics
from bike_assets.model.answers import ALL_CONTRACTS, Answer
from bike_assets.model.messages import Rejection
from bike_assets_tests.ingest.builders import GBFS, JCDECAUX, TOO_MUCH, TOWN, after, decoded, poll_of, status, taken
from bike_assets_tests.ingest.stand_in import StandInKafka, replay
from bike_assets_tests.model.builders import NOON, reading
from bike_assets_tests.oracle.made import NO_JSON, Station
from bike_assets_tests.sources.builders import answer, stations, status_row


def outcomes(*answers: Answer) -> list[str]:
    memory = SystemMemory(answers[0].system_id)
    return [str(taken(memory, each).poll.outcome) for each in answers]


def test_a_time_in_the_far_future_judges_nobody() -> None:
    """A broken clock: otherwise each poll until then would be called stale."""
    tomorrow = status(after(minutes=1), updated=after(days=1))
    memory = SystemMemory(tomorrow.system_id)
    taken(memory, status(NOON))
    assert taken(memory, tomorrow).poll.feed_updated_at == after(days=1)
    assert (memory.feed_updated_at, memory.feed_has_advanced) == (None, False)
    assert outcomes(tomorrow, status(after(minutes=2)), status(after(minutes=3))) == ["ok", "ok", "ok"]


def test_a_time_within_the_longest_gap_is_taken_at_its_word() -> None:
    ahead = status(NOON, updated=after(minutes=30))
    assert outcomes(ahead, status(after(minutes=29))) == ["ok", "stale"]
    assert outcomes(ahead, status(after(minutes=31))) == ["ok", "ok"]


def test_the_newest_report_may_step_back_when_its_station_vanishes_and_is_stale_until_another_reports() -> None:
    """DESIGN's definition, by the newest `last_update`: one poll is lost, and the next report ends it."""
    def poll(at: int, **reports: int) -> Answer:
        line = JCDECAUX.poll(after(minutes=at), {name[1:]: Station() for name in reports})
        for row, minute in zip(line["body"], reports.values(), strict=True):
            row["last_update"] = int(after(minutes=minute).timestamp() * 1000)
        return decoded(line)

    assert outcomes(poll(1, s1=-5, s2=0), poll(2, s1=-5), poll(3, s1=3)) == ["ok", "stale", "ok"]


def test_a_304_confirms_only_what_is_known() -> None:
    described = decoded(GBFS.information(after(minutes=2), {"1": "Square"}))
    of = {minute: decoded(GBFS.not_modified(after(minutes=minute), "station_information")) for minute in (0, 1, 3)}
    assert outcomes(of[0], of[1], described, of[3]) == ["invalid", "invalid", "ok", "not_modified"]


def test_an_answer_that_is_not_newer_leaves_a_record_and_moves_nothing() -> None:
    memory = SystemMemory(status().system_id)
    taken(memory, status(after(minutes=1)))
    before = memory.as_state()
    late = taken(memory, status(NOON, {"1": Station(9)}))
    assert (late.poll.outcome, [record.topic.name for record in late.records]) == ("out_of_order", ["polls"])
    assert memory.as_state() == before


@pytest.mark.parametrize("given", [{"status": 503}, {"error": "timeout: 20 s"}, {"body_base64": NO_JSON}])
def test_a_poll_that_is_not_good_writes_no_event_and_moves_only_its_time(given: dict[str, Any]) -> None:
    memory = SystemMemory(status().system_id)
    taken(memory, status(NOON))
    bad = taken(memory, decoded(GBFS.line(after(hours=1), **given)))
    assert {record.topic.name for record in bad.records} <= {"polls", "station_state", "rejections"}
    assert (bad.poll.stations, bad.poll.events) == (None, 0)
    assert (memory.last_good_poll_at, memory.observed_at["station_status"]) == (NOON, after(hours=1))


def test_a_body_that_is_refused_is_kept_among_the_rejections() -> None:
    [record] = [each for each in taken(SystemMemory("made_gbfs"), decoded(GBFS.line(NOON, body_base64=NO_JSON))).records
                if each.topic is topics.REJECTIONS]
    row = msgspec.json.decode(record.value or b"")
    assert (row["row_index"], row["payload"][:6]) == (-1, "<html>")


def test_rows_without_a_contract_are_rejected_and_never_missed() -> None:
    """They stand under the id of all contracts, which is no contract that the next answer should hold."""
    lines = [JCDECAUX.poll(NOON + timedelta(minutes=n), TOWN) | {"system_id": ALL_CONTRACTS} for n in range(3)]
    for row in lines[0]["body"]:
        del row["contract_name"]
    kafka = StandInKafka()
    for line in lines:
        replay(kafka, [decoded(line)])
    polls = [(row["system_id"], row["outcome"], row["rows_rejected"]) for row in kafka.rows(topics.POLLS)]
    assert sorted(polls) == [("jcdecaux", "ok", 2), ("jcdecaux:made", "ok", 0), ("jcdecaux:made", "ok", 0)]


@pytest.mark.parametrize("what", TOO_MUCH)
def test_no_answer_makes_a_record_that_kafka_refuses_nor_more_records_than_memory_has_room_for(what: str) -> None:
    """Either would end the lane, and with it the polls of every other system."""
    atom = taken(SystemMemory("city"), answer(*TOO_MUCH[what]))
    assert max(len(record.value or b"") for record in atom.records) < 200_000
    fields = [record for record in atom.records if record.topic is topics.FEED_FIELDS]
    assert len(atom.records) - len(fields) < 10
    assert len(fields) < 20, "those of the body, however many its rows are"
    assert atom.poll.rows_in == atom.poll.rows_accepted + atom.poll.rows_rejected
    assert (atom.poll.outcome, len(atom.poll.error or "x") <= 1_000) == ("ok" if what == "a row" else "invalid", True)


def test_rejected_rows_are_all_told_and_the_bytes_of_as_many_as_there_is_room_for() -> None:
    """Else one feed that is wrong in each row would fill Kafka with copies of its bodies."""
    rows = [{"number": number, "why": "é" * 3_000} for number in range(1, 500)]
    body = json.dumps([{"number": 0, "why": "é" * 20_000}, *rows], ensure_ascii=False).encode()
    atom = taken(SystemMemory("city"), answer("jcdecaux.v1.stations", body))
    told = [msgspec.json.decode(each.value or b"", type=Rejection) for each in atom.records
            if each.topic is topics.REJECTIONS]  # fmt: skip
    assert [each.row_index for each in told] == list(range(500))
    assert atom.poll.rows_rejected == 500
    assert {each.reason for each in told} == {"bad_field: Object missing required field name"}
    payloads = [each.payload for each in told if each.payload is not None]
    assert [len(each) for each in payloads[:2]] == [10_000, len(payloads[1])]
    assert 990_000 < sum(map(len, payloads)) <= 1_000_000
    assert [each.payload for each in told[len(payloads) :]] == [None] * (500 - len(payloads))


def test_the_reason_of_a_row_without_its_bytes_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "PAYLOADS_CHARACTERS", 0)
    row = status_row(station_id="a" * 1_500)
    atom = taken(SystemMemory("city"), answer("gbfs.station_status", stations(row, row)))
    [told] = [msgspec.json.decode(each.value or b"", type=Rejection) for each in atom.records
              if each.topic is topics.REJECTIONS]  # fmt: skip
    assert (len(told.reason), told.payload, told.row_index) == (200, None, 1)


def test_types_that_become_known_make_the_same_body_another_reading() -> None:
    lines = [GBFS.poll(after(minutes=n), TOWN) for n in (0, 2)]
    for line in lines:
        for row in line["body"]["data"]["stations"]:
            row["vehicle_types_available"] = [{"vehicle_type_id": "e", "count": row["num_bikes_available"]}]
    types = [{"vehicle_type_id": "e", "form_factor": "bicycle", "propulsion_type": "electric"}]
    told = GBFS.line(after(minutes=1), "vehicle_types",
                     body={"last_updated": 1, "ttl": 0, "version": "2.3", "data": {"vehicle_types": types}})
    memory = SystemMemory("made_gbfs")
    polls = [taken(memory, decoded(line)).poll for line in (lines[0], told, lines[1])]
    assert [(poll.events, poll.ebikes_available) for poll in polls] == [(2, None), (0, None), (2, 3)]


def test_types_that_are_broken_or_gone_stay_what_they_were() -> None:
    """Else all e-bikes of a city would be none, by one bad row of a file that is asked once a day."""
    def told(minute: int, *types: dict[str, Any]) -> Answer:
        body = {"last_updated": 1, "ttl": 0, "version": "2.3", "data": {"vehicle_types": types}}
        return decoded(GBFS.line(after(minutes=minute), "vehicle_types", body=body))

    electric = {"vehicle_type_id": "e", "propulsion_type": "electric", "max_range_meters": 1000}
    human = {"vehicle_type_id": "h", "propulsion_type": "human"}
    memory = SystemMemory("made_gbfs")
    answers = [told(1, electric, human), told(2, {"vehicle_type_id": "e"}, human), told(3), told(4, human), told(5),
               told(6)]
    found = []
    for each in answers:
        poll = taken(memory, each).poll
        found.append((str(poll.outcome), memory.electric_types, memory.vehicles.ranges_m))
    known = frozenset("e"), {"e": 1000.0}
    assert found[:3] == [("ok", *known), ("ok", *known), ("invalid", *known)]
    assert found[3:] == [("ok", frozenset(), {})] * 3, "where none was, none may be"


def test_a_type_that_is_accepted_is_what_it_says_though_another_is_rejected() -> None:
    def told(minute: int, *types: dict[str, Any]) -> Answer:
        body = {"last_updated": 1, "ttl": 0, "version": "2.3", "data": {"vehicle_types": types}}
        return decoded(GBFS.line(after(minutes=minute), "vehicle_types", body=body))

    memory = SystemMemory("made_gbfs")
    taken(memory, told(1, {"vehicle_type_id": "a", "propulsion_type": "electric", "max_range_meters": 1000}))
    taken(memory, told(2, {"vehicle_type_id": "a", "propulsion_type": "human"}, {"vehicle_type_id": "broken"}))
    assert (memory.electric_types, memory.vehicles.ranges_m) == (frozenset(), {})


def test_rows_in_are_counted_apart_from_what_became_of_them() -> None:
    """A parser that loses a row is seen: the check of rows in = accepted + rejected can fail."""
    verdict = _judge_parsed(SystemMemory("made_gbfs"), NOON, replace(poll_of({"1": reading()}), rows_in=2))
    assert (verdict.rows_in, verdict.rows_accepted, len(verdict.rejected)) == (2, 1, 0)


def test_what_a_station_was_is_taken_out_of_kafka_when_it_is_forgotten() -> None:
    """Of a feed with a list of its stations, and of one whose status describes them; a restart changes nothing."""
    for city in (GBFS, JCDECAUX):
        kafka = StandInKafka()
        for day in (0, *range(2, 36)):
            here = TOWN if day == 0 else {"1": TOWN["1"]}
            lines = [city.poll(after(days=day), here)]
            if city is GBFS:
                lines.append(city.information(after(days=day, seconds=1), dict.fromkeys(here, "Square")))
            replay(kafka, map(decoded, lines))
        memory = next(each[city.system_id] for each in map(kafka.memories, range(3)) if city.system_id in each)
        assert (list(memory.descriptions), memory.unlisted_since) == (["1"], {}), city
        assert [each["station_id"] for each in kafka.rows(topics.STATION_INFORMATION)] == ["1", "2"]


def test_a_feed_whose_ids_change_at_each_poll_is_named_in_the_log_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detecting, "ABSENT_STATIONS", 2)
    memory = SystemMemory(status().system_id)
    with capture_logs() as logged:
        for minute in range(120):
            taken(memory, status(after(minutes=minute), {str(minute): TOWN["1"]}))
    assert [(each["system_id"], each["forgotten_early"]) for each in logged] == [(memory.system_id, 58)]
