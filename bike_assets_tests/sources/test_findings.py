"""What the answers of a system come to: what it has, and each thing that can be wrong with it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from bike_assets.model.answers import Answer
from bike_assets.model.messages import Outcome
from bike_assets.sources.findings import Checked, Findings
from bike_assets_tests.sources.builders import (
    NOON,
    NOON_S,
    REMOVED,
    answer,
    body_of,
    gbfs,
    jcdecaux_row,
    stations,
    status_row,
)

FEEDS = ("station_information", "station_status", "system_information", "vehicle_types")


def discovery(*names: str, **changes: Any) -> bytes:
    return gbfs({"en": {"feeds": [{"name": name, "url": f"https://city.example/{name}"} for name in names]}}, **changes)


def place(**changes: Any) -> dict[str, Any]:
    return {"station_id": "a", "name": "A", "lat": 45.0, "lon": 4.0, "capacity": 12} | changes


HEALTHY = {
    "gbfs": discovery(*FEEDS),
    "system_information": gbfs({"name": "City", "timezone": "Europe/Paris"}),
    "vehicle_types": gbfs({"vehicle_types": [{"vehicle_type_id": "e", "propulsion_type": "electric"}]}),
    "station_information": stations(place()),
    "station_status": stations(status_row()),
}


def found(bodies: Mapping[str, bytes | Answer] = HEALTHY, timezone: str | None = None) -> Checked:
    """A healthy system's feeds, with other answers in the place of some."""
    findings = Findings("city", "https://city.example/gbfs.json", timezone)
    for feed, body in {**HEALTHY, **bodies}.items():
        findings.take(body if isinstance(body, Answer) else answer(f"gbfs.{feed}", body))
    return findings.checked()


def test_a_healthy_system_is_usable_and_says_what_it_has() -> None:
    assert found() == Checked(
        system_id="city", url="https://city.example/gbfs.json", is_usable=True, version="2.3", feeds=list(FEEDS),
        stations=1, rejected=0, reasons={}, age_s=0.0, ttl_s=60, faults=[], remarks=[],
    )  # fmt: skip


ONE_BIKE = gbfs({"bikes": [{"bike_id": "v1", "lat": 45.0, "lon": 4.0, "is_reserved": False, "is_disabled": False}]})


def test_vehicles_are_counted_beside_the_stations() -> None:
    beside = found({"gbfs": discovery(*FEEDS, "free_bike_status"), "free_bike_status": ONE_BIKE})
    assert (beside.is_usable, beside.stations, beside.vehicles, beside.remarks) == (True, 1, 1, [])


@pytest.mark.parametrize(("bikes", "is_usable"), [(ONE_BIKE, True), (gbfs({"bikes": []}), False)])
def test_a_system_of_vehicles_alone_is_usable_where_it_has_some(bikes: bytes, is_usable: bool) -> None:
    findings = Findings("city", "https://city.example/gbfs.json", "UTC")
    for feed, body in (("gbfs", discovery("free_bike_status")), ("free_bike_status", bikes)):
        findings.take(answer(f"gbfs.{feed}", body))
    alone = findings.checked()
    assert (alone.is_usable, alone.stations, bool(alone.faults)) == (is_usable, 0, not is_usable)


FAILED = Answer("city", "gbfs.station_status", NOON, "request", 503, failure=Outcome.HTTP_ERROR,
                error="https://city.example/station_status answered with status 503")  # fmt: skip


@pytest.mark.parametrize(("body", "fault"), [
    (FAILED, "station_status: https://city.example/station_status answered with status 503"),
    (b"\n <!DOCTYPE html><html>", "station_status: it answers a web page, not JSON"),
    (b'{"last_updated": 1', "station_status: the answer is no GBFS feed: Input data was truncated"),
    (b"", "station_status: the answer is empty"),
    (gbfs({"stations": {}}), "station_status: the answer is no station_status"),
    (stations(status_row(), version="9.0"), "station_status: GBFS 9.0 is not supported"),
    (stations(), "station_status: it lists no station"),
    (stations(status_row(num_bikes_available=-1)), "station_status: all 1 rows are rejected"),
], ids=["status", "html", "cut", "empty", "shape", "version", "no station", "all rejected"])  # fmt: skip
def test_without_a_good_status_it_is_not_usable_and_says_why(body: bytes | Answer, fault: str) -> None:
    checked = found({"station_status": body})
    assert not checked.is_usable
    assert [each[: len(fault)] for each in checked.faults] == [fault]


def test_a_discovery_that_is_none_is_the_fault() -> None:
    findings = Findings("city", "https://city.example/gbfs.json")
    assert findings.take(answer("gbfs.gbfs", b"<html>")) is None
    checked = findings.checked()
    assert (checked.is_usable, checked.faults) == (False, ["gbfs: it answers a web page, not JSON"])


