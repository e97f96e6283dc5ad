"""GBFS 1 and 2: each feed read by its definition, bad rows rejected, broken envelopes said in a sentence."""

import json
import lzma
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bike_assets.model.answers import Description, InformationPoll, StationPoll, StationRow, SystemPoll, TypesPoll
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.readings import Reading
from bike_assets.sources.gbfs.discovery import parse_discovery, parse_versions
from bike_assets.sources.gbfs.v2 import GBFS_2
from bike_assets_tests.sources.builders import NOON, NOON_S, RECORDINGS, REMOVED, body_of, gbfs, stations, status_row

parse_station_status = GBFS_2.parse_station_status
parse_station_information = GBFS_2.parse_station_information
parse_system_information = GBFS_2.parse_system_information
parse_vehicle_types = GBFS_2.parse_vehicle_types


def recorded(feed: str) -> list[dict[str, Any]]:
    with lzma.open(RECORDINGS / "oslo_gbfs_2024-11-30.jsonl.xz") as lines:
        return [line["body"] for line in map(json.loads, lines) if line["feed"] == feed]


def naively(row: dict[str, Any], electric: set[str]) -> StationRow:
    ebikes = sum(kind["count"] for kind in row["vehicle_types_available"] if kind["vehicle_type_id"] in electric)
    reading = Reading(row["num_bikes_available"], ebikes, row["num_docks_available"], None, None,
                      row["is_installed"], row["is_renting"], row["is_returning"])
    return StationRow(row["station_id"], reading, datetime.fromtimestamp(row["last_reported"], UTC))


def read_all(poll: StationPoll) -> list[StationRow]:
    return [poll.read(place) for place in range(len(poll.rows))]


def test_the_recorded_status_reads_as_plain_json_does() -> None:
    bodies = recorded("gbfs.station_status")
    assert len(bodies) == 69
    for body in bodies:
        rows = body["data"]["stations"]
        poll = parse_station_status(body_of(body), "oslo", frozenset({"ebike"}))
        assert read_all(poll) == [naively(row, {"ebike"}) for row in rows]
        assert [row.station_id for row in poll.rows] == [row["station_id"] for row in rows]
        assert poll.feed_updated_at == datetime.fromtimestamp(body["last_updated"], UTC)
        assert not poll.rejected


def test_the_recorded_information_reads_as_plain_json_does() -> None:
    (body,) = recorded("gbfs.station_information")
    poll = parse_station_information(body_of(body), "oslo")
    assert poll.descriptions == {
        row["station_id"]: Description(row["name"], row["address"], row["lat"], row["lon"], row["capacity"], None)
        for row in body["data"]["stations"]
    }
    assert len(poll.descriptions) == 260
    assert not poll.rejected


def test_a_heartbeat_moves_no_row_and_each_part_of_the_reading_does() -> None:
    (row,) = parse_station_status(stations(status_row()), "city").rows
    assert parse_station_status(stations(status_row(last_reported=NOON_S + 60)), "city").rows == [row]
    ebikes = [{"vehicle_type_id": "e", "count": 1}]
    for change in ({"num_bikes_available": 4}, {"num_docks_available": 8}, {"is_installed": False},
                   {"is_renting": False}, {"is_returning": False}, {"num_bikes_disabled": 1},
                   {"num_docks_disabled": 1}, {"vehicle_types_available": ebikes}):
        assert parse_station_status(stations(status_row(**change)), "city").rows != [row]


COUNTS = [{"vehicle_type_id": "e", "count": 2}, {"vehicle_type_id": "m", "count": 4},
          {"vehicle_type_id": "c", "count": 1}]


@pytest.mark.parametrize(
    ("counts", "electric", "ebikes"),
    [(COUNTS, {"e", "c"}, 3), (COUNTS, set(), 0), (COUNTS, None, None), (REMOVED, {"e"}, None), ([], {"e"}, 0)],
)
def test_ebikes_are_counted_where_types_are_known(counts: Any, electric: set[str] | None, ebikes: int) -> None:
    types = None if electric is None else frozenset(electric)
    poll = parse_station_status(stations(status_row(vehicle_types_available=counts)), "city", types)
    assert read_all(poll)[0].reading.ebikes_available == ebikes


@pytest.mark.parametrize("count", [999, None, REMOVED])
def test_docks_that_are_not_counted_are_null(count: Any) -> None:
    (row,) = read_all(parse_station_status(stations(status_row(num_docks_available=count)), "city"))
    assert row.reading.docks_available is None


