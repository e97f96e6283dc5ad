"""Where simulated cities come from: the end of a recording, or a seed alone."""

import json
import lzma
import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

from bike_assets.model.answers import JCDECAUX_PREFIX
from bike_assets.model.errors import NotARecording
from bike_assets.simulator.city import City, Habits, SimStation
from bike_assets.simulator.fleet import Fleet

_DEMO_RIDES = 2.0
"""A bike and hour: more than in a real city, so that something changes each second or so."""
_USUAL_RIDES = 1.0
_DEMO_VEHICLES, _DEMO_RADIUS_M = 60, 3_000.0
_KNOWN = {"jcdecaux:besancon": ("Besancon", "Europe/Paris"), "oslobysykkel": ("Oslo Bysykkel", "Europe/Oslo")}
"""Names and time zones, which no recorded answer of these systems gives."""

_FIRST = ("Mill", "Market", "Harbour", "Chapel", "Garden", "Castle", "River", "Station", "Orchard", "Tower",
          "College", "Bridge", "Forge", "Museum", "Park", "Abbey", "Theatre", "Hill", "Lake", "Union")
_SECOND = ("Street", "Square", "Lane", "Quay", "Gate", "Road", "Green", "Place", "Court", "Avenue")
_METRES_A_DEGREE = 111_195.0


def city_from_recording(path: Path, seed: int, start: datetime) -> City:
    """A city that goes on at `start` where the recording ends: its stations with their last levels.

    The recording is one system's, `.jsonl.xz`. Raises NotARecording.
    """
    system_id, bodies = _last_bodies(path)
    try:
        if "jcdecaux.v1.stations" in bodies:
            stations = [_from_jcdecaux(row) for row in bodies["jcdecaux.v1.stations"]]
        else:
            stations = _from_gbfs(
                bodies["gbfs.station_information"]["data"]["stations"],
                bodies["gbfs.station_status"]["data"]["stations"],
            )
        name, timezone = _KNOWN.get(system_id, (system_id.removeprefix(JCDECAUX_PREFIX), "UTC"))
        fleet = None if system_id.startswith(JCDECAUX_PREFIX) else _fleet(stations, seed, start)
        return City(system_id, name, stations, seed, start, timezone, _habits(stations, _DEMO_RIDES), fleet)
    except (KeyError, TypeError, ValueError) as err:
        raise NotARecording(f"{path.name} has no answer with stations to go on from: {err!r}.") from None


def _fleet(stations: Sequence[SimStation], seed: int, start: datetime) -> Fleet:
    """Vehicles in the middle of the stations; JCDecaux's API would not know them."""
    middle = fmean(each.lat for each in stations), fmean(each.lon for each in stations)
    return Fleet(_DEMO_VEHICLES, seed, start, middle, _DEMO_RADIUS_M)


def _habits(stations: Sequence[SimStation], rides_per_bike_hour: float) -> Habits:
    return Habits(
        riders_per_hour=rides_per_bike_hour * sum(each.bikes for each in stations),
        vans_per_hour=2 + len(stations) / 30,
        closures_per_hour=0.3 + len(stations) / 200,
        vanishings_per_hour=0.2 + len(stations) / 400,
    )


def generated_city(
    stations: int, seed: int, start: datetime, centre: tuple[float, float],
    system_id: str = "simulated", timezone: str = "UTC",
) -> City:
    """A city that is nowhere: stations around `centre` (latitude, longitude), denser towards it.

    A `system_id` that begins with `jcdecaux:` makes it a JCDecaux contract.
    """
    chance = Random(f"{seed}/{system_id}/stations")
    radius_m = 400 * math.sqrt(stations)
    made = [_made_up(str(number), chance, centre, radius_m) for number in range(1, stations + 1)]
    name = system_id.removeprefix(JCDECAUX_PREFIX).capitalize()
    return City(system_id, name, made, seed, start, timezone, _habits(made, _USUAL_RIDES))


def _made_up(station_id: str, chance: Random, centre: tuple[float, float], radius_m: float) -> SimStation:
    lat, lon = centre
    out_m, angle = radius_m * chance.random(), chance.uniform(0, 2 * math.pi)
    name = f"{chance.choice(_FIRST)} {chance.choice(_SECOND)}"
    capacity = chance.randint(12, 36)
    bikes = chance.randint(capacity // 5, 4 * capacity // 5)
    return SimStation(
        station_id=station_id,
        name=f"{station_id} - {name}",
        address=f"{chance.randint(1, 120)} {name}",
        lat=round(lat + out_m * math.sin(angle) / _METRES_A_DEGREE, 6),
        lon=round(lon + out_m * math.cos(angle) / (_METRES_A_DEGREE * math.cos(math.radians(lat))), 6),
        capacity=capacity,
        bikes=bikes,
        ebikes=sum(chance.random() < 0.3 for _ in range(bikes)),
    )


def _last_bodies(path: Path) -> tuple[str, dict[str, Any]]:
    """The recording's system, and the last body of each of its feeds."""
    try:
        lines = list(_answers(path))
    except (OSError, EOFError, lzma.LZMAError, ValueError) as err:
        raise NotARecording(f"{path} cannot be read as a recording: {err}.") from None
    if not lines:
        raise NotARecording(f"{path} is empty.")
    return lines[-1]["system_id"], {line["feed"]: line["body"] for line in lines if line.get("body")}


def _answers(path: Path) -> Iterator[dict[str, Any]]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for number, text in enumerate(lines, start=1):
            line = json.loads(text)
            if not isinstance(line, dict) or not {"system_id", "feed"} <= line.keys():
                raise ValueError(f"line {number} is no line of a recording")
            yield line


def _from_jcdecaux(row: dict[str, Any]) -> SimStation:
    bikes, docks = row["available_bikes"], row["available_bike_stands"]
    capacity = max(row["bike_stands"], bikes + docks)
    return SimStation(
        station_id=str(row["number"]), name=row["name"], address=row["address"],
        lat=row["position"]["lat"], lon=row["position"]["lng"],
        capacity=capacity, bikes=bikes, docks_blocked=capacity - bikes - docks,
        has_payment_terminal=row["banking"], is_open=row["status"] == "OPEN",
    )


def _from_gbfs(information: list[dict[str, Any]], status: list[dict[str, Any]]) -> list[SimStation]:
    """The stations of the status. One without information stands in the middle, and stays undescribed."""
    described = {row["station_id"]: row for row in information}
    middle = {axis: fmean(row[axis] for row in information) for axis in ("lat", "lon")}
    return [_station(row, described.get(row["station_id"]), middle) for row in status]


def _station(row: dict[str, Any], described: dict[str, Any] | None, middle: dict[str, float]) -> SimStation:
    bikes, docks = row["num_bikes_available"], row["num_docks_available"]
    electric = sum(
        each["count"] for each in row.get("vehicle_types_available", ()) if each["vehicle_type_id"] == "ebike"
    )
    what = described or {"name": row["station_id"], **middle}
    # Some real stations hold more than their information says that they can.
    capacity = max(what.get("capacity", 0), bikes + docks)
    return SimStation(
        station_id=row["station_id"], name=what["name"], address=what.get("address"),
        lat=what["lat"], lon=what["lon"],
        capacity=capacity, bikes=bikes, ebikes=electric, docks_blocked=capacity - bikes - docks,
        is_described=described is not None, is_open=row["is_renting"],
    )
