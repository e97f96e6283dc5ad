"""Systems' time zones, as they were last told, and the days that hang on them."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pyarrow as pa

from bike_assets.lake.duck import connect
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_SYSTEM_INFORMATION

NO_ZONE = "UTC"
"""That of a system of which nobody said one."""


def zones(lake: Path) -> dict[str, str]:
    """The time zone that was last told of each system that was described."""
    with connect(lake, [EVENTS_SYSTEM_INFORMATION]) as con:
        rows = con.sql(
            f"SELECT system_id, arg_max(timezone, observed_at) FROM {EVENTS_SYSTEM_INFORMATION.name} GROUP BY ALL"
        )
        return dict(rows.fetchall())


def days_polled(lake: Path, system_ids: Iterable[str]) -> set[date]:
    """The UTC dates of which the tables have a fetch of one of these systems."""
    asked = pa.table({"system_id": pa.array(system_ids, pa.string())})
    with connect(lake, [EVENTS_POLLS]) as con:
        con.register("asked", asked)
        rows = con.sql(f"SELECT DISTINCT utc_date FROM {EVENTS_POLLS.name} SEMI JOIN asked USING (system_id)")
        return {day for (day,) in rows.fetchall()}