def test_what_is_disabled_is_read() -> None:
    body = stations(status_row(num_bikes_disabled=2, num_docks_disabled=1))
    assert read_all(parse_station_status(body, "city"))[0].reading[3:5] == (2, 1)


def test_vehicles_stand_in_for_missing_bikes_only() -> None:
    rows = [status_row(num_bikes_available=REMOVED, num_vehicles_available=5),
            status_row(station_id="b", num_bikes_available=1, num_vehicles_available=5),
            status_row(station_id="c", num_bikes_available=REMOVED)]
    poll = parse_station_status(stations(*rows), "city")
    assert [row.reading.bikes_available for row in read_all(poll)] == [5, 1]
    assert [row.num_bikes_available for row in poll.rows] == [5, 1]
    assert [row.reason for row in poll.rejected] == [
        "bad_field: Object has neither num_bikes_available nor num_vehicles_available"
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"station_id": ""}, "Expected str of length >= 1 - at $.station_id"),
        ({"station_id": 5.0}, "Expected str, got float - at $.station_id"),
        ({"station_id": True}, "Expected str, got bool - at $.station_id"),
        ({"num_bikes_available": -1}, "Expected int >= 0 - at $.num_bikes_available"),
        ({"num_docks_available": 10**7}, "Expected int <= 1000000 - at $.num_docks_available"),
        ({"is_renting": 2}, "Invalid enum value 2 - at $.is_renting"),
        ({"is_renting": "yes"}, "Expected bool | int, got str - at $.is_renting"),
        ({"num_bikes_available": 3.5}, "Expected int | null, got float - at $.num_bikes_available"),
        ({"num_bikes_available": "-3"}, "Expected int >= 0 - at $.num_bikes_available"),
        ({"num_bikes_available": "03"}, "Expected int | null, got str - at $.num_bikes_available"),
        ({"is_installed": REMOVED}, "Object missing required field is_installed"),
        ({"last_reported": NOON_S * 1000}, "Expected int <= 7258118399 - at $.last_reported"),
        ({"last_reported": "2026-06-01T12:00:00Z"}, "Expected int | float | null, got str - at $.last_reported"),
        ({"vehicle_types_available": [{"vehicle_type_id": "e"}]},
         "Object missing required field count - at $.vehicle_types_available[0]"),
    ],
)
def test_a_bad_row_is_rejected_and_its_neighbours_are_kept(changes: dict[str, Any], reason: str) -> None:
    poll = parse_station_status(stations(status_row(**changes), status_row(station_id="b")), "city")
    assert [row.station_id for row in poll.rows] == ["b"]
    assert [(row.row_index, row.reason) for row in poll.rejected] == [(0, f"bad_field: {reason}")]
    assert poll.feed_updated_at == NOON


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"station_id": 5}, ("5", 3, True)),
        ({"is_renting": 1, "is_installed": 0}, ("a", 3, False)),
        ({"is_renting": "1", "is_installed": "false"}, ("a", 3, False)),
        ({"num_bikes_available": "8"}, ("a", 8, True)),
        ({"num_bikes_available": 8.0}, ("a", 8, True)),
        ({"last_reported": str(NOON_S)}, ("a", 3, True)),
        ({"station_id": 5, "is_renting": 1, "last_reported": "null"}, ("5", 3, True)),
    ],
)
def test_what_can_mean_one_thing_only_is_read(changes: dict[str, Any], read: tuple[str, int, bool]) -> None:
    poll = parse_station_status(stations(status_row(**changes), status_row(station_id="b")), "city")
    row = read_all(poll)[0]
    assert (row.station_id, row.reading.bikes_available, row.reading.is_installed) == read
    assert type(row.reading.is_installed) is bool
    assert row.reported_at in (NOON, None)
    assert not poll.rejected


def test_an_id_is_the_same_as_a_number_and_as_a_text() -> None:
    counts = [{"vehicle_type_id": 7, "count": 2}]
    body = stations(status_row(station_id=5, vehicle_types_available=counts), status_row(station_id="5"))
    poll = parse_station_status(body, "city", frozenset({"7"}))
    assert [row.reading.ebikes_available for row in read_all(poll)] == [2]
    assert [row.reason for row in poll.rejected] == ["duplicate: 5 stands in this answer twice"]
    types = gbfs({"vehicle_types": [{"vehicle_type_id": 7, "propulsion_type": "electric"}]})
    assert parse_vehicle_types(types, "city").electric_types == ["7"]


