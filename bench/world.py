"""A generated day of the world's systems and the day before it, as the stream leaves them: `events.*` in Delta."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import write_deltalake
from numpy.typing import NDArray

from bike_assets.lake.tables import arrow_schema, ensure_table, table_path
from bike_assets.model.readings import State
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, EVENTS_SYSTEM_INFORMATION, EVENTS_TABLES

DAY = date(2026, 5, 4)
SYSTEMS, STATIONS = 950, 230_000
POLL_MS = 58_600
CHANGES_A_DAY = 37
"""Of a station, on average, by a gamma distribution: some change ten times as often as others."""

ZONES = ("UTC", "Europe/Paris", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "Europe/Oslo",
         "America/Sao_Paulo", "Australia/Sydney")  # fmt: skip
SEED = 4

_STATES = pa.array([each.value for each in (State.UNKNOWN, State.CLOSED, State.EMPTY, State.FULL, State.AVAILABLE)])
_UNKNOWN, _CLOSED, _EMPTY, _FULL, _AVAILABLE = range(5)
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_BEGAN_MS = int(datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC).timestamp() * 1000)
_STEPS, _CHANCES = (-1, 1, -2, 2, -6, 6), (0.4, 0.4, 0.08, 0.08, 0.02, 0.02)

Array = NDArray[Any]


class World(NamedTuple):
    """What the day has."""

    events: int
    polls: int
    stations: int


class _Walk(NamedTuple):
    """A system's stations by its polls: bikes, docks and the state, as an index of _STATES."""

    bikes: Array
    docks: Array
    states: Array


def write_world(lake: Path, share: float = 1.0) -> World:
    """Write DAY and the day before, an hour a file, with so large a share of the world's systems.

    Every 40th system has a gap of 49 minutes and every 97th one of 2.4 hours; 3 % of the stations close, 1 % are
    absent for 40 polls. The day before is the same, 24 h earlier; of the polls there is also the day after.
    """
    for table in EVENTS_TABLES:
        ensure_table(lake, table)
    chance = np.random.default_rng(SEED)
    sizes = _sizes(chance, share)
    by_hour: defaultdict[int, list[pa.Table]] = defaultdict(list)
    polls = []
    for number, size in enumerate(sizes):
        at = _poll_times(chance, number)
        polls.append(pa.table({"system_id": pa.repeat(_name(number), len(at)), "fetched_at": at}))
        for hour, events in _events(_name(number), at, _walk(chance, int(size), len(at))):
            by_hour[hour].append(events)
    events = sum(_write_hour(lake, by_hour.pop(hour)) for hour in sorted(by_hour))
    _write_polls(lake, pa.concat_tables(polls))
    _write_systems(lake, len(sizes))
    return World(events, sum(map(len, polls)), int(sizes.sum()))


def _name(number: int) -> str:
    return f"system_{number:04d}"


def _sizes(chance: np.random.Generator, share: float) -> Array:
    """How many stations each system has: a few thousand in the largest, five at least."""
    sizes = chance.lognormal(4.6, 1.2, round(SYSTEMS * share))
    whole: Array = np.maximum(5, sizes / sizes.sum() * STATIONS * share).astype(int)
    return whole


