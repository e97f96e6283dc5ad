"""Each answer finds its parser, by feed and version; what no parser reads is said in a sentence."""

import tracemalloc

import pytest

from bike_assets.model.answers import DiscoveryPoll, InformationPoll, StationPoll, SystemPoll, TypesPoll
from bike_assets.model.errors import FeedMalformed
from bike_assets.sources.reading import feed_name, has_parser, read
from bike_assets_tests.sources.builders import (
    NOON_TEXT,
    REMOVED,
    answer,
    body_of,
    gbfs,
    jcdecaux_row,
    jcdecaux_v3_row,
    stations,
    status_row,
    v3_status_row,
)

GBFS_1_ROW = status_row(is_installed=1, is_renting=1, is_returning=1)


@pytest.mark.parametrize(
    ("feed", "body", "kind"),
    [
        ("jcdecaux.v1.stations", body_of([jcdecaux_row()]), StationPoll),
        ("gbfs.station_status", stations(status_row()), StationPoll),
        ("gbfs.station_status", stations(status_row(), version="2.0"), StationPoll),
        ("gbfs.station_status", stations(status_row(), version=REMOVED), StationPoll),
        ("gbfs.station_status", stations(status_row(), version=2.1), StationPoll),
        ("gbfs.station_status", stations(GBFS_1_ROW, version="1.1"), StationPoll),
        ("gbfs.station_status", stations(GBFS_1_ROW, version=REMOVED), StationPoll),
        ("gbfs.station_status", stations(v3_status_row(), last_updated=NOON_TEXT, version="3.0"), StationPoll),
        ("gbfs.station_status", stations(v3_status_row(), last_updated=NOON_TEXT, version="3.1-RC"), StationPoll),
        ("gbfs.station_information", stations(version="2.2"), InformationPoll),
        ("gbfs.system_information", gbfs({"name": "City"}), SystemPoll),
        ("gbfs.vehicle_types", gbfs({"vehicle_types": []}), TypesPoll),
        ("gbfs.gbfs_versions", gbfs({"versions": []}), DiscoveryPoll),
        ("jcdecaux.v3.stations", body_of([jcdecaux_v3_row()]), StationPoll),
    ],
)
def test_a_feed_finds_its_parser(feed: str, body: bytes, kind: type) -> None:
    parsed = read(answer(feed, body), None)
    assert isinstance(parsed, kind)
    assert not getattr(parsed, "rejected", ())


def test_electric_types_reach_the_reading() -> None:
    row = status_row(vehicle_types_available=[{"vehicle_type_id": "e", "count": 2}])
    poll = read(answer("gbfs.station_status", stations(row)), frozenset({"e"}))
    assert isinstance(poll, StationPoll)
    assert poll.read(0).reading.ebikes_available == 2


@pytest.mark.parametrize(
    ("feed", "body", "sentence"),
    [
        ("gbfs.station_status", stations(version="4.0"), r"GBFS 4\.0 is not supported, only 1\.x, 2\.x, 3\.x"),
        ("gbfs.station_status", stations(version=0.3), r"GBFS 0\.3 is not supported, only 1\.x, 2\.x, 3\.x"),
        ("gbfs.station_status", stations(version=[]), "the answer is no GBFS feed: Expected int | float"),
        ("gbfs.station_status", stations(last_updated=NOON_TEXT, version="2.3"), "the answer is no station_status of"),
        ("gbfs.station_status", b"<html>", "the answer is no GBFS feed: JSON is malformed"),
        ("gbfs.station_status", None, "the answer is empty"),
        ("gbfs.station_status", b"", "the answer is empty"),
        ("gbfs.geofencing_zones", gbfs({}), "no parser reads a feed called gbfs.geofencing_zones"),
        ("jcdecaux.v9.stations", b"[]", "no parser reads a feed called jcdecaux.v9.stations"),
        ("weather", b"[]", "no parser reads a feed called weather"),
    ],
)
def test_what_cannot_be_read_says_why(feed: str, body: bytes | None, sentence: str) -> None:
    with pytest.raises(FeedMalformed, match=f"^city: {sentence}"):
        read(answer(feed, body), None)


def test_bad_rows_of_a_feed_without_version_do_not_hide_its_good_ones() -> None:
    body = stations(status_row(is_renting=2), status_row(station_id="b"), version=REMOVED)
    poll = read(answer("gbfs.station_status", body), None)
    assert isinstance(poll, StationPoll)
    assert (len(poll.rows), len(poll.rejected)) == (1, 1)


ODD = {
    "a byte order mark": b"\xef\xbb\xbf%b",
    "NaN": b'{"x":[NaN,-Infinity,Infinity,"NaN"],%b',
    "control characters": b'{"x":"\t\\"\n",%b',
}


@pytest.mark.parametrize("what", ODD)
def test_what_encoders_write_though_it_is_no_json_costs_no_poll(what: str) -> None:
    body = stations(status_row())
    odd = ODD[what] % (body if what == "a byte order mark" else body[1:])
    poll = read(answer("gbfs.station_status", odd), None)
    assert isinstance(poll, StationPoll)
    assert (len(poll.rows), list(poll.rejected)) == (1, [])


@pytest.mark.parametrize("piece", [b'"', b'\\"', b"NaN,"])
def test_a_large_body_that_is_no_json_takes_bounded_memory(piece: bytes) -> None:
    body = b"[" + piece * (400_000 // len(piece))
    tracemalloc.start()
    with pytest.raises(FeedMalformed):
        read(answer("jcdecaux.v1.stations", body), None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000


def test_poll_records_name_feeds_in_the_words_of_gbfs() -> None:
    feeds = ("gbfs.station_status", "gbfs.station_information", "jcdecaux.v1.stations", "jcdecaux.v3.stations")
    assert [feed_name(feed) for feed in feeds] == [
        "station_status", "station_information", "station_status", "station_status"
    ]


@pytest.mark.parametrize(("feed", "is_known"), [
    ("gbfs.station_status", True), ("gbfs.free_bike_status", True), ("gbfs.vehicle_status", True),
    ("jcdecaux.v1.stations", True), ("jcdecaux.v2.stations", False), ("gbfs.station_statuss", False),
    ("station_status", False), ("", False),
])  # fmt: skip
def test_a_feed_has_a_parser_by_its_whole_name(feed: str, is_known: bool) -> None:
    assert has_parser(feed) is is_known