def test_a_feed_of_flags_and_numbers_as_gbfs_1_has_them_is_compared_by_its_text_too() -> None:
    rows = [status_row(station_id=number, is_installed=1, is_renting=1, is_returning=1) for number in (1, 2)]
    before = parse_station_status(stations(*rows, version=REMOVED), "city")
    after = parse_station_status(stations(*rows, version=REMOVED, last_updated=NOON_S + 9), "city", None, before)
    assert [now is then for now, then in zip(after.rows, before.rows, strict=True)] == [True, True]


def test_an_odd_envelope_costs_no_poll() -> None:
    body = stations(status_row(), last_updated=str(NOON_S)).replace(b'"last_updated"', b'"\\ud83d": 1, "last_updated"')
    first = parse_station_status(body, "city")
    again = parse_station_status(body, "city", None, first)
    assert [(poll.feed_updated_at, len(poll.rows)) for poll in (first, again)] == [(NOON, 1)] * 2


DOCKS = [{"vehicle_type_ids": ["e"], "count": 2}, {"vehicle_type_ids": ["m"], "count": 4.0}]


@pytest.mark.parametrize(
    ("docks", "of_kinds", "read"),
    [(9, DOCKS, 9), (REMOVED, DOCKS, 6), (999, DOCKS, None), (REMOVED, [], None), (None, [{"count": 10**7}], None),
     (REMOVED, [*DOCKS, {"count": 999}], None)],
)
def test_docks_of_each_kind_add_up_where_no_more_is_said(docks: Any, of_kinds: Any, read: int | None) -> None:
    body = stations(status_row(num_docks_available=docks, vehicle_docks_available=of_kinds))
    assert read_all(parse_station_status(body, "city"))[0].reading.docks_available == read


def test_the_later_of_two_rows_of_a_station_wins() -> None:
    rows = [status_row(num_bikes_available=1), status_row(num_bikes_available=2, last_reported=NOON_S + 5)]
    poll = parse_station_status(stations(*rows), "city")
    assert [row.reading.bikes_available for row in read_all(poll)] == [2]
    assert [row.row_index for row in poll.rejected] == [0]


def test_a_time_may_have_a_fraction_or_be_missing() -> None:
    poll = parse_station_status(stations(status_row(last_reported=NOON_S + 0.25),
                                         status_row(station_id="b", last_reported=REMOVED)), "city")
    assert [row.reported_at for row in read_all(poll)] == [NOON + timedelta(milliseconds=250), None]


BROKEN = [b"", b"<html>", b"[]", b"{}", gbfs([]), gbfs({}), gbfs(None), stations(last_updated=REMOVED),
          stations(last_updated="x"), stations(last_updated="2026-06-01T12:00:00Z"), stations(last_updated=10**12),
          b'{"data":' * 50_000]


@pytest.mark.parametrize("body", BROKEN)
@pytest.mark.parametrize(
    ("parse", "feed"),
    [(parse_station_status, "station_status"), (parse_station_information, "station_information"),
     (parse_system_information, "system_information"), (parse_vehicle_types, "vehicle_types")],
)
def test_a_broken_envelope_is_malformed(parse: Any, feed: str, body: bytes) -> None:
    with pytest.raises(FeedMalformed, match=rf"^city: the answer is no {feed} of GBFS 1 or 2: .+"):
        parse(body, "city")


def test_information_rejects_its_bad_rows() -> None:
    good = {"station_id": "a", "name": "A", "lat": "59.9", "lon": 10, "extra": 1}
    body = stations(good, good | {"station_id": "b", "lat": 400}, good | {"name": "again"},
                    {"station_id": "d", "name": "D"}, good | {"station_id": "e", "capacity": -1})
    poll = parse_station_information(body, "city")
    assert poll == InformationPoll({"a": Description("A", None, 59.9, 10.0, None, None)}, NOON, 5, poll.rejected)
    assert [row.row_index for row in poll.rejected] == [1, 2, 3, 4]
    assert poll.rejected[1].reason == "duplicate: a stands in this answer twice"


def test_a_system_says_who_it_is() -> None:
    body = gbfs({"system_id": "c", "name": "City Bike", "operator": "Op", "timezone": "Europe/Oslo", "language": "nb"})
    assert parse_system_information(body, "city") == SystemPoll("City Bike", "Op", "Europe/Oslo", NOON)
    assert parse_system_information(gbfs({"name": ""}), "city").name == ""
    assert parse_system_information(gbfs({"name": "City Bike"}), "city") == SystemPoll("City Bike", None, None, NOON)


