"""What the live minutes of vehicles must be, worked out from the bodies of the answers.

It shares nothing with the project: it imports the standard library only. Each body is read by `json.loads`, and what is
known of a vehicle is the row that was last told of it as an event.
"""

import json
import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

Row = dict[str, Any]
Body = tuple[datetime, bytes | None]
"""When an answer came, and its body; None where nothing came."""


def vehicle_minute_rows(system_id: str, bodies: Iterable[Body]) -> list[Row]:
    """A row a minute with a body: of the last in it."""
    told: dict[str, Row] = {}
    stands: dict[str, datetime] = {}
    minutes: dict[datetime, Row] = {}
    for at, body in bodies:
        if body is None:
            continue
        data = json.loads(body)["data"]
        listed = {row.get("vehicle_id", row.get("bike_id")): row for row in data.get("vehicles", data.get("bikes"))}
        told = {id_: row for id_, row in told.items() if id_ in listed}
        for id_, row in listed.items():
            if id_ not in told or _place(told[id_], row) > 25:
                stands[id_] = at
            if id_ not in told or _is_news(told[id_], row):
                told[id_] = row
        minutes[at.replace(second=0, microsecond=0)] = _counted(told, {id_: at - stands[id_] for id_ in told})
    return [{"system_id": system_id, "minute": minute, **row} for minute, row in sorted(minutes.items())]


def _is_news(before: Row, row: Row) -> bool:
    flags = any(before.get(name) != row.get(name)
                for name in ("is_reserved", "is_disabled", "station_id", "vehicle_type_id"))  # fmt: skip
    return flags or _place(before, row) > 25 or abs(_battery(before) - _battery(row)) >= 5


def _battery(row: Row) -> float:
    return float(round(100 * row["current_fuel_percent"], 1))


def _place(before: Row, row: Row) -> float:
    """m between the two places: the chord through the earth, which near by is the way over it."""
    return math.dist(_in_space(before), _in_space(row))


def _in_space(row: Row) -> tuple[float, float, float]:
    north, east = math.radians(row["lat"]), math.radians(row["lon"])
    at = (math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north))
    x, y, z = (6_371_008.8 * each for each in at)
    return x, y, z


def _counted(told: dict[str, Row], stood: dict[str, timedelta]) -> Row:
    free = {id_: row for id_, row in told.items() if not row["is_reserved"] and not row["is_disabled"]}
    batteries = [_battery(row) for row in told.values()]
    best = sorted(free, key=lambda id_: (-_battery(free[id_]), id_))[:3]
    return {
        "vehicles": len(told),
        "available": len(free),
        "reserved": sum(bool(row["is_reserved"]) for row in told.values()),
        "disabled": sum(bool(row["is_disabled"]) for row in told.values()),
        "abandoned": sum(each >= timedelta(days=1) for each in stood.values()),
        "low_battery": sum(each < 20 for each in batteries),
        "medium_battery": sum(20 <= each < 60 for each in batteries),
        "high_battery": sum(each >= 60 for each in batteries),
        "top_charged": json.dumps([{"vehicle_id": id_, "battery_pct": _battery(free[id_])} for id_ in best])
        if best else None,
    }  # fmt: skip
