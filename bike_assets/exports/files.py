"""A city's day or month as files: one a table, and beside them what their columns mean."""

import calendar
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal
from uuid import uuid4

import duckdb
from duckdb import ColumnExpression, ConstantExpression, DuckDBPyConnection, DuckDBPyRelation, Expression

from bike_assets.lake.duck import connect
from bike_assets.model.dictionary import dictionary
from bike_assets.model.errors import LakeBroken, NotExported, WrongDay, WrongQuery
from bike_assets.model.schema import Table
from bike_assets.model.warehouse import (
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    FACT_VEHICLE_SYSTEM_DAY,
    STATION_QUALITY,
    SYSTEM_SERVICE_DAY,
)

EXPORTED = (
    FACT_STATION_HOUR, FACT_STATION_DAY, FACT_SYSTEM_DAY, FACT_VEHICLE_SYSTEM_DAY, SYSTEM_SERVICE_DAY, STATION_QUALITY,
    DIM_SYSTEM, DIM_STATION,
)  # fmt: skip
"""The facts and findings of the local dates; the system and its stations whole, with all that they ever were."""

DICTIONARY = "dictionary.md"
SHOWN = 20
"""How many systems are named to who asked for one that is not there."""

DAY = timedelta(days=1)
_DAY = re.compile("(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}")
_MONTH = re.compile("(19|20)[0-9]{2}-[0-9]{2}")

Format = Literal["parquet", "csv"]
Days = tuple[date, date]


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written: its rows, and its bytes."""

    path: Path
    rows: int
    bytes: int


def export_files(lake: Path, system_id: str, days: str, file_format: Format, target: Path) -> list[Exported]:
    """Write a system's local day (`2026-11-20`) or month (`2026-11`) into the directory `target`, which is made.

    A file for each of EXPORTED, such as `fact_station_hour.csv`, rows in the order of their grain, and
    `dictionary.md`. In CSV null is empty, and instants are written as `2026-11-20 08:00:00+00`. An earlier export is
    replaced file by file, after all could be written. Raises WrongDay, NotExported, LakeBroken, and WrongQuery where
    there is no such system.
    """
    first_last = local_days(days)
    con = connect(lake)
    try:
        _refuse_what_is_not_there(con, system_id, days, first_last)
        return _write_all(con, system_id, first_last, file_format, target)
    except duckdb.Error as err:
        raise LakeBroken(f"The warehouse cannot be read: {_reason(err)}.") from None
    finally:
        con.close()


def local_days(text: str) -> Days:
    """The first and the last local date of a day or a month. Raises WrongDay."""
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return day, day
        if _MONTH.fullmatch(text):
            first = date.fromisoformat(f"{text}-01")
            return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])
    except ValueError:
        pass  # a thirteenth month, a thirtieth of February
    raise WrongDay(f"{text} is neither a day, such as 2026-11-20, nor a month, such as 2026-11.")


def _refuse_what_is_not_there(con: DuckDBPyConnection, system_id: str, days: str, first_last: Days) -> None:
    systems = [name for (name,) in con.table(DIM_SYSTEM.name).select("system_id").order("system_id").fetchall()]
    if system_id not in systems:
        raise WrongQuery(f"There is no system {system_id} in the warehouse: {_listed(systems)}.")
    if not _rows(con, FACT_STATION_HOUR, system_id, first_last).limit(1).fetchall():
        of_system = con.table(FACT_STATION_HOUR.name).filter(_is(system_id))
        first, last = of_system.aggregate("min(local_date), max(local_date)").fetchall()[0]
        there = f"its days are from {first} to {last}" if first else "it has no day yet; `bike build DAY` makes one"
        raise WrongDay(f"{system_id} has nothing on {days}: {there}.")


def _listed(systems: Sequence[str]) -> str:
    if not systems:
        return "it has none yet; `bike build DAY` fills it"
    more = f" and {len(systems) - SHOWN} more" if len(systems) > SHOWN else ""
    return f"there are {', '.join(systems[:SHOWN])}{more}"


def _write_all(
    con: DuckDBPyConnection, system_id: str, days: Days, file_format: Format, target: Path
) -> list[Exported]:
    files = {table: f"{table.path[1]}.{file_format}" for table in EXPORTED}
    aside = target / f".export-{uuid4().hex}"
    try:
        aside.mkdir(parents=True)
        rows = {
            name: _write(_in_order(_rows(con, table, system_id, days), table), file_format, aside / name)
            for table, name in files.items()
        }
        (aside / DICTIONARY).write_text(dictionary(EXPORTED))
        for file in sorted(aside.iterdir()):
            file.replace(target / file.name)
    except (duckdb.Error, OSError) as err:
        raise NotExported(f"{system_id} could not be written to {target}: {_reason(err)}.") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [Exported(target / name, count, (target / name).stat().st_size) for name, count in rows.items()]


def _rows(con: DuckDBPyConnection, table: Table, system_id: str, days: Days) -> DuckDBPyRelation:
    """The system's rows of these local dates; all of them where the table has no dates."""
    rows = con.table(table.name).filter(_is(system_id))
    names = {column.name for column in table.columns}
    if "local_date" in names:
        rows = rows.filter(_within("local_date", *days))
    if "utc_date" in names:  # for speed: the others are not even opened
        rows = rows.filter(_within("utc_date", days[0] - DAY, days[1] + DAY))
    return rows


def _in_order(rows: DuckDBPyRelation, table: Table) -> DuckDBPyRelation:
    return rows.sort(*(ColumnExpression(name) for name in table.grain))


def _is(system_id: str) -> Expression:
    return ColumnExpression("system_id") == ConstantExpression(system_id)


def _within(column: str, first: date, last: date) -> Expression:
    return ColumnExpression(column).between(ConstantExpression(first), ConstantExpression(last))


def _write(rows: DuckDBPyRelation, file_format: Format, path: Path) -> int:
    """Write the rows, and return how many they are."""
    if file_format == "csv":
        rows.write_csv(str(path))
    else:
        rows.write_parquet(str(path), compression="zstd")
    ((count,),) = rows.count("*").fetchall()
    return int(count)


def _reason(err: Exception) -> str:
    return str(err).splitlines()[0].rstrip(".")
