"""What must hold of the warehouse; the rules stand in `quality/`. A run looks at its own days only."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from bike_assets.defs.found import check_result
from bike_assets.defs.partitions import days_of
from bike_assets.defs.resources import Lake
from bike_assets.model.schema import Table
from bike_assets.model.warehouse import (
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    STATION_QUALITY,
    SYSTEM_SERVICE_DAY,
    WAREHOUSE_TABLES,
)

if TYPE_CHECKING:
    import duckdb

    from bike_assets.quality.found import Found

Rule = Callable[["duckdb.DuckDBPyConnection", date, date], "Found"]

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
SETTLED_AFTER = timedelta(minutes=30)
"""A day is compared with what is still coming in only when it is over for so long."""


def _check(
    table: Table, name: str, description: str, rule: Callable[[], Rule], *,
    blocking: bool = True, severity: dg.AssetCheckSeverity = ERROR, settled_only: bool = False,
) -> dg.AssetChecksDefinition:  # fmt: skip
    """A rule about the days of a run, or about all days where it is asked without a run of days.

    `rule` gives it, so that DuckDB is loaded where it is asked.
    """

    @dg.asset_check(asset=list(table.path), name=name, description=description, blocking=blocking)
    def check(context: dg.AssetCheckExecutionContext, lake: Lake) -> dg.AssetCheckResult:
        first, last = days_of(context.run) or lake.days(table)
        if settled_only:
            last = min(last, (datetime.now(UTC) - SETTLED_AFTER).date() - timedelta(days=1))
        # A day of which nothing was recorded is empty, and a warning needs something to warn about.
        return check_result(rule()(lake.duckdb(), first, last), may_be_empty=True, severity=severity)

    return check


def _rule(name: str) -> Callable[[], Rule]:
    """A rule of `quality/warehouse.py`."""

    def load() -> Rule:
        from bike_assets.quality import warehouse

        found: Rule = getattr(warehouse, name)
        return found

    return load


def _has_its_dimensions(table: Table) -> Callable[[], Rule]:
    def load() -> Rule:
        from bike_assets.quality.warehouse import every_fact_has_its_dimension

        return lambda con, first, last: every_fact_has_its_dimension(con, table, first, last)

    return load


def _in_range(table: Table) -> Callable[[], Rule]:
    def load() -> Rule:
        from bike_assets.quality.columns import no_negative

        return lambda con, first, last: no_negative(con, table, first, last)

    return load


def _unique(table: Table) -> Callable[[], Rule]:
    def load() -> Rule:
        from bike_assets.quality.keys import keys_are_unique

        return lambda con, first, last: keys_are_unique(con, table, first, last)

    return load


every_table = [
    *(_check(table, "keys_are_unique", f"One row of each ({', '.join(table.grain)}).", _unique(table))
      for table in WAREHOUSE_TABLES),
    *(_check(table, "no_negative", "Every value lies in its column's range, and is null only where it may be.",
             _in_range(table)) for table in WAREHOUSE_TABLES),
    *(_check(table, "every_fact_has_its_dimension", "Stations, systems and dates stand in their dimensions.",
             _has_its_dimensions(table))
      for table in (FACT_STATION_HOUR, FACT_STATION_DAY, FACT_SYSTEM_DAY, SYSTEM_SERVICE_DAY,
                    STATION_QUALITY)),
]  # fmt: skip

hours = [
    _check(FACT_STATION_HOUR, "hours_add_up", "Empty, full, available, closed and unknown are 3,600 s in every hour.",
           _rule("hours_add_up")),
    _check(FACT_STATION_HOUR, "polls_match_station_hours", "The stations that the good polls told of are in the hours.",
           _rule("polls_match_station_hours"), settled_only=True),
    _check(FACT_STATION_HOUR, "stream_equals_batch", "Flows of each system and hour equal those of the live minutes.",
           _rule("stream_equals_batch"), blocking=False, settled_only=True),
    _check(FACT_STATION_HOUR, "levels_fit_capacity", "No station has more bikes and docks than places.",
           _rule("levels_fit_capacity"), blocking=False, severity=WARN),
]  # fmt: skip

days = [
    _check(FACT_STATION_DAY, "days_add_up", "A station's day is the sum of its hours.", _rule("days_add_up")),
    _check(FACT_SYSTEM_DAY, "system_days_add_up", "A system's day is the sum of its stations'.",
           _rule("system_days_add_up")),
    _check(FACT_SYSTEM_DAY, "looks_like_last_weeks", "Flows are like those of the same weekday in the last four weeks.",
           _rule("looks_like_last_weeks"), blocking=False, severity=WARN),
    _check(FACT_SYSTEM_DAY, "hole_in_the_day", "Little of the day is unknown.", _rule("hole_in_the_day"),
           blocking=False, severity=WARN),
]  # fmt: skip
