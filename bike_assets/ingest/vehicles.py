"""Change detection of vehicles: one good poll of a system's vehicles becomes its events and totals.

Nothing here reads a clock or the network. A vehicle is compared with its last event, never with the poll before, so
that a slow drift is seen once it has come to a change. What is gone is told once and forgotten: ids rotate after each
trip, so that hardly any comes back, and whoever comes back under an id is new (docs/decisions/0019).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from math import asin, cos, radians, sin, sqrt

from bike_assets.ingest.detect import opens_an_hour
from bike_assets.ingest.memory import KnownVehicle, VehicleMemory
from bike_assets.model.answers import VehiclePoll
from bike_assets.model.constants import (
    ABANDONED_AFTER,
    BATTERY_STEP_PCT,
    EARTH_RADIUS_M,
    HIGH_BATTERY_PCT,
    LOW_BATTERY_PCT,
    MOVED_M,
    RANGE_STEP,
    TOP_CHARGED,
)
from bike_assets.model.messages import EventKind, VehicleStatus, VehicleTotals
from bike_assets.model.readings import VehicleReading


@dataclass(slots=True)
class DetectedVehicles:
    """What a poll made: events, totals, vehicles whose state must be stored or forgotten."""

    events: list[VehicleStatus] = field(default_factory=list)
    totals: VehicleTotals | None = None
    touched: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)


def detect_vehicles(
    system_id: str, memory: VehicleMemory, poll: VehiclePoll | None, at: datetime
) -> DetectedVehicles:
    """The events of a good poll: changes, keyframes in the first one of a UTC hour, absences. A 304 has no `poll`."""
    found = DetectedVehicles()
    if poll is not None:
        _changes(system_id, memory, poll.vehicles, at, found)
        _absences(system_id, memory, poll.vehicles, at, found)
    if opens_an_hour(memory, at):
        changed = set(found.touched)
        found.events.extend(
            _event(system_id, vehicle_id, EventKind.KEYFRAME, known, at)
            for vehicle_id, known in memory.known.items()
            if vehicle_id not in changed
        )
    memory.last_good_poll_at = at
    found.totals = totals_of(system_id, memory.known, at)
    return found


def has_moved(before: VehicleReading, now: VehicleReading) -> bool:
    """Whether a vehicle stands over 25 m from where it stood; where a place is not given, at another station."""
    if before.lat is None or before.lon is None or now.lat is None or now.lon is None:
        return before.station_id != now.station_id
    if before.lat == now.lat and before.lon == now.lon:
        return False
    return metres_between(before.lat, before.lon, now.lat, now.lon) > MOVED_M


def has_changed(before: VehicleReading, now: VehicleReading) -> bool:
    """Whether what is said of a vehicle now is an event after what was said before."""
    if before == now:
        return False
    return (
        before[:2] != now[:2]
        or before.is_reserved != now.is_reserved
        or before.is_disabled != now.is_disabled
        or (before.lat is None) is not (now.lat is None)
        or has_moved(before, now)
        or _charge_has_changed(before, now)
    )


def metres_between(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """The distance of two places in degrees, m, along the great circle (haversine)."""
    north, east = radians(other_lat - lat) / 2, radians(other_lon - lon) / 2
    chord = sin(north) ** 2 + cos(radians(lat)) * cos(radians(other_lat)) * sin(east) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(chord, 1.0)))


def charged(reading: VehicleReading, ranges_m: Mapping[str, float]) -> VehicleReading:
    """The reading with its battery, taken from the range where the feed does not give it and the type's is known."""
    if reading.battery_pct is not None or reading.range_m is None or reading.vehicle_type is None:
        return reading
    full_m = ranges_m.get(reading.vehicle_type)
    if full_m is None:
        return reading
    return reading._replace(battery_pct=round(min(100 * reading.range_m / full_m, 100.0), 1))