def test_a_system_of_vehicles_alone_has_nothing_to_poll() -> None:
    findings = Findings("city", "https://city.example/gbfs.json")
    findings.take(answer("gbfs.gbfs", discovery("free_bike_status", "system_information")))
    checked = findings.checked()
    assert (checked.is_usable, checked.faults) == (False, ["it lists no station_status: it has no station to poll"])
    assert checked.feeds == ["free_bike_status", "system_information"]


LONG_AGO = int((NOON - timedelta(days=6)).timestamp())


@pytest.mark.parametrize(("bodies", "remark"), [
    ({"station_status": stations(status_row(), last_updated=LONG_AGO)},
     "its own time stands at 2026-05-26 12:00 UTC: it is frozen, or its clock is wrong"),
    ({"station_status": stations(status_row(), last_updated=NOON_S + 3600)},
     "its own time is 2026-06-01 13:00 UTC, in the future: its clock is wrong"),
    ({"station_status": stations(status_row(num_docks_available=999))},
     "1 of 1 stations give no docks, or 999: they are never full"),
    ({"station_status": stations(status_row(num_docks_available=REMOVED))},
     "1 of 1 stations give no docks, or 999: they are never full"),
    ({"station_status": stations(status_row(is_renting=False))}, "no station is open"),
    ({"station_status": stations(status_row(), status_row(station_id="b"))},
     "1 of 2 stations are in no station_information: without a name and a place"),
    ({"station_information": stations(place(capacity=None))}, "1 of 1 stations have no capacity"),
    ({"station_information": b"<html>"}, "station_information: it answers a web page, not JSON"),
    ({"gbfs": discovery("station_status")}, "no vehicle_types: e-bikes are not told apart"),
    ({"system_information": gbfs({"name": "City"})},
     "no time zone: its days are UTC's, unless the sources file says `timezone`"),
], ids=["frozen", "future", "999", "no docks", "closed", "not described", "capacity", "html", "types", "zone"])
def test_what_is_missing_is_remarked_and_it_is_usable_all_the_same(bodies: dict[str, bytes], remark: str) -> None:
    checked = found(bodies)
    assert checked.is_usable
    assert remark in checked.remarks


def editions(*versions: str, **changes: Any) -> bytes:
    each = [{"version": version, "url": f"https://city.example/{version}/gbfs.json?key=s3cret"} for version in versions]
    return gbfs({"versions": each}, **changes)


@pytest.mark.parametrize(("offered", "newest"), [
    (("1.1", "2.3", "3.0", "2.2"), "3.0"),
    (("2.10", "2.9"), "2.10"),
    (("2.3", "2.2"), None),
    (("3.1-RC2", "4.0", "latest", "²⁰.0"), None),  # not final, not read, no version
    ((), None),
])
def test_a_newer_version_that_can_be_read_is_told_with_its_address(
    offered: tuple[str, ...], newest: str | None
) -> None:
    """Whatever version the list itself is written in."""
    checked = found({"gbfs_versions": editions(*offered, version="3.0"), **HEALTHY})
    assert (checked.version, checked.is_usable, sorted(checked.versions)) == ("2.3", True, sorted(offered))
    said = f"it can be had in GBFS {newest} too: https://city.example/{newest}/gbfs.json"
    assert checked.remarks == ([said] if newest else []), "without what may be a key"


def test_a_list_of_versions_that_is_none_is_a_remark() -> None:
    checked = found({"gbfs_versions": b"<html>", **HEALTHY})
    assert (checked.is_usable, checked.remarks) == (True, ["gbfs_versions: it answers a web page, not JSON"])


def test_the_age_is_that_of_the_status() -> None:
    checked = found({"station_status": stations(status_row(), last_updated=NOON_S - 90, ttl=30)})
    assert (checked.age_s, checked.ttl_s) == (90.0, 30)


def test_a_time_zone_of_the_sources_file_is_one() -> None:
    assert found({"system_information": gbfs({"name": "City"})}, "Europe/Paris").remarks == []


def test_rejected_rows_are_counted_by_reason_whatever_station_they_are_of() -> None:
    rows = [status_row(), status_row(), status_row(station_id="b"), status_row(station_id="b"), {"station_id": "c"}]
    places = stations(place(), place(lat=100, station_id="b"))
    checked = found({"station_status": stations(*rows), "station_information": places})
    assert (checked.stations, checked.rejected) == (2, 4)
    assert list(checked.reasons.values()) == [2, 1, 1]
    assert next(iter(checked.reasons)) == "station_status: duplicate"


def test_jcdecaux_describes_its_stations_itself() -> None:
    findings = Findings("jcdecaux:lyon", "https://api.example", "Europe/Paris")
    rows = [jcdecaux_row(), jcdecaux_row(number=8, bike_stands=REMOVED)]
    findings.take(answer("jcdecaux.v1.stations", body_of(rows)))
    checked = findings.checked()
    assert (checked.is_usable, checked.version, checked.stations) == (True, "JCDecaux v1", 2)
    assert checked.remarks == ["1 of 2 stations have no capacity"]
