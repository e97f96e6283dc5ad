"""Healthy messages of every topic: a test names only what matters to it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from bike_assets.model.messages import (
    EventKind,
    FeedField,
    MemberCursor,
    MemberForgotten,
    Order,
    Outcome,
    Poll,
    Rejection,
    StationInformation,
    StationState,
    StationStatus,
    SystemInformation,
    SystemState,
    User,
    VehicleFeedState,
    VehicleState,
    VehicleStatus,
    VehicleTotals,
)
from bike_assets.model.readings import Reading, State, VehicleReading

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def reading(**given: Any) -> Reading:
    """An open station with bikes and docks."""
    healthy: dict[str, Any] = {
        "bikes_available": 5, "ebikes_available": 1, "docks_available": 10, "bikes_disabled": 0, "docks_disabled": 0,
        "is_installed": True, "is_renting": True, "is_returning": True,
    }  # fmt: skip
    return Reading(**(healthy | given))


def user(**given: Any) -> User:
    """A member with all that the policy leaves."""
    healthy: dict[str, Any] = {
        "member_id": "7a0eed16-9430-4d68-901f-c0d4c1c3bf00", "taken_at": NOON, "registered_at": NOON,
        "gender": "female", "birth_year": 1990, "city": "Oslo", "state": "Oslo", "country": "Norway",
        "postcode_area": "01", "lat": 59.9, "lon": 10.8, "nationality": "NO", "email_hash": "a" * 64,
        "username_hash": "b" * 64,
    }  # fmt: skip
    return User(**(healthy | given))


def station_status(**given: Any) -> StationStatus:
    """The first event of a station."""
    first: dict[str, Any] = {
        "system_id": "oslo", "station_id": "1", "observed_at": NOON, "kind": EventKind.CHANGE,
        **reading()._asdict(), "state": State.AVAILABLE, "state_since": NOON,
        "bikes_before": None, "docks_before": None, "state_before": None, "reported_at": NOON,
    }  # fmt: skip
    return StationStatus(**(first | given))


def vehicle_reading(**given: Any) -> VehicleReading:
    """An e-bike that can be taken, on the street."""
    healthy: dict[str, Any] = {
        "vehicle_type": "ebike", "station_id": None, "lat": 59.91, "lon": 10.75, "is_reserved": False,
        "is_disabled": False, "battery_pct": 80.0, "range_m": 40_000.0,
    }  # fmt: skip
    return VehicleReading(**(healthy | given))


def vehicle_status(**given: Any) -> VehicleStatus:
    """The first event of a vehicle."""
    first: dict[str, Any] = {
        "system_id": "oslo", "vehicle_id": "v1", "observed_at": NOON, "kind": EventKind.CHANGE,
        **vehicle_reading()._asdict(), "stands_since": NOON,
    }  # fmt: skip
    return VehicleStatus(**(first | given))


def vehicle_totals(**given: Any) -> VehicleTotals:
    """A good poll of one vehicle."""
    good: dict[str, Any] = {
        "system_id": "oslo", "observed_at": NOON, "vehicles": 1, "available": 1, "reserved": 0, "disabled": 0,
        "abandoned": 0, "low_battery": 0, "medium_battery": 0, "high_battery": 1,
        "top_charged": '[{"vehicle_id": "v1", "battery_pct": 80.0}]',
    }  # fmt: skip
    return VehicleTotals(**(good | given))


def system_information(**given: Any) -> SystemInformation:
    """What Oslo is."""
    told: dict[str, Any] = {
        "system_id": "oslo", "observed_at": NOON, "name": "Oslo", "operator": None, "city": None, "country": "NO",
        "timezone": "Europe/Oslo", "kind": "gbfs",
    }  # fmt: skip
    return SystemInformation(**(told | given))


def poll(**given: Any) -> Poll:
    """A good poll of three stations."""
    good: dict[str, Any] = {
        "system_id": "oslo", "feed": "station_status", "fetched_at": NOON, "request_id": "r1", "outcome": Outcome.OK,
        "http_status": 200, "seconds": 0.2, "bytes": 900, "rows_in": 3, "rows_accepted": 3, "rows_rejected": 0,
        "events": 3, "feed_updated_at": NOON, "error": None, "stations": 3, "empty": 0, "full": 0, "closed": 0,
        "bikes_available": 15, "docks_available": 30, "ebikes_available": 3, "bikes_with_docks": 15,
    }  # fmt: skip
    return Poll(**(good | given))


def rejection(**given: Any) -> Rejection:
    """The first row of a poll, refused."""
    refused: dict[str, Any] = {
        "system_id": "oslo", "feed": "station_status", "fetched_at": NOON, "row_index": 0,
        "reason": "num_bikes_available is no number", "payload": "{}",
    }  # fmt: skip
    return Rejection(**(refused | given))


def feed_field(**given: Any) -> FeedField:
    """The capacity of three stations."""
    healthy: dict[str, Any] = {
        "system_id": "oslo", "feed": "station_information", "fetched_at": NOON, "path": "data.stations[].capacity",
        "objects": 3, "given": 3, "kind": "number", "low": 10.0, "median": 15.0, "high": 20.0, "words": None,
    }  # fmt: skip
    return FeedField(**(healthy | given))


def one_of_each() -> list[tuple[str, Struct]]:
    """A message of each kind, with the name of its topic."""
    return [
        ("station_status", station_status()),
        ("station_information", StationInformation(
            system_id="oslo", station_id="1", observed_at=NOON, name="Aker Brygge", address=None, lat=59.91, lon=10.73,
            capacity=15, has_payment_terminal=None)),
        ("system_information", system_information()),
        ("vehicle_status", vehicle_status()),
        ("vehicle_totals", vehicle_totals()),
        ("polls", poll()),
        ("rejections", rejection()),
        ("feed_fields", feed_field()),
        ("orders", Order(
            order_id="A-1", version=1, customer_id="c1", source="shop", quantity=2, total=Decimal("12.50"),
            created_at=NOON)),
        ("users_created", user()),
        ("members_state", MemberCursor(
            source="http://members/api", seed="s", results=100, page=2, moved_at=NOON, key_check="0" * 64, refused=[])),
        ("members_state", MemberForgotten(member_key="0" * 64, asked_at=NOON)),
        ("station_state", StationState(
            system_id="oslo", station_id="1", changed_at=NOON, **reading()._asdict(), state=State.AVAILABLE,
            state_since=NOON, reported_at=None, absent_since=None, last_seen_at=None)),
        ("station_state", SystemState(
            system_id="oslo", observed_at={"station_status": NOON}, last_good_poll_at=NOON, feed_updated_at=NOON,
            feed_has_advanced=True, electric_types=["e1"], is_shared_feed=False)),
        ("vehicle_state", VehicleState(
            system_id="oslo", vehicle_id="v1", changed_at=NOON, **vehicle_reading()._asdict(), stands_since=NOON)),
        ("vehicle_state", VehicleFeedState(
            system_id="oslo", last_good_poll_at=NOON, feed_updated_at=NOON, feed_has_advanced=True,
            ranges_m={"ebike": 50_000.0})),
    ]  # fmt: skip