def totals_of(system_id: str, vehicles: Mapping[str, KnownVehicle], at: datetime) -> VehicleTotals:
    """What a system's vehicles come to at an instant."""
    readings = [known.reading for known in vehicles.values()]
    batteries = [reading.battery_pct for reading in readings if reading.battery_pct is not None]
    low = sum(battery < LOW_BATTERY_PCT for battery in batteries)
    high = sum(battery >= HIGH_BATTERY_PCT for battery in batteries)
    abandoned_since = at - ABANDONED_AFTER
    return VehicleTotals(
        system_id=system_id,
        observed_at=at,
        vehicles=len(readings),
        available=sum(map(_is_available, readings)),
        reserved=sum(reading.is_reserved for reading in readings),
        disabled=sum(reading.is_disabled for reading in readings),
        abandoned=sum(known.stands_since <= abandoned_since for known in vehicles.values()),
        low_battery=low,
        medium_battery=len(batteries) - low - high,
        high_battery=high,
        top_charged=_top_charged(vehicles),
    )


def _top_charged(vehicles: Mapping[str, KnownVehicle]) -> str | None:
    """The best charged that are available, of equals the first by id."""
    ranked = (
        (-known.reading.battery_pct, vehicle_id)
        for vehicle_id, known in vehicles.items()
        if known.reading.battery_pct is not None and _is_available(known.reading)
    )
    best = [{"vehicle_id": vehicle_id, "battery_pct": -minus} for minus, vehicle_id in nsmallest(TOP_CHARGED, ranked)]
    return json.dumps(best, ensure_ascii=False) if best else None


def _is_available(reading: VehicleReading) -> bool:
    return not (reading.is_reserved or reading.is_disabled)


def _charge_has_changed(before: VehicleReading, now: VehicleReading) -> bool:
    """By the battery, where either has one; else by the range."""
    if before.battery_pct is not None or now.battery_pct is not None:
        return _is_apart(before.battery_pct, now.battery_pct, BATTERY_STEP_PCT)
    return _is_apart(before.range_m, now.range_m, RANGE_STEP * max(before.range_m or 0, now.range_m or 0))


def _is_apart(before: float | None, now: float | None, step: float) -> bool:
    if before is None or now is None:
        return before is not now
    return before != now and abs(now - before) >= step


def _changes(
    system_id: str, memory: VehicleMemory, vehicles: Mapping[str, VehicleReading], at: datetime, found: DetectedVehicles
) -> None:
    ranges_m, known = memory.ranges_m, memory.known
    for vehicle_id, told in vehicles.items():
        reading = charged(told, ranges_m)
        before = known.get(vehicle_id)
        if before is not None and not has_changed(before.reading, reading):
            continue
        stays = before is not None and not has_moved(before.reading, reading)
        now = KnownVehicle(reading, before.stands_since if before is not None and stays else at)
        known[vehicle_id] = now
        found.touched.append(vehicle_id)
        found.events.append(_event(system_id, vehicle_id, EventKind.CHANGE, now, at))


def _absences(
    system_id: str, memory: VehicleMemory, seen: Iterable[str], at: datetime, found: DetectedVehicles
) -> None:
    for vehicle_id in sorted(memory.known.keys() - seen):
        del memory.known[vehicle_id]
        found.forgotten.append(vehicle_id)
        found.events.append(_absence(system_id, vehicle_id, at))


def _event(system_id: str, vehicle_id: str, kind: EventKind, known: KnownVehicle, at: datetime) -> VehicleStatus:
    return VehicleStatus(system_id, vehicle_id, at, kind, *known.reading, known.stands_since)


def _absence(system_id: str, vehicle_id: str, at: datetime) -> VehicleStatus:
    return VehicleStatus(
        system_id=system_id,
        vehicle_id=vehicle_id,
        observed_at=at,
        kind=EventKind.ABSENT,
        **dict.fromkeys(VehicleReading._fields),
        stands_since=None,
    )
