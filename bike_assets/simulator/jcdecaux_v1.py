"""A city as JCDecaux's API v1 answers `GET /vls/v1/stations`, field for field."""

import json
from typing import Any

from bike_assets.simulator.city import City, SimStation


def stations(city: City) -> list[dict[str, Any]]:
    """The rows of the stations that are in the feed now."""
    return [_row(city, each) for each in city.stations if each.is_in_feed]


def body(rows: list[dict[str, Any]]) -> bytes:
    """The answer's bytes; the rows of several cities make the answer with all contracts."""
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


def _row(city: City, station: SimStation) -> dict[str, Any]:
    return {
        "number": int(station.station_id),
        "contract_name": city.name,
        "name": station.name,
        "address": station.address or "",
        "position": {"lat": station.lat, "lng": station.lon},
        "banking": station.has_payment_terminal,
        "bonus": False,
        "status": "OPEN" if station.is_open else "CLOSED",
        "bike_stands": station.capacity,
        "available_bike_stands": station.docks,
        "available_bikes": station.bikes,
        "last_update": station.reported_ms(city.now_ms),
    }
