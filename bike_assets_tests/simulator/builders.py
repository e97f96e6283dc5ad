"""Small cities in which only what matters to a test is named."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bike_assets.simulator.city import City, Habits, SimStation
from bike_assets.simulator.fleet import Fleet

MORNING = datetime(2026, 3, 3, 5, tzinfo=UTC)
QUIET = Habits(riders_per_hour=0, vans_per_hour=0, closures_per_hour=0, vanishings_per_hour=0)


def station(station_id: str, **named: Any) -> SimStation:
    """A station of ten docks, half full; a larger number stands further east, 100 m a step."""
    usual: dict[str, Any] = {
        "name": f"Station {station_id}", "address": None, "lat": 0.0, "lon": int(station_id) * 0.0009,
        "capacity": 10, "bikes": 5,
    }
    return SimStation(station_id=station_id, **(usual | named))


def city(
    stations: Sequence[SimStation], habits: Habits = QUIET, system_id: str = "town", fleet: Fleet | None = None
) -> City:
    return City(system_id, "Town", stations, seed=1, start=MORNING, timezone="Etc/UTC", habits=habits, fleet=fleet)


def fleet(vehicles: int = 40) -> Fleet:
    return Fleet(vehicles, 1, MORNING, (60.0, 10.0), 3_000.0)


def after(**time: float) -> datetime:
    return MORNING + timedelta(**time)
