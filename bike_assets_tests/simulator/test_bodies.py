"""The bytes that the simulator answers with are those of the APIs that it stands for."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from bike_assets.simulator import gbfs_2_3, jcdecaux_v1
from bike_assets.simulator.city import Habits
from bike_assets.simulator.seeds import generated_city
from bike_assets_tests.simulator.builders import MORNING, after, city, station

SCHEMAS = Path(__file__).parent / "gbfs_2_3_schemas"
"""MobilityData's, see the LICENSE there."""
FILES = ["gbfs", "system_information", "vehicle_types", "station_information", "station_status"]


def body(of: Any, name: str, ttl_s: int = 5) -> Any:
    return json.loads(gbfs_2_3.feed(of, name, "http://127.0.0.1:1/gbfs/town", ttl_s) or b"null")


@pytest.mark.parametrize("name", FILES)
def test_each_gbfs_file_is_valid_against_its_schema(name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    town = generated_city(30, 1, MORNING, (60.0, 10.0), timezone="Europe/Oslo")
    for hours in range(0, 24, 6):
        town.advance(after(hours=hours))
        errors = list(Draft7Validator(schema, format_checker=FormatChecker()).iter_errors(body(town, name)))
        assert errors == []


def test_the_discovery_names_every_file_and_none_else() -> None:
    feeds = body(city([station("1"), station("2")]), "gbfs")["data"]["en"]["feeds"]
    assert {each["name"] for each in feeds} == set(FILES) - {"gbfs"}
    assert all(each["url"] == f"http://127.0.0.1:1/gbfs/town/{each['name']}.json" for each in feeds)
    assert gbfs_2_3.feed(city([station("1"), station("2")]), "free_bike_status", "", 5) is None


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
        seen.append(gbfs_2_3.feed(town, "station_status", "", 10))
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
    assert [each["number"] for each in jcdecaux_v1.stations(town)] == [1, 2]
    assert [each["station_id"] for each in body(town, "station_status")["data"]["stations"]] == ["1", "2"]


def test_a_jcdecaux_row_is_as_the_api_gives_it() -> None:
    described = station("7", name="07 - GARE D'EAU", address="Avenue Général", bikes=3, is_open=False,
                        has_payment_terminal=True)
    town = city([described, station("8")], system_id="jcdecaux:town")
    row = json.loads(jcdecaux_v1.body(jcdecaux_v1.stations(town)))[0]
    moved = row.pop("last_update")
    assert 0 <= town.now_ms - moved < 600_000
    assert row == {
        "number": 7, "contract_name": "Town", "name": "07 - GARE D'EAU", "address": "Avenue Général",
        "position": {"lat": 0.0, "lng": 0.0063}, "banking": True, "bonus": False, "status": "CLOSED",
        "bike_stands": 10, "available_bike_stands": 7, "available_bikes": 3,
    }


def test_a_change_moves_last_update_to_its_millisecond() -> None:
    town = city([station("1"), station("2")], Habits(60, 0, 0, 0))
    town.advance(after(minutes=30))
    changed = max(town.stations, key=lambda each: each.changed_ms)
    rows = {row["number"]: row["last_update"] for row in jcdecaux_v1.stations(town)}
    assert changed.changed_ms > 0
    assert rows[int(changed.station_id)] >= changed.changed_ms
