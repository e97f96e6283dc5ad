"""A city as a GBFS feed of any version: https://github.com/MobilityData/gbfs, a tag a version."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bike_assets.simulator.city import City, SimStation
from bike_assets.simulator.fleet import RANGE_M, SimVehicle

VERSIONS = ("1.0", "1.1", "2.0", "2.1", "2.2", "2.3", "3.0")
USUAL_VERSION = "2.3"
WITH_STATIONS = frozenset({"station_status", "station_information"})
FILES = frozenset({"gbfs", "gbfs_versions", "system_information", "vehicle_types", "vehicle_status", "free_bike_status",
                   *WITH_STATIONS})
LANGUAGE = "en"
STATIC_TTL_S = 3600
"""Of all files but the status: what a station is does not change here."""


def feed(city: City, name: str, base_url: str, ttl_s: int, version: str = USUAL_VERSION) -> bytes | None:
    """The bytes of the file `<name>.json` now; None where there is no such file in this version.

    `base_url` is the system's folder, in which each version has a folder of its own. The status is made anew every
    `ttl_s`, and at each change; in between, the answer stays the same.
    """
    changed_ms = _changed_ms(city, name)
    ttl_s = STATIC_TTL_S if changed_ms is None else ttl_s
    now_s = city.now_ms // 1000
    updated_s = max(now_s - now_s % ttl_s, (changed_ms or 0) // 1000)
    if name not in ("gbfs", *_files(city, version)):
        return None
    match name:
        case "gbfs":
            data = _discovery(city, base_url, version)
        case "gbfs_versions":
            data = _versions(base_url)
        case "station_status":
            data = _station_status(city, updated_s, version)
        case _:
            data = _BY_NAME[name](city, version)
    envelope = {"last_updated": _time(updated_s, version), "ttl": ttl_s, "version": version, "data": data}
    if version == "1.0":
        del envelope["version"]
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def _changed_ms(city: City, name: str) -> int | None:
    """When what a file tells of last changed, ms since 1970; None where it stays as it is."""
    if name == "station_status":
        return city.changed_ms
    return city.fleet.changed_ms if city.fleet and name in ("free_bike_status", "vehicle_status") else None


def _files(city: City, version: str) -> tuple[str, ...]:
    versions = ("gbfs_versions",) if version > "1.0" else ()
    types = ("vehicle_types",) if _has_types(version) else ()
    vehicles = (_vehicle_file(version),) if city.fleet else ()
    return (*versions, "system_information", *types, "station_information", *vehicles, "station_status")


def _vehicle_file(version: str) -> str:
    return "vehicle_status" if version >= "3" else "free_bike_status"


def _has_types(version: str) -> bool:
    return version >= "2.1"


def _time(seconds: int, version: str) -> int | str:
    return seconds if version < "3" else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _text(words: str, version: str) -> str | list[dict[str, str]]:
    return words if version < "3" else [{"text": words, "language": LANGUAGE}]


def _bikes_names(version: str) -> tuple[str, ...]:
    """In 2.3 both names, as the recorded feed of Oslo has it: the demo's city goes on as it was."""
    names = {"2.3": ("num_vehicles_available", "num_bikes_available"), "3.0": ("num_vehicles_available",)}
    return names.get(version, ("num_bikes_available",))


def _flag(is_so: bool, version: str) -> bool | int:
    return is_so if version >= "2" else int(is_so)


def _discovery(city: City, base_url: str, version: str) -> dict[str, Any]:
    files = _files(city, version)
    feeds = {"feeds": [{"name": each, "url": f"{base_url}/{version}/{each}.json"} for each in files]}
    return feeds if version >= "3" else {LANGUAGE: feeds}


def _versions(base_url: str) -> dict[str, Any]:
    return {"versions": [{"version": each, "url": f"{base_url}/{each}/gbfs.json"} for each in VERSIONS]}


def _system_information(city: City, version: str) -> dict[str, Any]:
    common = {
        "system_id": city.system_id,
        "name": _text(city.name, version),
        "operator": _text("Simulated", version),
        "timezone": city.timezone,
    }
    if version < "3":
        return {**common, "language": LANGUAGE}
    return {**common, "languages": [LANGUAGE], "opening_hours": "24/7", "feed_contact_email": "nobody@city.example"}


def _vehicle_types(_: City, version: str) -> dict[str, Any]:
    return {
        "vehicle_types": [
            {"vehicle_type_id": "bike", "form_factor": "bicycle", "propulsion_type": "human",
             "name": _text("Bike", version)},
            {"vehicle_type_id": "ebike", "form_factor": "bicycle", "propulsion_type": "electric_assist",
             "max_range_meters": RANGE_M, "name": _text("E-bike", version)},
        ]
    }


def _station_information(city: City, version: str) -> dict[str, Any]:
    return {"stations": [_description(each, version) for each in city.stations if each.is_described]}


def _description(station: SimStation, version: str) -> dict[str, Any]:
    row = {
        "station_id": station.station_id,
        "name": _text(station.name, version),
        "address": station.address,
        "lat": station.lat,
        "lon": station.lon,
        "capacity": station.capacity,
    }
    return {key: value for key, value in row.items() if value is not None}


def _station_status(city: City, updated_s: int, version: str) -> dict[str, Any]:
    return {"stations": [_status(each, updated_s, version) for each in city.stations if each.is_in_feed]}


def _status(station: SimStation, updated_s: int, version: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "station_id": station.station_id,
        "is_installed": _flag(True, version),
        "is_renting": _flag(station.is_open, version),
        "is_returning": _flag(station.is_open, version),
        "last_reported": _time(station.reported_ms(updated_s * 1000) // 1000, version),
        **dict.fromkeys(_bikes_names(version), station.bikes),
        "num_docks_available": station.docks,
    }
    if _has_types(version):
        row["vehicle_types_available"] = [
            {"vehicle_type_id": "bike", "count": station.bikes - station.ebikes},
            {"vehicle_type_id": "ebike", "count": station.ebikes},
        ]
    return row


def _vehicle_status(city: City, version: str) -> dict[str, Any]:
    standing = city.fleet.standing if city.fleet else ()
    return {"vehicles" if version >= "3" else "bikes": [_vehicle(each, version) for each in standing]}


def _vehicle(vehicle: SimVehicle, version: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "vehicle_id" if version >= "3" else "bike_id": vehicle.vehicle_id,
        "lat": vehicle.lat,
        "lon": vehicle.lon,
        "is_reserved": _flag(vehicle.is_reserved, version),
        "is_disabled": _flag(vehicle.is_disabled, version),
    }
    if _has_types(version):
        row["vehicle_type_id"] = "ebike"
        row["last_reported"] = _time(vehicle.reported_ms // 1000, version)
        row["current_range_meters"] = vehicle.range_m
    if version >= "2.3":
        row["current_fuel_percent"] = round(vehicle.range_m / RANGE_M, 3)
    return row


_BY_NAME: Mapping[str, Callable[[City, str], dict[str, Any]]] = {
    "system_information": _system_information,
    "vehicle_types": _vehicle_types,
    "station_information": _station_information,
    "free_bike_status": _vehicle_status,
    "vehicle_status": _vehicle_status,
}
