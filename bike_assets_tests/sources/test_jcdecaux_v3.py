"""JCDecaux v3: all stands together are read, e-bikes among them; bad rows are rejected with a reason."""

import json
from datetime import timedelta
from typing import Any

import pytest

from bike_assets.model.answers import ALL_CONTRACTS, Description, StationPoll, StationRow
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.readings import Reading
from bike_assets.sources.jcdecaux.arrays import split_by_contract
from bike_assets.sources.jcdecaux.v3 import parse_stations
from bike_assets_tests.sources.builders import (
    NOON,
    NOON_S,
    NOON_TEXT,
    REMOVED,
    answer,
    body_of,
    jcdecaux_row,
    jcdecaux_v3_row,
)

LYON = "jcdecaux:lyon"


def parse(*rows: Any) -> StationPoll:
    return parse_stations(body_of(list(rows)), LYON)


def read_all(poll: StationPoll) -> list[StationRow]:
    return [poll.read(place) for place in range(len(poll.rows))]


def stands(capacity: Any = 20, **availabilities: Any) -> dict[str, Any]:
    return {"availabilities": {"bikes": 8, "stands": 12} | availabilities, "capacity": capacity}


def test_a_station_is_all_its_stands() -> None:
    more = stands(30, bikes=9, stands=21, electricalBikes=4)
    poll = parse(jcdecaux_v3_row(totalStands=more, overflowStands=stands(10, bikes=1)))
    described = Description("07 - OPERA", "Place de la Comédie", 45.76, 4.83, 30, True)
    reading = Reading(9, 4, 21, None, None, True, True, True)
    assert read_all(poll) == [StationRow("7", reading, NOON, described)]
    assert (poll.feed_updated_at, poll.rows_in, list(poll.rejected)) == (NOON, 1, [])


@pytest.mark.parametrize(("status", "connected", "is_open"), [
    ("OPEN", True, True), ("OPEN", False, True), ("CLOSED", True, False), ("MAINTENANCE", True, False),
])  # fmt: skip
def test_a_station_is_open_by_its_status_alone(status: str, connected: bool, is_open: bool) -> None:
    (row,) = read_all(parse(jcdecaux_v3_row(status=status, connected=connected)))
    assert row.reading[-3:] == (is_open,) * 3


def test_what_is_not_counted_is_null() -> None:
    (row,) = read_all(parse(jcdecaux_v3_row(totalStands=stands(None, stands=999))))
    assert (row.reading.ebikes_available, row.reading.docks_available) == (None, None)
    assert row.information is not None
    assert row.information.capacity is None


def test_a_heartbeat_moves_no_row_and_an_electric_bike_does() -> None:
    (row,) = parse(jcdecaux_v3_row()).rows
    assert parse(jcdecaux_v3_row(lastUpdate="2026-06-01T12:01:00Z")).rows == [row]
    assert parse(jcdecaux_v3_row(totalStands=stands(electricalBikes=4))).rows != [row]


def test_the_feeds_time_is_that_of_its_newest_station() -> None:
    times = [NOON_TEXT, "2026-06-01T14:00:01.5+02:00", None]
    poll = parse(*(jcdecaux_v3_row(number=number, lastUpdate=each) for number, each in enumerate(times)))
    assert poll.feed_updated_at == NOON + timedelta(seconds=1.5)
    assert parse(jcdecaux_v3_row(lastUpdate=REMOVED)).feed_updated_at is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"number": "7"}, "Expected int, got str - at $.number"),
        ({"totalStands": REMOVED}, "Object missing required field totalStands"),
        ({"totalStands": stands(bikes=-1)}, "Expected int >= 0 - at $.totalStands.availabilities.bikes"),
        ({"totalStands": stands(electricalBikes="4")},
         "Expected int | null, got str - at $.totalStands.availabilities.electricalBikes"),
        ({"position": {"lat": 45.7, "lng": 4.8}}, "Object missing required field latitude - at $.position"),
        ({"lastUpdate": NOON_S * 1000}, "Expected datetime | null, got int - at $.lastUpdate"),
        ({"lastUpdate": "2026-06-01T12:00:00"}, "Expected datetime with a timezone component - at $.lastUpdate"),
        ({"lastUpdate": "2300-06-01T12:00:00Z"}, "Expected an instant from 1970 to 2199 - at $.lastUpdate"),
    ],
)
def test_a_bad_row_is_rejected_and_its_neighbours_are_kept(changes: dict[str, Any], reason: str) -> None:
    bad = jcdecaux_v3_row(**changes)
    poll = parse(jcdecaux_v3_row(number=1), bad, jcdecaux_v3_row(number=3))
    assert [row.number for row in poll.rows] == [1, 3]
    (rejected,) = poll.rejected
    assert (rejected.row_index, rejected.reason) == (1, f"bad_field: {reason}")
    assert json.loads(rejected.payload) == bad


def test_a_row_of_version_1_is_rejected() -> None:
    poll = parse(jcdecaux_row())
    assert (poll.rows, len(poll.rejected), poll.rows_in) == ([], 1, 1)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": "Unauthorized"}', b"[{}"])
def test_a_body_that_is_no_array_is_malformed(body: bytes) -> None:
    with pytest.raises(FeedMalformed, match=r"^jcdecaux:lyon: the answer is no JSON array of stations: "):
        parse_stations(body, LYON)


def test_all_contracts_are_split_and_rows_of_none_are_rejected() -> None:
    rows = [jcdecaux_v3_row(), jcdecaux_v3_row(number=8, contractName="Nantes"), jcdecaux_row(), "text"]
    parts = split_by_contract(answer("jcdecaux.v3.stations", body_of(rows), ALL_CONTRACTS))
    assert parts.keys() == {LYON, "jcdecaux:nantes", ALL_CONTRACTS}
    assert [row.station_id for row in read_all(parse_stations(parts[LYON].body or b"", LYON))] == ["7"]
    left = parse_stations(parts[ALL_CONTRACTS].body or b"", ALL_CONTRACTS)
    assert (left.rows, left.rows_in) == ([], 2)
    assert [row.reason for row in left.rejected] == [
        "bad_contract: Object missing required field contractName", "bad_contract: Expected object, got str"
    ]


def test_an_answer_of_a_version_that_nobody_knows_cannot_be_split() -> None:
    with pytest.raises(FeedMalformed, match=r"^jcdecaux: no parser reads a feed called jcdecaux\.v9\.stations"):
        split_by_contract(answer("jcdecaux.v9.stations", b"[]", ALL_CONTRACTS))
