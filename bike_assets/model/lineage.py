"""Which columns each column of `live.*` and `warehouse.*` is made of.

The columns of `events.*` are the fields of their topic's messages, under the same names.
"""

from collections.abc import Mapping
from typing import NamedTuple

from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_ORDERS,
    EVENTS_POLLS,
    EVENTS_STATION_INFORMATION,
    EVENTS_STATION_STATUS,
    EVENTS_SYSTEM_INFORMATION,
    EVENTS_VEHICLE_STATUS,
    EVENTS_VEHICLE_TOTALS,
    LIVE_ORDERS_BY_SOURCE_STATE,
    LIVE_STATION_STATUS,
    LIVE_SYSTEM_MINUTE,
    LIVE_VEHICLE_STATUS,
    LIVE_VEHICLES_SYSTEM_MINUTE,
)
from bike_assets.model.warehouse import (
    DIM_CUSTOMER,
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    FACT_VEHICLE_SYSTEM_DAY,
    STATION_QUALITY,
    SYSTEM_SERVICE_DAY,
)


class Upstream(NamedTuple):
    """A column that another one is made of, or that decides which rows make it."""

    table: Table
    column: str


Made = tuple[Upstream, ...]


def _of(table: Table, *columns: str) -> Made:
    return tuple(Upstream(table, column) for column in columns)


_GOOD_POLLS = _of(EVENTS_POLLS, "feed", "outcome", "fetched_at")
_SECONDS = tuple(column.name for column in FACT_STATION_HOUR.columns if column.name.startswith("seconds_"))
_OPEN_SECONDS = ("seconds_empty", "seconds_full", "seconds_available")
_MINUTE = LIVE_SYSTEM_MINUTE.grain
_SUMS = ("departures", "arrivals", "bulk_out", "bulk_in", *_SECONDS, "times_empty", "times_full", "polls")


def _system_minute() -> dict[str, Made]:
    levels = ("stations", "empty", "full", "closed", "bikes_available", "docks_available", "ebikes_available")
    flows = _of(EVENTS_STATION_STATUS, "bikes_available", "bikes_before", "state", "state_before", "observed_at")
    return {
        "system_id": _of(EVENTS_POLLS, "system_id"),
        "minute": _GOOD_POLLS,
        **{name: _of(EVENTS_POLLS, name) for name in levels},
        "saturation": _of(EVENTS_POLLS, "bikes_with_docks", "docks_available"),
        "departures": flows,
        "arrivals": flows,
    }


def _vehicles_system_minute() -> dict[str, Made]:
    levels = (column.name for column in LIVE_VEHICLES_SYSTEM_MINUTE.columns if column.name not in _MINUTE)
    at = _of(EVENTS_VEHICLE_TOTALS, "observed_at")
    return {
        "system_id": _of(EVENTS_VEHICLE_TOTALS, "system_id"),
        "minute": at,
        **{name: _of(EVENTS_VEHICLE_TOTALS, name) + at for name in levels},
    }


def _orders_by_source_state() -> dict[str, Made]:
    latest = _of(EVENTS_ORDERS, "order_id", "version")
    return {
        "source": _of(EVENTS_ORDERS, "source") + latest,
        "state": _of(DIM_CUSTOMER, "state", "customer_id", "valid_from", "valid_to")
        + _of(EVENTS_ORDERS, "customer_id", "created_at") + latest,
        "orders": latest,
        "quantity": _of(EVENTS_ORDERS, "quantity") + latest,
        "total": _of(EVENTS_ORDERS, "total") + latest,
    }  # fmt: skip


def _dim_system() -> dict[str, Made]:
    told = ("name", "operator", "city", "country", "timezone", "kind")
    return {
        "system_id": _of(EVENTS_SYSTEM_INFORMATION, "system_id") + _of(EVENTS_POLLS, "system_id"),
        **{name: _of(EVENTS_SYSTEM_INFORMATION, name, "observed_at") for name in told},
    }