def test_electric_and_electric_assist_are_electric() -> None:
    kinds = ["human", "electric", "electric_assist", "combustion", "hybrid"]
    rows = [{"vehicle_type_id": kind, "form_factor": "bicycle", "propulsion_type": kind} for kind in kinds]
    poll = parse_vehicle_types(gbfs({"vehicle_types": [*rows, {"vehicle_type_id": "x"}]}), "city")
    assert poll == TypesPoll(["electric", "electric_assist"], 5, NOON, 6, poll.rejected, types=poll.types)
    assert poll.types == {"human", "electric", "electric_assist", "combustion", "hybrid"}
    assert [row.row_index for row in poll.rejected] == [5]


def feeds(*names: str) -> dict[str, Any]:
    return {"feeds": [{"name": name, "url": f"https://city.example/{name}"} for name in names]}


@pytest.mark.parametrize(
    "data",
    [{"fr": feeds("other"), "en": feeds("station_status")}, {"nb": feeds("station_status"), "fr": feeds("other")},
     {"nb": feeds("other"), "en-GB": feeds("station_status")}, feeds("station_status")],
)
def test_discovery_takes_english_or_the_first_language_or_none(data: Any) -> None:
    assert parse_discovery(gbfs(data), "city").urls == {"station_status": "https://city.example/station_status"}


def test_discovery_passes_over_an_entry_without_url() -> None:
    data = {"en": {"feeds": [{"name": "x"}, *feeds("station_status")["feeds"]]}}
    assert parse_discovery(gbfs(data), "city").urls.keys() == {"station_status"}


AT = "https://city.example/"
NAMELESS = {"url": f"{AT}x"}


@pytest.mark.parametrize(("data", "urls", "rejected"), [
    ({"en": None, "fr": feeds("a")}, {"a": f"{AT}a"}, [0]),
    ({"nb": {"feeds": "none"}, "en": {}, "fr": feeds("a", "b")}, {"a": f"{AT}a", "b": f"{AT}b"}, [0, 1]),
    ({"en": {"feeds": [NAMELESS]}, "fr": feeds("a")}, {"a": f"{AT}a"}, [0]),
    ({"en": {"feeds": [{"name": "a", "url": f"{AT}en"}, NAMELESS]}, "fr": feeds("a", "b")},
     {"a": f"{AT}en", "b": f"{AT}b"}, [1]),
    ({"fr": feeds("b"), "en": {"feeds": [*feeds("a")["feeds"], 5]}, "nb": 1}, {"a": f"{AT}a", "b": f"{AT}b"}, [1]),
    ({"en": feeds("a"), "fr": None}, {"a": f"{AT}a"}, []),
])  # fmt: skip
def test_a_bad_language_or_entry_costs_no_feed_that_another_language_lists(
    data: Any, urls: dict[str, str], rejected: list[int]
) -> None:
    poll = parse_discovery(gbfs(data), "city")
    assert (poll.urls, [row.row_index for row in poll.rejected]) == (urls, rejected)
    assert poll.rows_in == len(urls) + len(rejected)


def test_a_thousand_languages_of_nothing_are_not_all_looked_at() -> None:
    data = {f"l{number}": 0 for number in range(1000)}
    assert len(parse_discovery(gbfs({"en": {"feeds": [5, *feeds("a")["feeds"]]}} | data), "city").rejected) == 100


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", gbfs({}), gbfs({"en": {}}), gbfs({"en": feeds()}), gbfs([])])
def test_a_discovery_without_feeds_is_malformed(body: bytes) -> None:
    with pytest.raises(FeedMalformed, match=r"^city: .*gbfs\.json"):
        parse_discovery(body, "city")


def test_versions_are_read_with_their_addresses() -> None:
    body = gbfs({"versions": [{"version": "2.3", "url": "https://city.example/2"}, {"version": 3}]})
    poll = parse_versions(body, "city")
    assert poll.urls == {"2.3": "https://city.example/2"}
    assert (poll.rows_in, [row.row_index for row in poll.rejected]) == (2, [1])


@pytest.mark.parametrize("body", [b"", b"[]", gbfs({}), gbfs({"versions": None})])
def test_versions_that_are_none_are_malformed(body: bytes) -> None:
    with pytest.raises(FeedMalformed, match=r"^city: the answer is no gbfs_versions\.json: "):
        parse_versions(body, "city")
