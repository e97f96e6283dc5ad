"""A city as a GBFS 2.3 feed: https://github.com/MobilityData/gbfs/blob/v2.3/gbfs.md."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from bike_assets.simulator.city import City, SimStation

LANGUAGE = "en"
STATIC_TTL_S = 3600
"""Of all files but the status: what a station is does not change here."""


def feed(city: City, name: str, base_url: str, ttl_s: int) -> bytes | None:
    """The bytes of the file `<name>.json` now; None where there is no such file.

    `base_url` is the folder that the files stand in. The status is made anew every `ttl_s`, and at each
    change; in between, the answer stays the same.
    """
    is_status = name == "station_status"
    ttl_s = ttl_s if is_status else STATIC_TTL_S
    now_s = city.now_ms // 1000
    updated_s = max(now_s - now_s % ttl_s, city.changed_ms // 1000 if is_status else 0)
    if name == "gbfs":
        data = _discovery(base_url)
    elif is_status:
        data = _station_status(city, updated_s)
    elif name in _STATIC:
        data = _STATIC[name](city)
    else:
        return None
    envelope = {"last_updated": updated_s, "ttl": ttl_s, "version": "2.3", "data": data}
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def _discovery(base_url: str) -> dict[str, Any]:
    files = (*_STATIC, "station_status")
    return {LANGUAGE: {"feeds": [{"name": each, "url": f"{base_url}/{each}.json"} for each in files]}}


def _system_information(city: City) -> dict[str, Any]:
    return {
        "system_id": city.system_id,
        "language": LANGUAGE,
        "name": city.name,
        "operator": "Simulated",
        "timezone": city.timezone,
    }


def _vehicle_types(_: City) -> dict[str, Any]:
    return {
        "vehicle_types": [
            {"vehicle_type_id": "bike", "form_factor": "bicycle", "propulsion_type": "human", "name": "Bike"},
            {"vehicle_type_id": "ebike", "form_factor": "bicycle", "propulsion_type": "electric_assist",
             "max_range_meters": 50_000, "name": "E-bike"},
        ]
    }


def _station_information(city: City) -> dict[str, Any]:
    return {"stations": [_description(each) for each in city.stations if each.is_described]}


def _description(station: SimStation) -> dict[str, Any]:
    row = {
        "station_id": station.station_id,
        "name": station.name,
        "address": station.address,
        "lat": station.lat,
        "lon": station.lon,
        "capacity": station.capacity,
    }
    return {key: value for key, value in row.items() if value is not None}


def _station_status(city: City, updated_s: int) -> dict[str, Any]:
    return {"stations": [_status(each, updated_s) for each in city.stations if each.is_in_feed]}


def _status(station: SimStation, updated_s: int) -> dict[str, Any]:
    return {
        "station_id": station.station_id,
        "is_installed": True,
        "is_renting": station.is_open,
        "is_returning": station.is_open,
        "last_reported": station.reported_ms(updated_s * 1000) // 1000,
        "num_bikes_available": station.bikes,
        "num_docks_available": station.docks,
        "vehicle_types_available": [
            {"vehicle_type_id": "bike", "count": station.bikes - station.ebikes},
            {"vehicle_type_id": "ebike", "count": station.ebikes},
        ],
    }


_STATIC: Mapping[str, Callable[[City], dict[str, Any]]] = {
    "system_information": _system_information,
    "vehicle_types": _vehicle_types,
    "station_information": _station_information,
}
