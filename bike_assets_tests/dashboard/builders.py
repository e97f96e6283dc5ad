"""Messages for the tests of the page: name only what matters."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bike_assets.model.messages import (
    StationInformation,
    StationState,
    SystemInformation,
    SystemState,
    VehicleFeedState,
    VehicleState,
)
from bike_assets.model.readings import State

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CITY = "oslo"


def station(station_id: str = "1", **given: Any) -> StationState:
    """A healthy station with five bikes and seven docks."""
    fields: dict[str, Any] = {
        "system_id": CITY,
        "station_id": station_id,
        "changed_at": NOON,
        "bikes_available": 5,
        "ebikes_available": 2,
        "docks_available": 7,
        "bikes_disabled": 0,
        "docks_disabled": 1,
        "is_installed": True,
        "is_renting": True,
        "is_returning": True,
        "state": State.AVAILABLE,
        "state_since": NOON - timedelta(minutes=12),
        "reported_at": NOON - timedelta(seconds=40),
        "absent_since": None,
        "last_seen_at": None,
    }
    return StationState(**(fields | given))


def description(station_id: str = "1", **given: Any) -> StationInformation:
    """Where the station is and what it is called."""
    fields: dict[str, Any] = {
        "system_id": CITY,
        "station_id": station_id,
        "observed_at": NOON,
        "name": f"Station {station_id}",
        "address": "Storgata 1",
        "lat": 59.91,
        "lon": 10.75,
        "capacity": 13,
        "has_payment_terminal": None,
    }
    return StationInformation(**(fields | given))


def system(system_id: str = CITY, **given: Any) -> SystemInformation:
    """A described system."""
    fields: dict[str, Any] = {
        "system_id": system_id,
        "observed_at": NOON,
        "name": "Oslo Bysykkel",
        "operator": None,
        "city": "Oslo",
        "country": "NO",
        "timezone": "Europe/Oslo",
        "kind": "gbfs",
    }
    return SystemInformation(**(fields | given))


def polled(system_id: str = CITY, at: datetime = NOON, **given: Any) -> SystemState:
    """A system whose last good poll was `at`."""
    fields: dict[str, Any] = {
        "system_id": system_id,
        "observed_at": {"station_status": at},
        "last_good_poll_at": at,
        "feed_updated_at": at,
        "feed_has_advanced": True,
        "electric_types": None,
        "is_shared_feed": False,
    }
    return SystemState(**(fields | given))


def vehicle(vehicle_id: str = "v1", **given: Any) -> VehicleState:
    """An e-bike that stands in the street since an hour, available, three quarters full."""
    fields: dict[str, Any] = {
        "system_id": CITY,
        "vehicle_id": vehicle_id,
        "changed_at": NOON,
        "vehicle_type": "ebike",
        "station_id": None,
        "lat": 59.91,
        "lon": 10.75,
        "is_reserved": False,
        "is_disabled": False,
        "battery_pct": 75.0,
        "range_m": 30_000.0,
        "stands_since": NOON - timedelta(hours=1),
    }
    return VehicleState(**(fields | given))


def fleet_polled(system_id: str = CITY, at: datetime | None = NOON) -> VehicleFeedState:
    """A system whose last good poll of its vehicles was `at`: it ends what the poll says of them."""
    return VehicleFeedState(
        system_id=system_id, last_good_poll_at=at, feed_updated_at=at, feed_has_advanced=True, ranges_m={}
    )
