"""Systems' time zones, as they were last told, and the days that hang on them."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from bike_assets.lake.duck import broken_table, connect
from bike_assets.model.errors import LakeBroken
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_SYSTEM_INFORMATION

NO_ZONE = "UTC"
"""That of a system of which nobody said one."""


def zones(lake: Path) -> dict[str, str]:
    """The time zone that was last told of each system that was described. Raises LakeBroken."""
    of = EVENTS_SYSTEM_INFORMATION
    return dict(_rows(lake, of, f"SELECT system_id, arg_max(timezone, observed_at) FROM {of.name} GROUP BY ALL"))


def days_polled(lake: Path, system_ids: Iterable[str]) -> set[date]:
    """The UTC dates of which the tables have a fetch of one of these systems. Raises LakeBroken."""
    asked = pa.table({"system_id": pa.array(system_ids, pa.string())})
    query = f"SELECT DISTINCT utc_date FROM {EVENTS_POLLS.name} SEMI JOIN asked USING (system_id)"
    return {day for (day,) in _rows(lake, EVENTS_POLLS, query, asked=asked)}


def _rows(lake: Path, table: Table, query: str, **given: pa.Table) -> list[Any]:
    """The query's rows over the table, and over what is given beside it."""
    with connect(lake, [table]) as con:
        for name, rows in given.items():
            con.register(name, rows)
        try:
            return con.sql(query).fetchall()
        except duckdb.Error as err:
            said = str(err).splitlines()[0]
            raise broken_table(lake, err) or LakeBroken(f"{table.name} cannot be read: {said}.") from None