def _dim_station() -> dict[str, Made]:
    told = ("name", "address", "lat", "lon", "capacity", "has_payment_terminal")
    held = _of(EVENTS_STATION_INFORMATION, "observed_at", "name", "capacity", "lat", "lon")
    ids = {
        name: _of(EVENTS_STATION_INFORMATION, name) + _of(EVENTS_STATION_STATUS, name)
        for name in ("system_id", "station_id")
    }
    return {
        "station_key": (*ids["system_id"], *ids["station_id"], *held),
        **ids,
        **{name: _of(EVENTS_STATION_INFORMATION, name, "observed_at") for name in told},
        **dict.fromkeys(("valid_from", "valid_to", "is_current"), held),
        "is_inferred": _of(EVENTS_STATION_INFORMATION, "station_id") + _of(EVENTS_STATION_STATUS, "station_id"),
    }


def _fact_station_hour() -> dict[str, Made]:
    """An hour's figures are sums over its events, each weighed by when its system had good polls."""
    states = _of(EVENTS_STATION_STATUS, "state", "state_before")
    flows = _of(EVENTS_STATION_STATUS, "bikes_available", "bikes_before") + states
    bikes = (*flows, *_of(EVENTS_STATION_STATUS, "observed_at"), *_GOOD_POLLS)
    docks = (*_of(EVENTS_STATION_STATUS, "docks_available", "docks_before", "observed_at"), *states, *_GOOD_POLLS)
    zone = _of(DIM_SYSTEM, "timezone")
    hour = _of(EVENTS_STATION_STATUS, "observed_at")
    return {
        "system_id": _of(EVENTS_STATION_STATUS, "system_id"),
        "station_id": _of(EVENTS_STATION_STATUS, "station_id"),
        "hour_start": hour,
        "station_key": _of(DIM_STATION, "station_key", "system_id", "station_id", "valid_from", "valid_to"),
        "utc_date": hour,
        "local_date": hour + zone,
        "local_hour": hour + zone,
        "departures": flows,
        "arrivals": flows,
        "bulk_out": bikes,
        "bulk_in": bikes,
        **dict.fromkeys(_SECONDS, (*states, *hour, *_GOOD_POLLS)),
        "times_empty": states,
        "times_full": states,
        "bikes_mean": bikes,
        "bikes_min": bikes,
        "bikes_max": bikes,
        "docks_mean": docks,
        "polls": (*_of(EVENTS_STATION_STATUS, "kind"), *states, *hour, *_GOOD_POLLS),
    }


def _day(keys: Mapping[str, Made]) -> dict[str, Made]:
    """What a station's and a system's day have in common: sums of hours, levels weighed by open and known time."""
    hour = FACT_STATION_HOUR
    return {
        **keys,
        "local_date": _of(hour, "local_date"),
        **{name: _of(hour, name) for name in _SUMS},
        "bikes_mean": _of(hour, "bikes_mean", *_OPEN_SECONDS),
        "bikes_min": _of(hour, "bikes_min"),
        "bikes_max": _of(hour, "bikes_max"),
        "docks_mean": _of(hour, "docks_mean", *_OPEN_SECONDS),
        "peak_hour": _of(hour, "local_hour", "departures", "arrivals"),
        "is_complete": _of(hour, "hour_start", "local_date") + _of(DIM_SYSTEM, "timezone"),
    }


def _station_quality() -> dict[str, Made]:
    stuck = _of(FACT_STATION_DAY, *_OPEN_SECONDS, "departures", "arrivals", "bikes_min", "bikes_max")
    told = _of(EVENTS_STATION_STATUS, "kind", "state", "state_before", "bikes_available", "docks_available",
               "observed_at", "reported_at")  # fmt: skip
    placed = _of(DIM_STATION, "capacity", "lat", "lon", "valid_from", "valid_to")
    return {
        **{name: _of(FACT_STATION_DAY, name) + _of(EVENTS_STATION_STATUS, name) + _of(DIM_STATION, name)
           for name in ("system_id", "station_id")},
        "local_date": (*_of(FACT_STATION_DAY, "local_date"), *_of(EVENTS_STATION_STATUS, "observed_at"),
                       *_of(DIM_STATION, "valid_from"), *_of(DIM_SYSTEM, "timezone")),
        "reason": (*stuck, *told, *placed),
        "evidence": (*stuck, *told, *placed),
    }  # fmt: skip


