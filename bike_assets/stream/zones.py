"""Systems' time zones, as they were last told, and the days that hang on them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from bike_assets.lake.duck import broken_table, connect
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_SYSTEM_INFORMATION

NO_ZONE = "UTC"
"""That of a system of which nobody said one."""


def zones(lake: Path) -> dict[str, str]:
    """The time zone that was last told of each system that was described. Raises LakeBroken for a broken file."""
    with _asking(lake, EVENTS_SYSTEM_INFORMATION) as con:
        rows = con.sql(
            f"SELECT system_id, arg_max(timezone, observed_at) FROM {EVENTS_SYSTEM_INFORMATION.name} GROUP BY ALL"
        )
        return dict(rows.fetchall())


def days_polled(lake: Path, system_ids: Iterable[str]) -> set[date]:
    """The UTC dates of which the tables have a fetch of one of these systems. Raises LakeBroken for a broken file."""
    asked = pa.table({"system_id": pa.array(system_ids, pa.string())})
    with _asking(lake, EVENTS_POLLS) as con:
        con.register("asked", asked)
        rows = con.sql(f"SELECT DISTINCT utc_date FROM {EVENTS_POLLS.name} SEMI JOIN asked USING (system_id)")
        return {day for (day,) in rows.fetchall()}


@contextmanager
def _asking(lake: Path, table: Table) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        with connect(lake, [table]) as con:
            yield con
    except duckdb.Error as err:
        raise broken_table(lake, err) or err from None
