"""GBFS 3: times with their offset, texts in languages, vehicles for bikes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bike_assets.model.answers import Description, StationPoll, StationRow, SystemPoll, TypesPoll
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.readings import Reading
from bike_assets.sources.gbfs.v3 import GBFS_3
from bike_assets_tests.sources.builders import NOON, NOON_S, NOON_TEXT, REMOVED, gbfs, stations, v3_status_row

V3 = {"version": "3.0", "last_updated": NOON_TEXT}


def parse(*rows: Any, types: frozenset[str] | None = None, **changes: Any) -> StationPoll:
    return GBFS_3.parse_station_status(stations(*rows, **V3 | changes), "city", types)


def read_all(poll: StationPoll) -> list[StationRow]:
    return [poll.read(place) for place in range(len(poll.rows))]


def test_a_station_is_read_in_the_words_of_gbfs_3() -> None:
    counts = [{"vehicle_type_id": "e", "count": 2}, {"vehicle_type_id": "m", "count": 3}]
    poll = parse(v3_status_row(num_vehicles_available=5, num_vehicles_disabled=1, num_docks_disabled=2,
                               vehicle_types_available=counts, is_returning=False), types=frozenset("e"))
    assert read_all(poll) == [StationRow("a", Reading(5, 2, 9, 1, 2, True, True, False), NOON)]
    assert (poll.feed_updated_at, poll.rows_in, list(poll.rejected)) == (NOON, 1, [])


def test_a_heartbeat_moves_no_row_and_another_count_does() -> None:
    (row,) = parse(v3_status_row()).rows
    assert parse(v3_status_row(last_reported="2026-06-01T12:01:00Z")).rows == [row]
    assert parse(v3_status_row(num_vehicles_available=4)).rows != [row]


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-06-01T12:00:00Z", NOON), ("2026-06-01T14:00:00+02:00", NOON), ("2026-06-01t12:00:00z", NOON),
        ("2026-06-01T12:00:00.2519Z", NOON + timedelta(milliseconds=251)), (NOON_S, NOON), (str(NOON_S), NOON),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)), (None, None), (REMOVED, None),
    ],
)
def test_a_time_may_have_any_offset_and_a_fraction(written: Any, at: datetime | None) -> None:
    (row,) = read_all(parse(v3_status_row(last_reported=written)))
    assert row.reported_at == at


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("2026-06-01T12:00:00", "Expected datetime with a timezone component - at $.last_reported"),
        ("2026-06-01", "Invalid RFC3339 encoded datetime - at $.last_reported"),
        ("noon", "Invalid RFC3339 encoded datetime - at $.last_reported"),
        ("1969-12-31T23:59:59Z", "Expected an instant from 1970 to 2199 - at $.last_reported"),
        ("2200-01-01T00:00:00Z", "Expected an instant from 1970 to 2199 - at $.last_reported"),
        (NOON_S * 1000, "Timestamp is out of range  - at $.last_reported"),
    ],
)
def test_a_time_that_is_none_costs_its_row_alone(written: Any, reason: str) -> None:
    poll = parse(v3_status_row(last_reported=written), v3_status_row(station_id="b"))
    assert [row.station_id for row in poll.rows] == ["b"]
    assert [(row.row_index, row.reason) for row in poll.rejected] == [(0, f"bad_field: {reason}")]


def test_the_later_of_two_rows_of_a_station_wins_whatever_its_offset() -> None:
    early, late = "2026-06-01T13:00:00+02:00", "2026-06-01T12:00:00Z"
    poll = parse(*(v3_status_row(last_reported=each) for each in (late, early, None)))
    assert [row.reported_at for row in read_all(poll)] == [NOON]
    assert [row.row_index for row in poll.rejected] == [1, 2]


@pytest.mark.parametrize("last_updated", [REMOVED, None, "noon", "2026-06-01T12:00:00", "2300-01-01T00:00:00Z", 10**12])
def test_an_envelope_without_its_time_is_malformed(last_updated: Any) -> None:
    with pytest.raises(FeedMalformed, match=r"^city: the answer is no station_status of GBFS 3: .+"):
        parse(v3_status_row(), last_updated=last_updated)


def texts(**by_language: str) -> list[dict[str, str]]:
    return [{"text": text, "language": language.replace("_", "-")} for language, text in by_language.items()]


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (texts(nb="Plass", en="Square"), "Square"), (texts(fr="Place", en_GB="Square", en="Circus"), "Square"),
        (texts(nb="Plass", eng="?"), "Plass"), ([{"text": "Plass"}], "Plass"), ([], ""), ("Plass", "Plass"),
    ],
)
def test_a_text_is_read_in_english_or_else_in_its_first_language(said: Any, read: str) -> None:
    place = {"station_id": "a", "name": said, "lat": 59.9, "lon": 10, "address": "Street 1", "capacity": 9}
    poll = GBFS_3.parse_station_information(stations(place, place | {"station_id": "b", "name": 5}, **V3), "city")
    assert poll.descriptions == {"a": Description(read, "Street 1", 59.9, 10.0, 9, None)}
    assert [row.reason.partition(" - ")[2] for row in poll.rejected] == ["at $.name"]


def test_a_system_says_who_it_is_in_each_language() -> None:
    data = {"name": texts(nb="Bysykkel", en="City Bike"), "operator": texts(nb="Op"), "timezone": "Europe/Oslo"}
    body = gbfs(data, **V3)
    assert GBFS_3.parse_system_information(body, "city") == SystemPoll("City Bike", "Op", "Europe/Oslo", NOON)


def test_types_are_as_in_gbfs_2() -> None:
    kinds = ("human", "electric")
    rows = [{"vehicle_type_id": kind, "propulsion_type": kind, "name": texts(en=kind)} for kind in kinds]
    poll = GBFS_3.parse_vehicle_types(gbfs({"vehicle_types": rows}, **V3), "city")
    assert poll == TypesPoll(["electric"], 2, NOON, 2, [], types=frozenset(kinds))
