"""Healthy answers, of which a test changes what matters."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bike_assets.model.answers import Answer

RECORDINGS = Path(__file__).parents[2] / "bike_assets" / "data" / "recordings"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOON_S = int(NOON.timestamp())
NOON_TEXT = "2026-06-01T12:00:00Z"


def jcdecaux_row(**changes: Any) -> dict[str, Any]:
    row = {
        "number": 7, "contract_name": "Lyon", "name": "07 - OPERA", "address": "Place de la Comédie",
        "position": {"lat": 45.76, "lng": 4.83}, "banking": True, "bonus": False, "status": "OPEN",
        "bike_stands": 20, "available_bike_stands": 12, "available_bikes": 8, "last_update": NOON_S * 1000,
    }
    return without_removed(row | changes)


def status_row(**changes: Any) -> dict[str, Any]:
    row = {
        "station_id": "a", "num_bikes_available": 3, "num_docks_available": 9, "is_installed": True,
        "is_renting": True, "is_returning": True, "last_reported": NOON_S,
    }
    return without_removed(row | changes)


def jcdecaux_v3_row(**changes: Any) -> dict[str, Any]:
    stands = {
        "availabilities": {
            "bikes": 8, "stands": 12, "mechanicalBikes": 5, "electricalBikes": 3,
            "electricalInternalBatteryBikes": 0, "electricalRemovableBatteryBikes": 3,
        },
        "capacity": 20,
    }
    row = {
        "number": 7, "contractName": "Lyon", "name": "07 - OPERA", "address": "Place de la Comédie",
        "position": {"latitude": 45.76, "longitude": 4.83}, "banking": True, "bonus": False, "status": "OPEN",
        "lastUpdate": NOON_TEXT, "connected": True, "overflow": False, "shape": None,
        "totalStands": stands, "mainStands": stands, "overflowStands": None,
    }
    return without_removed(row | changes)


def v3_status_row(**changes: Any) -> dict[str, Any]:
    row = {
        "station_id": "a", "num_vehicles_available": 3, "num_docks_available": 9, "is_installed": True,
        "is_renting": True, "is_returning": True, "last_reported": NOON_TEXT,
    }
    return without_removed(row | changes)


REMOVED = object()


def without_removed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not REMOVED}


def body_of(value: Any) -> bytes:
    return json.dumps(value).encode()


def gbfs(data: Any, **changes: Any) -> bytes:
    return body_of(without_removed({"last_updated": NOON_S, "ttl": 60, "version": "2.3", "data": data} | changes))


def stations(*rows: Any, **changes: Any) -> bytes:
    return gbfs({"stations": list(rows)}, **changes)


def answer(feed: str, body: bytes | None, system_id: str = "city") -> Answer:
    return Answer(system_id, feed, NOON, "request", http_status=200, body=body, seconds=0.1)
