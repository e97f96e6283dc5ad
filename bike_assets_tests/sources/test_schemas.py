"""Whatever the official schemas accept is read, row for row, and means what it says."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from bike_assets.model.answers import (
    Description,
    DiscoveryPoll,
    InformationPoll,
    StationPoll,
    SystemPoll,
    TypesPoll,
    VehiclePoll,
)
from bike_assets.model.constants import MAX_COUNT
from bike_assets.model.readings import Reading, VehicleReading
from bike_assets.sources.reading import read
from bike_assets.sources.rows import LATEST_S, MAX_TEXT
from bike_assets_tests.sources.builders import NOON_TEXT, answer, body_of, stations, status_row, v3_status_row
from bike_assets_tests.sources.schemas import SCHEMA_VERSIONS, schema
from bike_assets_tests.sources.schemas.documents import documents, row_lists

ELECTRIC = frozenset({"e"})
in_every_version = pytest.mark.parametrize("version", SCHEMA_VERSIONS)
often = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def parsed(feed: str, document: Any) -> Any:
    return read(answer(f"gbfs.{feed}", body_of(document)), ELECTRIC)


def instant(written: float | str | None) -> datetime | None:
    """A time by the standard library alone, to the millisecond."""
    if written is None:
        return None
    if isinstance(written, str):
        at = datetime.fromisoformat(written.upper()).astimezone(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(written * 1000))


def words(said: Any) -> str:
    """A text, of several languages English or else the first."""
    if isinstance(said, str):
        return said
    texts: list[str] = [each["text"] for each in said]
    english: list[str] = [each["text"] for each in said if each["language"].split("-")[0] == "en"]
    return (english or texts or [""])[0]


def reading(row: dict[str, Any]) -> Reading:
    docks = row.get("num_docks_available")
    kinds = [each["count"] for each in row.get("vehicle_docks_available", ())]
    if docks is None and kinds:
        docks = int(sum(kinds)) if sum(kinds) <= MAX_COUNT and 999 not in kinds else None
    elif docks == 999:
        docks = None
    types = row.get("vehicle_types_available")
    ebikes = None if types is None else sum(each["count"] for each in types if each["vehicle_type_id"] in ELECTRIC)
    return Reading(
        row["num_vehicles_available" if "num_vehicles_available" in row else "num_bikes_available"],
        None if ebikes is not None and ebikes > MAX_COUNT else ebikes,
        docks,
        row.get("num_bikes_disabled", row.get("num_vehicles_disabled")), row.get("num_docks_disabled"),
        row["is_installed"], row["is_renting"], row["is_returning"],
    )  # fmt: skip


@in_every_version
@pytest.mark.parametrize("feed", ["gbfs", "gbfs_versions", "station_status", "station_information",
                                  "system_information", "vehicle_types"])  # fmt: skip
def test_the_documents_of_these_tests_are_valid(version: str, feed: str) -> None:
    validator = Draft7Validator(schema(version, feed))

    @settings(often, max_examples=25)
    @given(documents(version, feed))
    def valid(document: Any) -> None:
        assert list(validator.iter_errors(document)) == []

    valid()


@in_every_version
@often
@given(data=st.data())
def test_every_station_is_read(version: str, data: st.DataObject) -> None:
    document = data.draw(documents(version, "station_status"))
    poll, (rows,) = parsed("station_status", document), row_lists(document, "station_status")
    assert isinstance(poll, StationPoll)
    assert (poll.rows_in, list(poll.rejected), poll.feed_updated_at) == (
        len(rows), [], instant(document["last_updated"])
    )  # fmt: skip
    found = [poll.read(place) for place in range(len(poll.rows))]
    assert [(each.station_id, each.reading, each.reported_at) for each in found] == [
        (row["station_id"], reading(row), instant(row.get("last_reported"))) for row in rows
    ]


@in_every_version
@often
@given(data=st.data())
def test_every_description_is_read(version: str, data: st.DataObject) -> None:
    document = data.draw(documents(version, "station_information"))
    poll, (rows,) = parsed("station_information", document), row_lists(document, "station_information")
    assert isinstance(poll, InformationPoll)
    assert poll == InformationPoll(
        {row["station_id"]: Description(words(row["name"]), row.get("address"), row["lat"], row["lon"],
                                        row.get("capacity"), None) for row in rows},
        instant(document["last_updated"]), len(rows), [],
    )  # fmt: skip


@in_every_version
@often
@given(data=st.data())
def test_every_system_is_read(version: str, data: st.DataObject) -> None:
    document = data.draw(documents(version, "system_information"))
    told, operator = document["data"], document["data"].get("operator")
    assert parsed("system_information", document) == SystemPoll(
        words(told["name"]), None if operator is None else words(operator) or None, told["timezone"],
        instant(document["last_updated"]),
    )  # fmt: skip


@in_every_version
@often
@given(data=st.data())
def test_every_type_is_read(version: str, data: st.DataObject) -> None:
    document = data.draw(documents(version, "vehicle_types"))
    (rows,) = row_lists(document, "vehicle_types")
    electric = [row["vehicle_type_id"] for row in rows if row["propulsion_type"] in {"electric", "electric_assist"}]
    ranges_m = {row["vehicle_type_id"]: row["max_range_meters"] for row in rows if row.get("max_range_meters")}
    ids = frozenset(row["vehicle_type_id"] for row in rows)
    assert parsed("vehicle_types", document) == TypesPoll(
        electric, len(rows), instant(document["last_updated"]), len(rows), [], ranges_m, ids
    )


VEHICLES = {"2.2": "free_bike_status", "2.3": "free_bike_status", "3.0": "vehicle_status"}


def vehicle(row: dict[str, Any]) -> VehicleReading:
    share = row.get("current_fuel_percent")
    return VehicleReading(
        row.get("vehicle_type_id"), row.get("station_id"), row.get("lat"), row.get("lon"), row["is_reserved"],
        row["is_disabled"], None if share is None else round(share * 100, 1), row.get("current_range_meters"),
    )  # fmt: skip


@in_every_version
@often
@given(data=st.data())
def test_every_vehicle_is_read(version: str, data: st.DataObject) -> None:
    feed = VEHICLES[version]
    document = data.draw(documents(version, feed))
    (rows,) = row_lists(document, feed)
    assert list(Draft7Validator(schema(version, feed)).iter_errors(document)) == []
    assert parsed(feed, document) == VehiclePoll(
        {row["vehicle_id" if version == "3.0" else "bike_id"]: vehicle(row) for row in rows},
        instant(document["last_updated"]), len(rows), [],
    )  # fmt: skip


@in_every_version
@often
@given(data=st.data())
def test_every_discovery_is_read_and_every_list_of_versions(version: str, data: st.DataObject) -> None:
    document = data.draw(documents(version, "gbfs"))
    lists = [{row["name"]: row["url"] for row in rows} for rows in row_lists(document, "gbfs")]
    poll = parsed("gbfs", document)
    assert (poll.urls in lists, poll.rows_in, poll.rejected) == (True, len(poll.urls), [])
    document = data.draw(documents(version, "gbfs_versions"))
    (rows,) = row_lists(document, "gbfs_versions")
    urls = {row["version"]: row["url"] for row in rows}
    assert parsed("gbfs_versions", document) == DiscoveryPoll(urls, len(rows), [])


NO_INSTANT = "Expected an instant from 1970 to 2199"
ROW = {"2.3": status_row(), "3.0": v3_status_row()}


@pytest.mark.parametrize(
    ("version", "changes", "reason"),
    [
        ("2.3", {"station_id": ""}, "Expected str of length >= 1 - at $.station_id"),
        ("2.3", {"station_id": "a" * (MAX_TEXT + 1)}, "Expected str of length <= 2000 - at $.station_id"),
        ("2.3", {"num_bikes_available": MAX_COUNT + 1}, "Expected int <= 1000000 - at $.num_bikes_available"),
        ("2.3", {"last_reported": LATEST_S}, "Expected int <= 7258118399 - at $.last_reported"),
        ("3.0", {"last_reported": "1969-12-31T00:00:00Z"}, f"{NO_INSTANT} - at $.last_reported"),
        ("3.0", {"last_reported": "2200-01-01T00:00:00Z"}, f"{NO_INSTANT} - at $.last_reported"),
        ("3.0", {"last_reported": "0000-01-01T00:00:00Z"}, "Invalid RFC3339 encoded datetime - at $.last_reported"),
        ("3.0", {"last_reported": "2016-12-31T23:59:60Z"}, "Invalid RFC3339 encoded datetime - at $.last_reported"),
    ],
)
def test_a_row_beyond_our_bounds_is_rejected_by_them_and_no_other(
    version: str, changes: dict[str, Any], reason: str
) -> None:
    times = {"version": version} | ({"last_updated": NOON_TEXT} if version == "3.0" else {})
    body = stations(ROW[version] | changes, ROW[version] | {"station_id": "b"}, **times)
    assert Draft7Validator(schema(version, "station_status")).is_valid(json.loads(body))
    poll = read(answer("gbfs.station_status", body), None)
    assert isinstance(poll, StationPoll)
    assert [row.reason for row in poll.rejected] == [f"bad_field: {reason}"]
    assert [row.station_id for row in poll.rows] == ["b"]
