"""Systems' time zones, as they were last told, and the days that hang on them."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pyarrow as pa

from bike_assets.lake.duck import rows_of
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_SYSTEM_INFORMATION

NO_ZONE = "UTC"
"""That of a system of which nobody said one."""


def zones(lake: Path) -> dict[str, str]:
    """The time zone that was last told of each system that was described. Raises LakeBroken."""
    of = EVENTS_SYSTEM_INFORMATION
    query = f"SELECT system_id, arg_max(timezone, observed_at) AS zone FROM {of.name} GROUP BY ALL"
    return {row["system_id"]: row["zone"] for row in rows_of(lake, of, query)}


def days_polled(lake: Path, system_ids: Iterable[str]) -> set[date]:
    """The UTC dates of which the tables have a fetch of one of these systems. Raises LakeBroken."""
    asked = pa.table({"system_id": pa.array(system_ids, pa.string())})
    query = f"SELECT DISTINCT utc_date FROM {EVENTS_POLLS.name} SEMI JOIN asked USING (system_id)"
    return {row["utc_date"] for row in rows_of(lake, EVENTS_POLLS, query, asked=asked)}
