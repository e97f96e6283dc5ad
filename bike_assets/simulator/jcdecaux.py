"""A city as JCDecaux's API answers `GET /vls/v1/stations` and `GET /vls/v3/stations`, field for field."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bike_assets.simulator.city import City, SimStation


def stations(city: City, version: str = "v1") -> list[dict[str, Any]]:
    """The rows of the stations that are in the feed now."""
    return [ROWS[version](city, each) for each in city.stations if each.is_in_feed]


def body(rows: list[dict[str, Any]]) -> bytes:
    """The answer's bytes; the rows of several cities make the answer with all contracts."""
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


def _v1(city: City, station: SimStation) -> dict[str, Any]:
    return {
        "number": int(station.station_id),
        "contract_name": city.name,
        "name": station.name,
        "address": station.address or "",
        "position": {"lat": station.lat, "lng": station.lon},
        "banking": station.has_payment_terminal,
        "bonus": False,
        "status": _status(station),
        "bike_stands": station.capacity,
        "available_bike_stands": station.docks,
        "available_bikes": station.bikes,
        "last_update": station.reported_ms(city.now_ms),
    }


def _v3(city: City, station: SimStation) -> dict[str, Any]:
    reported = datetime.fromtimestamp(station.reported_ms(city.now_ms) // 1000, UTC)
    return {
        "number": int(station.station_id),
        "contractName": city.name,
        "name": station.name,
        "address": station.address or "",
        "position": {"latitude": station.lat, "longitude": station.lon},
        "banking": station.has_payment_terminal,
        "bonus": False,
        "status": _status(station),
        "lastUpdate": f"{reported:%Y-%m-%dT%H:%M:%SZ}",
        "connected": True,
        "overflow": False,
        "shape": None,
        "totalStands": _stands(station),
        "mainStands": _stands(station),
        "overflowStands": None,
    }


def _status(station: SimStation) -> str:
    return "OPEN" if station.is_open else "CLOSED"


def _stands(station: SimStation) -> dict[str, Any]:
    return {
        "availabilities": {
            "bikes": station.bikes,
            "stands": station.docks,
            "mechanicalBikes": station.bikes - station.ebikes,
            "electricalBikes": station.ebikes,
            "electricalInternalBatteryBikes": 0,
            "electricalRemovableBatteryBikes": station.ebikes,
        },
        "capacity": station.capacity,
    }


ROWS: Mapping[str, Callable[[City, SimStation], dict[str, Any]]] = {"v1": _v1, "v3": _v3}
"""By the version in the path."""
