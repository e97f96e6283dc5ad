"""A small star in a lake, with all that a database could get wrong: nulls, quotes, odd letters, two days."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from bike_assets.lake.tables import arrow_schema, ensure_table, table_path
from bike_assets.model.schema import Column, Table
from bike_assets.model.star import FACTS, time_key
from bike_assets.model.warehouse import DIM_CUSTOMER, DIM_DATE, DIM_STATION, DIM_SYSTEM

DAYS = (date(2026, 11, 19), date(2026, 11, 20))
SYSTEMS = ("oslo", "jcdecaux:lyon")
STATIONS = ("007", "7", 'a"\\,', "A", "a")
ODD = 'Torg "1", öst\\\t\n\'; DROP TABLE 🚲 \\N'
NULL_EVERY = 3


def a_star(lake: Path, days: Sequence[date] = DAYS, stations: Sequence[str] = STATIONS, shift: int = 0) -> None:
    """Write the dimensions whole, and these days of each fact in the place of what was there.

    Every figure depends on its row, its column and `shift`; every third that may be null is.
    """
    all_days = {*DAYS, *days}
    write_whole(lake, DIM_DATE, [_filled(DIM_DATE, n, shift, date=day) for n, day in enumerate(sorted(all_days))])
    write_whole(lake, DIM_SYSTEM, [_filled(DIM_SYSTEM, n, shift, system_id=name) for n, name in enumerate(SYSTEMS)])
    write_whole(lake, DIM_STATION, [
        _filled(DIM_STATION, n, shift, system_id=key[0], station_id=key[1], station_key=key_of(*key))
        for n, key in enumerate((system_id, station_id) for system_id in SYSTEMS for station_id in stations)
    ])  # fmt: skip
    write_whole(lake, DIM_CUSTOMER, [
        _filled(DIM_CUSTOMER, n, shift, customer_id=name, valid_from=datetime(1970 + n, 1, 1, tzinfo=UTC))
        for n, name in enumerate(("c1", "c1", "C1", 'c"2'))
    ])  # fmt: skip
    for table in FACTS:
        for day in days:
            write_day(lake, table, day, stations, shift)


def key_of(system_id: str, station_id: str) -> int:
    """As wide as a hash is, and of both signs."""
    return (hash_of(f"{system_id}/{station_id}") % 2**64) - 2**63


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[-8:], "big") * 2_654_435_761


def write_day(
    lake: Path, table: Table, day: date, stations: Sequence[str] = STATIONS, shift: int = 0,
    systems: Sequence[str] = SYSTEMS,
) -> None:
    """Put a day's rows in the place of what was there."""
    ensure_table(lake, table)
    column = table.partitioned_by[0]
    write_deltalake(str(table_path(lake, table)), _arrow(table, list(_facts(table, day, stations, shift, systems))),
                    mode="overwrite", predicate=f"{column} = '{day}'")  # fmt: skip


def write_whole(lake: Path, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Put rows in the place of the whole table."""
    ensure_table(lake, table)
    write_deltalake(str(table_path(lake, table)), _arrow(table, rows), mode="overwrite")


def _facts(
    table: Table, day: date, stations: Sequence[str], shift: int, systems: Sequence[str]
) -> list[dict[str, Any]]:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    instants = [midnight, midnight + timedelta(hours=23, minutes=59)] if time_key(table).type == "timestamp" else [day]
    has_stations = "station_id" in table.grain
    keys = [
        {"system_id": system_id, "station_id": station_id, "station_key": key_of(system_id, station_id),
         "utc_date": day, "local_date": day, time_key(table).name: at}
        for system_id in systems for station_id in (stations if has_stations else ("",)) for at in instants
    ]  # fmt: skip
    names = {column.name for column in table.columns}
    return [_filled(table, n, shift, **{k: v for k, v in key.items() if k in names}) for n, key in enumerate(keys)]


def _filled(table: Table, number: int, shift: int, **given: Any) -> dict[str, Any]:
    return {
        column.name: given.get(column.name, _value(column, number * 7 + place + shift))
        for place, column in enumerate(table.columns)
    }


def _value(column: Column, number: int) -> Any:
    if column.nullable and number % NULL_EVERY == 0:
        return None
    match column.type:
        case "string":
            return ("", ODD, "Plaza", "ø")[number % 4] if column.nullable or "evidence" in column.name else f"v{number}"
        case "timestamp":
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number * 97, milliseconds=number * 101)
        case "date":
            return DAYS[number % len(DAYS)]
        case "boolean":
            return number % 2 == 0
        case "double":
            return number / 7
        case _:
            return number % 24


def _arrow(table: Table, rows: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), arrow_schema(table))
