"""JCDecaux v1: good rows are read, bad ones rejected with a reason, and no row is both or neither."""

import json
import lzma
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from bike_assets.model.answers import ALL_CONTRACTS, Description, StationPoll, StationRow
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.readings import Reading
from bike_assets.sources.jcdecaux.arrays import split_by_contract
from bike_assets.sources.jcdecaux.v1 import parse_stations
from bike_assets_tests.sources.builders import NOON, NOON_S, RECORDINGS, REMOVED, answer, body_of, jcdecaux_row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(*rows: Any) -> StationPoll:
    return parse_stations(body_of(list(rows)), "jcdecaux:lyon")


def read_all(poll: StationPoll) -> list[StationRow]:
    return [poll.read(place) for place in range(len(poll.rows))]


def naively(row: dict[str, Any]) -> StationRow:
    is_open = row["status"] == "OPEN"
    reading = Reading(row["available_bikes"], None, row["available_bike_stands"], None, None,
                      is_open, is_open, is_open)
    place = row["position"]
    return StationRow(
        str(row["number"]), reading, EPOCH + timedelta(milliseconds=row["last_update"]),
        Description(row["name"], row["address"], place["lat"], place["lng"], row["bike_stands"], row["banking"]),
    )


def test_the_recording_reads_as_plain_json_does() -> None:
    with lzma.open(RECORDINGS / "besancon_jcdecaux_v1_2014-05-22.jsonl.xz") as lines:
        bodies = [json.loads(line)["body"] for line in lines]
    assert len(bodies) == 755
    for body in bodies:
        poll = parse_stations(body_of(body), "jcdecaux:besancon")
        assert read_all(poll) == [naively(row) for row in body]
        assert [row.number for row in poll.rows] == [row["number"] for row in body]
        assert list(map(poll.id_of, poll.rows)) == [str(row["number"]) for row in body]
        assert poll.feed_updated_at == max(EPOCH + timedelta(milliseconds=r["last_update"]) for r in body)
        assert not poll.rejected


def test_rows_move_exactly_when_reading_or_description_do() -> None:
    with lzma.open(RECORDINGS / "besancon_jcdecaux_v1_2014-05-22.jsonl.xz") as lines:
        bodies = [json.loads(line)["body"] for line in lines][400:600]
    polls = [parse_stations(body_of(body), "jcdecaux:besancon") for body in bodies]
    moved = 0
    for before, after in pairwise(polls):
        known = {row.station_id: (row.reading, row.information) for row in read_all(before)}
        rows = dict(zip(map(before.id_of, before.rows), before.rows, strict=True))
        for row, decoded in zip(read_all(after), after.rows, strict=True):
            same = known[row.station_id] == (row.reading, row.information)
            assert (rows[row.station_id] == decoded) == same
            moved += not same
    assert moved > 20


def test_a_heartbeat_moves_no_row_and_a_new_name_does() -> None:
    (row,) = parse(jcdecaux_row()).rows
    assert parse(jcdecaux_row(last_update=NOON_S * 1000 + 60_000)).rows == [row]
    assert parse(jcdecaux_row(name="07 - Opéra")).rows != [row]
    assert parse(jcdecaux_row(position={"lat": 45.761, "lng": 4.83})).rows != [row]


@pytest.mark.parametrize("stands", [999, None, REMOVED])
def test_docks_that_are_not_counted_are_null(stands: Any) -> None:
    (row,) = read_all(parse(jcdecaux_row(available_bike_stands=stands)))
    assert row.reading.docks_available is None


def test_only_open_sets_the_flags() -> None:
    (row,) = read_all(parse(jcdecaux_row(status="CLOSED")))
    assert row.reading[-3:] == (False, False, False)


def test_a_row_without_its_time_is_good() -> None:
    poll = parse(jcdecaux_row(last_update=None), jcdecaux_row(number=8, last_update=REMOVED))
    assert [row.reported_at for row in read_all(poll)] == [None, None]
    assert poll.feed_updated_at is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"available_bikes": "8"}, "bad_field: Expected int, got str - at $.available_bikes"),
        ({"available_bikes": REMOVED}, "bad_field: Object missing required field available_bikes"),
        ({"available_bikes": -1}, "bad_field: Expected int >= 0 - at $.available_bikes"),
        ({"available_bikes": 10**9}, "bad_field: Expected int <= 1000000 - at $.available_bikes"),
        ({"available_bikes": None}, "bad_field: Expected int, got null - at $.available_bikes"),
        ({"available_bikes": 3.5}, "bad_field: Expected int, got float - at $.available_bikes"),
        ({"available_bikes": True}, "bad_field: Expected int, got bool - at $.available_bikes"),
        ({"number": "7"}, "bad_field: Expected int, got str - at $.number"),
        ({"number": 10**40}, "bad_field: "),
        ({"position": {"lat": 400, "lng": 4.8}}, "bad_field: Expected float <= 90.0 - at $.position.lat"),
        ({"position": None}, "bad_field: Expected object, got null - at $.position"),
        ({"position": REMOVED}, "bad_field: Object missing required field position"),
        ({"status": None}, "bad_field: Expected str, got null - at $.status"),
        ({"last_update": 10**17}, "bad_field: Expected int <= 7258118399999 - at $.last_update"),
        ({"last_update": 10**400}, "bad_field: "),
        ({"last_update": -5}, "bad_field: Expected int >= 0 - at $.last_update"),
        ({"last_update": "2026"}, "bad_field: Expected int | null, got str - at $.last_update"),
    ],
)
def test_a_bad_row_is_rejected_and_its_neighbours_are_kept(changes: dict[str, Any], reason: str) -> None:
    bad = jcdecaux_row(**changes)
    poll = parse(jcdecaux_row(number=1), bad, jcdecaux_row(number=3))
    assert [row.number for row in poll.rows] == [1, 3]
    assert [row.station_id for row in read_all(poll)] == ["1", "3"]
    (rejected,) = poll.rejected
    assert rejected.row_index == 1
    assert rejected.reason.startswith(reason)
    assert json.loads(rejected.payload) == bad