def _system_service_day() -> dict[str, Made]:
    day = _of(EVENTS_POLLS, "fetched_at") + _of(DIM_SYSTEM, "timezone")
    counts = [column.name for column in SYSTEM_SERVICE_DAY.columns if column.name.startswith("polls")]
    seen = _of(EVENTS_POLLS, "feed", "outcome") + day
    return {
        "system_id": _of(EVENTS_POLLS, "system_id"),
        **dict.fromkeys(("local_date", "is_complete"), day),
        **dict.fromkeys(("good_share", "longest_gap_s", *counts), seen),
    }


def _fact_vehicle_system_day() -> dict[str, Made]:
    totals, zone = EVENTS_VEHICLE_TOTALS, _of(DIM_SYSTEM, "timezone")
    day = _of(totals, "observed_at") + zone
    return {
        "system_id": _of(totals, "system_id"),
        "ids_seen": _of(EVENTS_VEHICLE_STATUS, "vehicle_id", "kind", "observed_at") + day,
        **dict.fromkeys(("local_date", "known_hours", "polls", "is_complete"), day),
        **dict.fromkeys(("vehicles_mean", "vehicles_max"), _of(totals, "vehicles") + day),
        "abandoned_max": _of(totals, "abandoned") + day,
        "idle_hours": _of(totals, "available") + day,
        "reserved_hours": _of(totals, "reserved") + day,
        "disabled_hours": _of(totals, "disabled") + day,
    }


def _same(table: Table, view: Table) -> dict[str, Made]:
    return {column.name: _of(table, column.name) for column in view.columns}


def _vehicle_status() -> dict[str, Made]:
    polled = _of(EVENTS_VEHICLE_TOTALS, "observed_at")
    stands = _of(EVENTS_VEHICLE_STATUS, "stands_since") + polled
    return _same(EVENTS_VEHICLE_STATUS, LIVE_VEHICLE_STATUS) | {
        "last_good_poll_at": polled, "stands_hours": stands, "is_abandoned": stands}  # fmt: skip


LINEAGE: Mapping[str, Mapping[str, Made]] = {
    LIVE_STATION_STATUS.name: _same(EVENTS_STATION_STATUS, LIVE_STATION_STATUS)
    | {"state": _of(EVENTS_STATION_STATUS, "state") + _of(EVENTS_POLLS, "fetched_at")},
    LIVE_VEHICLE_STATUS.name: _vehicle_status(),
    LIVE_SYSTEM_MINUTE.name: _system_minute(),
    LIVE_VEHICLES_SYSTEM_MINUTE.name: _vehicles_system_minute(),
    LIVE_ORDERS_BY_SOURCE_STATE.name: _orders_by_source_state(),
    DIM_SYSTEM.name: _dim_system(),
    DIM_STATION.name: _dim_station(),
    FACT_STATION_HOUR.name: _fact_station_hour(),
    FACT_STATION_DAY.name: _day({
        name: _of(FACT_STATION_HOUR, name) for name in ("system_id", "station_id", "station_key")
    }),
    FACT_SYSTEM_DAY.name: _day({
        "system_id": _of(FACT_STATION_HOUR, "system_id"),
        "stations": _of(FACT_STATION_HOUR, "station_id"),
    }),
    SYSTEM_SERVICE_DAY.name: _system_service_day(),
    FACT_VEHICLE_SYSTEM_DAY.name: _fact_vehicle_system_day(),
    STATION_QUALITY.name: _station_quality(),
}  # fmt: skip
"""By table and column. `warehouse.dim_date` is made of nothing but the calendar, `warehouse.dim_customer` of
the list of customers."""