def _poll_times(chance: np.random.Generator, number: int) -> Array:
    """In ms since 1970."""
    count = _DAY_MS // POLL_MS
    at = _BEGAN_MS + chance.integers(0, POLL_MS) + np.arange(count) * POLL_MS + chance.integers(0, 2000, count)
    at = at[at < _BEGAN_MS + _DAY_MS]
    for every, begins, lasts in ((40, len(at) // 3, 50), (97, len(at) // 2, 150)):
        if number % every == 0:
            at = np.concatenate([at[:begins], at[begins + lasts :]])
    return at


def _walk(chance: np.random.Generator, stations: int, polls: int) -> _Walk:
    shape = (stations, polls)
    often = CHANGES_A_DAY / polls * chance.gamma(2, 0.5, stations)[:, None]
    steps = np.where(chance.random(shape) < often, chance.choice(_STEPS, shape, p=_CHANCES), 0)
    steps[:, 0] = 0
    places = chance.integers(10, 40, stations)[:, None]
    walked = chance.integers(0, 20, stations)[:, None] + np.cumsum(steps, 1)
    bikes = np.abs(walked % (2 * places) - places).astype(np.int32)  # reflected where none or all are there
    docks = (places - bikes).astype(np.int32)
    poll = np.arange(polls)[None, :]
    is_closed = (chance.random(stations) < 0.03)[:, None] & (poll > polls // 2)
    begins = polls * 3 // 4
    is_absent = (chance.random(stations) < 0.01)[:, None] & (poll > begins) & (poll < begins + 40)
    open_states = np.where(bikes == 0, _EMPTY, np.where(docks == 0, _FULL, _AVAILABLE))
    return _Walk(bikes, docks, np.where(is_absent, _UNKNOWN, np.where(is_closed, _CLOSED, open_states)).astype(np.int8))


def _events(system_id: str, at: Array, walk: _Walk) -> Iterator[tuple[int, pa.Table]]:
    """Each hour's events, in the order of time: changes, and all stations at the hour's first poll."""
    hour = (at - _BEGAN_MS) // _HOUR_MS
    is_first = np.r_[True, hour[1:] != hour[:-1]]
    is_changed = np.zeros(walk.states.shape, bool)
    is_changed[:, 1:] = (walk.bikes[:, 1:] != walk.bikes[:, :-1]) | (walk.states[:, 1:] != walk.states[:, :-1])
    is_changed[:, 1:] &= (walk.states[:, 1:] != _UNKNOWN) | (walk.states[:, :-1] != _UNKNOWN)
    poll, station = np.nonzero((is_changed | is_first[None, :]).T)
    events = _rows(system_id, at, walk, is_changed, poll, station)
    cuts = np.searchsorted(hour[poll], np.arange(25))
    for each in range(24):
        if cuts[each + 1] > cuts[each]:
            yield each, events.slice(cuts[each], cuts[each + 1] - cuts[each])


def _rows(system_id: str, at: Array, walk: _Walk, is_changed: Array, poll: Array, station: Array) -> pa.Table:
    now, before = (station, poll), (station, np.maximum(poll - 1, 0))
    is_gone, was_gone = walk.states[now] == _UNKNOWN, walk.states[before] == _UNKNOWN
    nothing, is_open = np.zeros(len(poll), np.int32), walk.states[now] != _CLOSED
    kinds = np.where(is_gone, 0, np.where(is_changed[now], 1, 2))
    return pa.table({
        "system_id": pa.repeat(system_id, len(poll)),
        "station_id": pa.array([f"st_{each}" for each in range(len(walk.states))]).take(pa.array(station)),
        "observed_at": at[poll],
        "kind": pa.array(["absent", "change", "keyframe"]).take(pa.array(kinds)),
        "bikes_available": pa.array(walk.bikes[now], mask=is_gone),
        "docks_available": pa.array(walk.docks[now], mask=is_gone),
        **{name: pa.array(nothing, mask=is_gone) for name in ("bikes_disabled", "docks_disabled")},
        **{name: pa.array(is_open, mask=is_gone) for name in ("is_installed", "is_renting", "is_returning")},
        "state": _STATES.take(pa.array(walk.states[now])),
        "state_since": at[poll],
        "bikes_before": pa.array(walk.bikes[before], mask=was_gone),
        "docks_before": pa.array(walk.docks[before], mask=was_gone),
        "state_before": _STATES.take(pa.array(walk.states[before], mask=was_gone)),
        "reported_at": at[poll] - 30_000,
    })  # fmt: skip


def _write_hour(lake: Path, parts: list[pa.Table]) -> int:
    events = pa.concat_tables(parts)
    for days in (-1, 0):
        _append(lake, EVENTS_STATION_STATUS, events, days)
    return len(events)


def _write_polls(lake: Path, polls: pa.Table) -> None:
    told = {"feed": "station_status", "outcome": "ok", "request_id": "made", "http_status": 200}
    counts = dict.fromkeys(("rows_in", "rows_accepted", "rows_rejected", "events"), 0)
    for name, value in (told | counts).items():
        polls = polls.append_column(name, pa.repeat(value, len(polls)))
    for days in (-1, 0, 1):
        _append(lake, EVENTS_POLLS, polls, days)


def _write_systems(lake: Path, count: int) -> None:
    names = [_name(number) for number in range(count)]
    zones = [ZONES[number % len(ZONES)] for number in range(count)]
    told = {"system_id": names, "name": names, "timezone": zones, "kind": ["gbfs"] * count}
    _append(lake, EVENTS_SYSTEM_INFORMATION, pa.table(told | {"observed_at": np.full(count, _BEGAN_MS)}), -1)


def _append(lake: Path, table: Table, rows: pa.Table, days: int) -> None:
    """Rows with instants in ms, so many days later; columns that they lack are null."""
    schema = arrow_schema(table)
    utc_date = DAY + timedelta(days=days)
    columns = [_column(rows, field, utc_date, days) for field in schema]
    write_deltalake(str(table_path(lake, table)), pa.table(columns, schema=schema), mode="append")


def _column(rows: pa.Table, field: pa.Field, utc_date: date, days: int) -> Any:
    if field.name == "utc_date":
        return pa.repeat(pa.scalar(utc_date, field.type), len(rows))
    if field.name not in rows.column_names:
        return pa.nulls(len(rows), field.type)
    column = rows[field.name]
    if pa.types.is_timestamp(field.type):
        return pc.multiply(pc.add(column, days * _DAY_MS), 1000).cast(field.type)
    return column.cast(field.type)
