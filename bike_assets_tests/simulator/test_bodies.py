"""The bytes that the simulator answers with are those of the APIs that it stands for."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from bike_assets.simulator import gbfs, jcdecaux
from bike_assets.simulator.city import Habits
from bike_assets.simulator.seeds import generated_city
from bike_assets_tests.simulator.builders import MORNING, after, city, fleet, station
from bike_assets_tests.sources.builders import jcdecaux_v3_row
from bike_assets_tests.sources.schemas import SCHEMA_VERSIONS, schema

FILES = ["gbfs", "gbfs_versions", "system_information", "vehicle_types", "station_information", "station_status"]


def body(of: Any, name: str, ttl_s: int = 5, version: str = "2.3") -> Any:
    return json.loads(gbfs.feed(of, name, "http://127.0.0.1:1/gbfs/town", ttl_s, version) or b"null")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("version", SCHEMA_VERSIONS)
def test_each_gbfs_file_is_valid_against_its_schema(name: str, version: str) -> None:
    town = generated_city(30, 1, MORNING, (60.0, 10.0), timezone="Europe/Oslo")
    for hours in range(0, 24, 6):
        town.advance(after(hours=hours))
        validator = Draft7Validator(schema(version, name), format_checker=FormatChecker())
        errors = list(validator.iter_errors(body(town, name, version=version)))
        assert errors == []


VEHICLES = {"2.2": "free_bike_status", "2.3": "free_bike_status", "3.0": "vehicle_status"}


@pytest.mark.parametrize("version", SCHEMA_VERSIONS)
def test_each_file_of_vehicles_is_valid_against_its_schema(version: str) -> None:
    town = city([station("1"), station("2")], fleet=fleet())
    for hours in range(0, 24, 6):
        town.advance(after(hours=hours))
        found = body(town, VEHICLES[version], version=version)
        validator = Draft7Validator(schema(version, VEHICLES[version]), format_checker=FormatChecker())
        assert list(validator.iter_errors(found)) == []
        assert len(found["data"]["vehicles" if version == "3.0" else "bikes"]) > 10


@pytest.mark.parametrize("version", gbfs.VERSIONS)
def test_the_discovery_names_the_vehicles_of_a_city_that_has_some_by_the_versions_word(version: str) -> None:
    town = city([station("1"), station("2")], fleet=fleet())
    data = body(town, "gbfs", version=version)["data"]
    names = {each["name"] for each in (data["feeds"] if version == "3.0" else data["en"]["feeds"])}
    own = "vehicle_status" if version == "3.0" else "free_bike_status"
    assert names & {"vehicle_status", "free_bike_status"} == {own}
    assert body(town, own, version=version)["data"]


def test_vehicles_are_no_stations_bikes_and_change_no_number_of_theirs() -> None:
    alone, beside = (generated_city(30, 1, MORNING, (60.0, 10.0)) for _ in range(2))
    beside.fleet = fleet()
    for town in (alone, beside):
        town.advance(after(hours=5))
    assert body(alone, "station_status") == body(beside, "station_status")


SINCE = {"gbfs_versions": "1.1", "vehicle_types": "2.1"}


@pytest.mark.parametrize("version", gbfs.VERSIONS)
def test_the_discovery_names_every_file_of_its_version_and_none_else(version: str) -> None:
    town = city([station("1"), station("2")])
    data = body(town, "gbfs", version=version)["data"]
    feeds = data["feeds"] if version == "3.0" else data["en"]["feeds"]
    expected = {name for name in FILES if SINCE.get(name, "1.0") <= version} - {"gbfs"}
    assert {each["name"] for each in feeds} == expected
    assert all(each["url"] == f"http://127.0.0.1:1/gbfs/town/{version}/{each['name']}.json" for each in feeds)
    assert {name for name in FILES if body(town, name, version=version)} == {"gbfs", *expected}
    assert body(town, "free_bike_status", version=version) is None


def test_the_versions_lead_to_each_version() -> None:
    versions = body(city([station("1"), station("2")]), "gbfs_versions")["data"]["versions"]
    assert [each["version"] for each in versions] == list(gbfs.VERSIONS)
    assert versions[-1]["url"] == "http://127.0.0.1:1/gbfs/town/3.0/gbfs.json"


def test_gbfs_1_has_flags_of_0_and_1_and_1_0_no_version() -> None:
    town = city([station("1", is_open=False), station("2")])
    oldest, old = (body(town, "station_status", version=version) for version in ("1.0", "1.1"))
    assert ("version" in oldest, old["version"]) == (False, "1.1")
    row = oldest["data"]["stations"][0]
    assert (row["is_installed"], row["is_renting"], row["is_returning"]) == (1, 0, 0)
    assert type(row["is_renting"]) is int
    assert "vehicle_types_available" not in row


def test_the_status_says_what_stands_at_a_station() -> None:
    town = city([station("1", capacity=12, bikes=7, ebikes=3, docks_blocked=1), station("2", is_open=False)])
    one, two = body(town, "station_status")["data"]["stations"]
    assert (one["num_bikes_available"], one["num_docks_available"]) == (7, 4)
    assert {each["vehicle_type_id"]: each["count"] for each in one["vehicle_types_available"]} == {
        "bike": 4, "ebike": 3,
    }
    assert (one["is_renting"], one["is_returning"], two["is_renting"], two["is_returning"]) == (
        True, True, False, False,
    )


def test_a_status_is_the_same_within_a_tick_and_newer_after_it_or_after_a_change() -> None:
    town = city([station("1"), station("2")])
    seen = []
    for seconds in (0, 9.9, 10, 13):
        town.advance(after(seconds=seconds))
        seen.append(gbfs.feed(town, "station_status", "", 10))
    assert seen[0] == seen[1] != seen[2] == seen[3]
    town.ride_now()
    changed = body(town, "station_status", 10)
    assert changed["last_updated"] == int(after(seconds=13).timestamp())
    assert changed["data"]["stations"][0]["last_reported"] == changed["last_updated"]


def test_the_time_of_a_status_never_goes_back() -> None:
    town = generated_city(20, 1, MORNING, (60.0, 10.0))
    times = []
    for second in range(0, 1800, 3):
        town.advance(MORNING + timedelta(seconds=second))
        times.append(body(town, "station_status")["last_updated"])
        assert 0 <= town.now_ms / 1000 - times[-1] < 5
    assert times == sorted(times)


def test_a_station_without_information_stands_in_the_status_alone() -> None:
    town = city([station("1"), station("2", is_described=False)])
    shown = {
        name: [each["station_id"] for each in body(town, name)["data"]["stations"]]
        for name in ("station_information", "station_status")
    }
    assert shown == {"station_information": ["1"], "station_status": ["1", "2"]}


def test_a_vanished_station_is_in_neither_status() -> None:
    town = city([station("1"), station("2"), station("3", is_in_feed=False)])
    assert [each["number"] for each in jcdecaux.stations(town)] == [1, 2]
    assert [each["station_id"] for each in body(town, "station_status")["data"]["stations"]] == ["1", "2"]


def test_a_jcdecaux_row_is_as_the_api_gives_it() -> None:
    described = station("7", name="07 - GARE D'EAU", address="Avenue Général", bikes=3, is_open=False,
                        has_payment_terminal=True)
    town = city([described, station("8")], system_id="jcdecaux:town")
    row = json.loads(jcdecaux.body(jcdecaux.stations(town)))[0]
    moved = row.pop("last_update")
    assert 0 <= town.now_ms - moved < 600_000
    assert row == {
        "number": 7, "contract_name": "Town", "name": "07 - GARE D'EAU", "address": "Avenue Général",
        "position": {"lat": 0.0, "lng": 0.0063}, "banking": True, "bonus": False, "status": "CLOSED",
        "bike_stands": 10, "available_bike_stands": 7, "available_bikes": 3,
    }


def test_a_row_of_jcdecaux_v3_is_as_the_api_gives_it() -> None:
    town = city([station("7", bikes=3, ebikes=1, has_payment_terminal=True), station("8")], system_id="jcdecaux:town")
    row = json.loads(jcdecaux.body(jcdecaux.stations(town, "v3")))[0]
    assert row.keys() == jcdecaux_v3_row().keys()
    assert row["totalStands"] == row["mainStands"] == {
        "availabilities": {
            "bikes": 3, "stands": 7, "mechanicalBikes": 2, "electricalBikes": 1,
            "electricalInternalBatteryBikes": 0, "electricalRemovableBatteryBikes": 1,
        },
        "capacity": 10,
    }
    moved = datetime.fromisoformat(row["lastUpdate"])
    assert timedelta(0) <= MORNING - moved < timedelta(minutes=10)


def test_a_change_moves_last_update_to_its_millisecond() -> None:
    town = city([station("1"), station("2")], Habits(60, 0, 0, 0))
    town.advance(after(minutes=30))
    changed = max(town.stations, key=lambda each: each.changed_ms)
    rows = {row["number"]: row["last_update"] for row in jcdecaux.stations(town)}
    assert changed.changed_ms > 0
    assert rows[int(changed.station_id)] >= changed.changed_ms
