"""Vehicles, in the words of every version; what is no vehicle is rejected with its reason."""

from typing import Any

import pytest

from bike_assets.model.answers import TypesPoll, VehiclePoll
from bike_assets.model.errors import FeedMalformed
from bike_assets.model.readings import VehicleReading
from bike_assets.sources import rows
from bike_assets.sources.reading import feed_name, read
from bike_assets_tests.sources.builders import NOON, NOON_TEXT, REMOVED, answer, gbfs, without_removed

PLACE = {"lat": 48.39, "lon": -4.48}


def row(**changes: Any) -> dict[str, Any]:
    return without_removed({"bike_id": "v1", **PLACE, "is_reserved": False, "is_disabled": False} | changes)


def bikes(*rows: Any, **changes: Any) -> VehiclePoll:
    poll = read(answer("gbfs.free_bike_status", gbfs({"bikes": list(rows)}, **changes)), None)
    assert isinstance(poll, VehiclePoll)
    return poll


def reading(**changes: Any) -> VehicleReading:
    given = {"vehicle_type": None, "station_id": None, **PLACE, "is_reserved": False, "is_disabled": False,
             "battery_pct": None, "range_m": None}  # fmt: skip
    return VehicleReading(**(given | changes))


@pytest.mark.parametrize("version", [REMOVED, "1.0", "1.1", "2.0", "2.3"])
def test_a_vehicle_of_gbfs_1_and_2_is_read_flags_as_numbers_or_not(version: Any) -> None:
    poll = bikes(row(is_reserved=1, is_disabled=0), row(bike_id="v2"), version=version)
    assert poll == VehiclePoll({"v1": reading(is_reserved=True), "v2": reading()}, NOON, 2, [])
    assert type(poll.vehicles["v1"].is_reserved) is bool


def test_a_vehicle_of_gbfs_3_is_read() -> None:
    told = row(bike_id=REMOVED, vehicle_id="v1", vehicle_type_id="e", station_id="7", current_fuel_percent=0.875,
               current_range_meters=31_000, last_reported=NOON_TEXT)
    body = gbfs({"vehicles": [told]}, version="3.0", last_updated=NOON_TEXT)
    expected = reading(vehicle_type="e", station_id="7", battery_pct=87.5, range_m=31_000)
    assert read(answer("gbfs.vehicle_status", body), None) == VehiclePoll({"v1": expected}, NOON, 1, [])


def test_both_names_of_the_feed_are_one_and_so_are_both_names_of_its_rows() -> None:
    assert feed_name("gbfs.free_bike_status") == feed_name("gbfs.vehicle_status") == "vehicle_status"
    body = gbfs({"vehicles": [row(bike_id=REMOVED, vehicle_id="v1")]})
    assert read(answer("gbfs.free_bike_status", body), None) == VehiclePoll({"v1": reading()}, NOON, 1, [])


def test_more_vehicles_than_any_city_has_are_read() -> None:
    """Some answers are of a whole country; one bad row among them costs itself."""
    many = [row(bike_id=str(number)) for number in range(150_000)]
    poll = bikes(*many, row(bike_id=5.5))
    assert (len(poll.vehicles), [each.row_index for each in poll.rejected], poll.rows_in) == (
        150_000, [150_000], 150_001)


@pytest.mark.parametrize("feed", ["free_bike_status", "station_information", "vehicle_types"])
def test_an_answer_with_too_many_bad_rows_is_refused_whole(feed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = {"free_bike_status": "bikes", "station_information": "stations"}.get(feed, feed)
    monkeypatch.setattr(rows, "MAX_REJECTED", 2)
    assert len(getattr(read(answer(f"gbfs.{feed}", gbfs({name: [5] * 2})), None), "rejected", [])) == 2
    with pytest.raises(FeedMalformed, match=r"^city: more than 2 of its rows are bad, the last: bad_field: Expected"):
        read(answer(f"gbfs.{feed}", gbfs({name: [5] * 3})), None)


def test_a_vehicle_at_a_station_needs_no_place_of_its_own() -> None:
    poll = bikes(row(station_id="7", lat=REMOVED, lon=REMOVED), row(bike_id="v2", station_id=""))
    assert poll.vehicles == {"v1": reading(station_id="7", lat=None, lon=None), "v2": reading()}


def test_a_number_as_an_id_is_its_digits_and_the_others_stay() -> None:
    assert bikes(row(bike_id=17), row(bike_id="v2", lat="48.39")).vehicles == {"17": reading(), "v2": reading()}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bike_id": REMOVED}, "bad_field: Object has neither vehicle_id nor bike_id"),
        ({"bike_id": ""}, "bad_field: Expected str of length >= 1 - at $.bike_id"),
        ({"lat": REMOVED, "lon": REMOVED}, "bad_field: Object has neither lat and lon nor station_id"),
        ({"lon": REMOVED}, "bad_field: Object has one of lat and lon without the other"),
        ({"lat": 91}, "bad_field: Expected float <= 90.0 - at $.lat"),
        ({"is_reserved": 2}, "bad_field: Invalid enum value 2 - at $.is_reserved"),
        ({"is_disabled": REMOVED}, "bad_field: Object missing required field is_disabled"),
        ({"current_fuel_percent": 87}, "bad_field: Expected float <= 1.0 - at $.current_fuel_percent"),
        ({"current_range_meters": -1}, "bad_field: Expected float >= 0.0 - at $.current_range_meters"),
        ({}, "duplicate: v2 stands in this answer twice"),
    ],
)
def test_what_is_no_vehicle_is_rejected_with_its_reason_and_takes_no_other_with_it(
    changes: dict[str, Any], reason: str
) -> None:
    poll = bikes(row(bike_id="v2"), row(**(changes or {"bike_id": "v2"})), row(bike_id="v3"))
    assert [(each.row_index, each.reason) for each in poll.rejected] == [(1, reason)]
    assert (poll.rows_in, list(poll.vehicles)) == (3, ["v2", "v3"])


@pytest.mark.parametrize("data", [{}, {"bikes": None}, {"bikes": {}}, [], {"stations": []}])
def test_an_envelope_without_vehicles_is_refused_whole(data: Any) -> None:
    with pytest.raises(FeedMalformed, match=r"^city: the answer is no vehicle_status of GBFS 1 or 2: "):
        read(answer("gbfs.free_bike_status", gbfs(data)), None)


def test_types_tell_how_far_they_go_where_they_say_so() -> None:
    types = [{"vehicle_type_id": "e", "propulsion_type": "electric_assist", "max_range_meters": 60_000},
             {"vehicle_type_id": "b", "propulsion_type": "human"},
             {"vehicle_type_id": "z", "propulsion_type": "electric", "max_range_meters": 0}]
    poll = read(answer("gbfs.vehicle_types", gbfs({"vehicle_types": types})), None)
    assert isinstance(poll, TypesPoll)
    assert (poll.electric_types, poll.ranges_m) == (["e", "z"], {"e": 60_000})