@pytest.mark.parametrize("row", ["text", 5, None, [], {}])
def test_a_row_that_is_no_station_is_rejected(row: Any) -> None:
    poll = parse(row, jcdecaux_row())
    assert (len(poll.rows), poll.rejected[0].row_index) == (1, 0)


def test_bytes_that_are_no_text_cost_only_their_row() -> None:
    text = b'{"number": 1, "name": "\xff"}'
    poll = parse_stations(b"[" + text + b"," + body_of(jcdecaux_row()) + b"]", "jcdecaux:lyon")
    assert [row.number for row in poll.rows] == [7]
    assert [row.payload for row in poll.rejected] == [text]


@pytest.mark.parametrize("half", ["\\ud83d", "\\uDC00", "\\ud83dx", "\\ud83d\\n"])
def test_half_a_character_in_a_name_costs_only_itself(half: str) -> None:
    rest = half[6:].replace("\\n", "\n")
    body = body_of([jcdecaux_row(name="N"), jcdecaux_row(number=8, name="\\ud83d\U0001f6b2")])
    poll = parse_stations(body.replace(b'"N"', f'"N{half}"'.encode()), "jcdecaux:lyon")
    names = [row.information.name for row in read_all(poll) if row.information]
    assert names == [f"N\ufffd{rest}", "\\ud83d\U0001f6b2"]
    assert not poll.rejected


@pytest.mark.parametrize("later_is_first", [True, False])
def test_of_two_rows_of_a_station_the_later_report_wins(later_is_first: bool) -> None:
    early = jcdecaux_row(available_bikes=1, last_update=NOON_S * 1000)
    late = jcdecaux_row(available_bikes=2, last_update=NOON_S * 1000 + 1)
    rows = [late, early] if later_is_first else [early, late]
    poll = parse(*rows, jcdecaux_row(number=8))
    assert [(row.station_id, row.reading.bikes_available) for row in read_all(poll)] == [("7", 2), ("8", 8)]
    (rejected,) = poll.rejected
    assert rejected.reason == "duplicate: 7 stands in this answer twice"
    assert json.loads(rejected.payload) == early
    assert poll.feed_updated_at == NOON + timedelta(milliseconds=1)


def test_of_three_equal_rows_one_stays() -> None:
    poll = parse(*[jcdecaux_row()] * 3)
    assert (len(poll.rows), [row.row_index for row in poll.rejected]) == (1, [1, 2])


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"error": "Unauthorized"}', b"[{}", b"null", b"[" * 100_000, b"\xff\xfe",
             b'[{"deep": ' + b"[" * 5000 + b"]" * 5000 + b"}]"]
)
def test_a_body_that_is_no_array_is_malformed(body: bytes) -> None:
    with pytest.raises(FeedMalformed, match=r"^jcdecaux:lyon: the answer is no JSON array of stations: "):
        parse_stations(body, "jcdecaux:lyon")


def test_an_empty_array_is_a_poll_without_stations() -> None:
    poll = parse()
    assert (poll.rows, poll.rejected, poll.feed_updated_at) == ([], [], None)


def test_all_contracts_are_split_with_the_very_bytes_of_their_rows() -> None:
    lyon, nantes = b'{"number" : 1, "contract_name":"Lyon"}', b'{"contract_name":"nantes","number":1.0}'
    whole = answer("jcdecaux.v1.stations", b"[" + b" ,\n".join([lyon, nantes, lyon]) + b"]", ALL_CONTRACTS)
    parts = split_by_contract(whole)
    assert {name: part.body for name, part in parts.items()} == {
        "jcdecaux:lyon": b"[" + lyon + b"," + lyon + b"]", "jcdecaux:nantes": b"[" + nantes + b"]"
    }
    for name, part in parts.items():
        assert part.system_id == name
        assert (part.request_id, part.fetched_at, part.http_status, part.seconds) == ("request", NOON, 200, 0.1)


@pytest.mark.parametrize("contract", [REMOVED, None, 5, "", "a/b", "a\nb"])
def test_rows_of_no_contract_do_not_vanish(contract: Any) -> None:
    rows = [jcdecaux_row(), jcdecaux_row(contract_name=contract), "text"]
    parts = split_by_contract(answer("jcdecaux.v1.stations", body_of(rows), ALL_CONTRACTS))
    assert parts.keys() == {"jcdecaux:lyon", ALL_CONTRACTS}
    left = parse_stations(parts[ALL_CONTRACTS].body or b"", ALL_CONTRACTS)
    assert left.rows == []
    assert [row.reason.partition(":")[0] for row in left.rejected] == ["bad_contract", "bad_contract"]


def test_a_broken_answer_cannot_be_split() -> None:
    with pytest.raises(FeedMalformed, match=r"^jcdecaux: "):
        split_by_contract(answer("jcdecaux.v1.stations", b'{"error": "x"}', ALL_CONTRACTS))
