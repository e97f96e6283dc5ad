"""Each answer finds its parser, by feed and version; what no parser reads is said in a sentence."""

import pytest

from bike_assets.model.answers import InformationPoll, StationPoll, SystemPoll, TypesPoll
from bike_assets.model.errors import FeedMalformed
from bike_assets.sources.reading import feed_name, read
from bike_assets_tests.sources.builders import REMOVED, answer, body_of, gbfs, jcdecaux_row, stations, status_row


@pytest.mark.parametrize(
    ("feed", "body", "kind"),
    [
        ("jcdecaux.v1.stations", body_of([jcdecaux_row()]), StationPoll),
        ("gbfs.station_status", stations(status_row()), StationPoll),
        ("gbfs.station_status", stations(status_row(), version="2.0"), StationPoll),
        ("gbfs.station_status", stations(status_row(), version=REMOVED), StationPoll),
        ("gbfs.station_information", stations(version="2.2"), InformationPoll),
        ("gbfs.system_information", gbfs({"name": "City"}), SystemPoll),
        ("gbfs.vehicle_types", gbfs({"vehicle_types": []}), TypesPoll),
    ],
)
def test_a_feed_finds_its_parser(feed: str, body: bytes, kind: type) -> None:
    assert isinstance(read(answer(feed, body), None), kind)


def test_electric_types_reach_the_reading() -> None:
    row = status_row(vehicle_types_available=[{"vehicle_type_id": "e", "count": 2}])
    poll = read(answer("gbfs.station_status", stations(row)), frozenset({"e"}))
    assert isinstance(poll, StationPoll)
    assert poll.read(0).reading.ebikes_available == 2


GBFS_1 = stations(status_row(is_installed=1, is_renting=1, is_returning=1), version=REMOVED)


@pytest.mark.parametrize(
    ("feed", "body", "sentence"),
    [
        ("gbfs.station_status", stations(version="1.1"), r"GBFS 1\.1 is not supported, only 2\.x"),
        ("gbfs.station_status", stations(version="3.0"), r"GBFS 3\.0 is not supported, only 2\.x"),
        ("gbfs.station_status", stations(version=2), "the answer is no GBFS feed: Expected str"),
        ("gbfs.station_status", GBFS_1, "a GBFS feed without a version, as GBFS 1 has it, is not supported"),
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
    body = stations(status_row(is_renting=1), status_row(station_id="b"), version=REMOVED)
    poll = read(answer("gbfs.station_status", body), None)
    assert isinstance(poll, StationPoll)
    assert (len(poll.rows), len(poll.rejected)) == (1, 1)


def test_poll_records_name_feeds_in_the_words_of_gbfs() -> None:
    feeds = ("gbfs.station_status", "gbfs.station_information", "jcdecaux.v1.stations", "jcdecaux.v3.stations")
    assert [feed_name(feed) for feed in feeds] == [
        "station_status", "station_information", "station_status", "station_status"
    ]
