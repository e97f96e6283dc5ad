"""What must hold of the warehouse; the rules stand in `quality/`. A run looks at its own days only."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from bike_assets.defs.found import check_result, not_yet
from bike_assets.defs.partitions import days_of
from bike_assets.defs.resources import Lake, Sources
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS
from bike_assets.model.warehouse import (
    DIM_CUSTOMER,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    FACT_VEHICLE_SYSTEM_DAY,
    SYSTEM_SERVICE_DAY,
    WAREHOUSE_TABLES,
)

if TYPE_CHECKING:
    import duckdb

    from bike_assets.quality.found import Found

MINUTES_OF = (EVENTS_STATION_STATUS, EVENTS_POLLS)
"""What the live minutes of stations are made of."""

Rule = Callable[["duckdb.DuckDBPyConnection", date, date], "Found"]

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
SETTLED_AFTER = timedelta(minutes=30)
"""A day is compared with what is still coming in only when it is over for so long."""


class Promise(NamedTuple):
    """A rule about the days of a run, or about all days where it is asked without a run of days.

    `rule` gives it, so that DuckDB is loaded where it is asked.
    """

    name: str
    description: str
    rule: Callable[[], Rule]
    blocking: bool = True
    severity: dg.AssetCheckSeverity = ERROR
    settled_only: bool = False
    after_live: bool = False
    """Whether it looks at the live minutes, which may be behind the events."""


def _checks(table: Table, *promises: Promise) -> dg.AssetChecksDefinition:
    """A table's checks as one step: each a check of its own, over one look at the lake."""
    key = dg.AssetKey(list(table.path))
    specs = [dg.AssetCheckSpec(each.name, asset=key, description=each.description, blocking=each.blocking)
             for each in promises]  # fmt: skip

    @dg.multi_asset_check(name=f"{table.path[1]}_checks", specs=specs, can_subset=True)
    def checks(context: dg.AssetCheckExecutionContext, lake: Lake) -> Iterator[dg.AssetCheckResult]:
        first, last = days_of(context.run) or lake.days(table)
        settled = min(last, (datetime.now(UTC) - SETTLED_AFTER).date() - timedelta(days=1))
        asked = [each for each in promises if dg.AssetCheckKey(key, each.name) in context.selected_asset_check_keys]
        # Before the tables are opened: what is read later is no less.
        unread = _unread(lake, first, settled) if any(each.after_live for each in asked) else []
        with lake.duckdb() as con:
            for each in asked:
                if each.after_live and unread:
                    yield not_yet(each.name, unread)
                else:
                    found = each.rule()(con, first, settled if each.settled_only else last)
                    # A day of which nothing was recorded is empty, and a warning needs something to warn about.
                    yield check_result(found, name=each.name, may_be_empty=True, severity=each.severity)

    return checks


def _unread(lake: Lake, first: date, last: date) -> list[date]:
    """The days, of these, of whose events the live minutes lack some."""
    from bike_assets.lake.unread import days_unread

    return sorted(day for day in days_unread(lake.directory, MINUTES_OF) if first <= day <= last)


def _rule(name: str) -> Callable[[], Rule]:
    """A rule of `quality/warehouse.py`."""

    def load() -> Rule:
        from bike_assets.quality import warehouse

        found: Rule = getattr(warehouse, name)
        return found

    return load


def _vehicle_days_equal_events() -> Rule:
    from bike_assets.quality.vehicles import vehicle_days_equal_events

    return vehicle_days_equal_events


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


def _of_any(table: Table) -> Iterator[Promise]:
    yield Promise("keys_are_unique", f"One row of each ({', '.join(table.grain)}).", _unique(table))
    yield Promise("no_negative", "Every value lies in its column's range, and is null only where it may be.",
                  _in_range(table))  # fmt: skip
    if table.partitioned_by:
        yield Promise("every_fact_has_its_dimension", "Stations, systems and dates stand in their dimensions.",
                      _has_its_dimensions(table))  # fmt: skip


_OWN: dict[str, list[Promise]] = {
    FACT_STATION_HOUR.name: [
        Promise("hours_add_up", "Empty, full, available, closed and unknown are 3,600 s in every hour.",
                _rule("hours_add_up")),
        Promise("local_dates_fit_zone", "Local dates and hours are those of the system's time zone of now.",
                _rule("local_dates_fit_zone")),
        Promise("polls_match_station_hours", "The stations that the good polls told of are in the hours.",
                _rule("polls_match_station_hours"), settled_only=True),
        Promise("stream_equals_batch", "Flows of each system and hour equal those of the live minutes.",
                _rule("stream_equals_batch"), blocking=False, settled_only=True, after_live=True),
        Promise("minutes_equal_events", "Each live minute of a system is what events and polls make of it.",
                _rule("minutes_equal_events"), blocking=False, settled_only=True, after_live=True),
        Promise("levels_fit_capacity", "No station has more bikes and docks than places.",
                _rule("levels_fit_capacity"), blocking=False, severity=WARN),
    ],
    FACT_STATION_DAY.name: [
        Promise("days_add_up", "A station's day is the sum of its hours.", _rule("days_add_up")),
    ],
    FACT_SYSTEM_DAY.name: [
        Promise("system_days_add_up", "A system's day is the sum of its stations'.", _rule("system_days_add_up")),
        Promise("looks_like_last_weeks", "Flows are like those of the same weekday in the last four weeks.",
                _rule("looks_like_last_weeks"), blocking=False, severity=WARN),
        Promise("hole_in_the_day", "Little of the day is unknown.", _rule("hole_in_the_day"), blocking=False,
                severity=WARN),
    ],
    SYSTEM_SERVICE_DAY.name: [
        Promise("service_days_equal_polls", "A day's shares, gaps and counts are what its fetches come to.",
                _rule("service_days_equal_polls"), settled_only=True),
    ],
    FACT_VEHICLE_SYSTEM_DAY.name: [
        Promise("vehicle_days_equal_events", "A day of vehicles is what its events and totals come to.",
                _vehicle_days_equal_events, settled_only=True),
    ],
}  # fmt: skip

_CHECKED = (*WAREHOUSE_TABLES, DIM_CUSTOMER)

warehouse_checks = [_checks(table, *_of_any(table), *_OWN.get(table.name, [])) for table in _CHECKED]


@dg.asset_check(asset=list(SYSTEM_SERVICE_DAY.path))
def meets_service_level(context: dg.AssetCheckExecutionContext, lake: Lake, sources: Sources) -> dg.AssetCheckResult:
    """Of each day that is over, a system was seen in the share that the sources file or the settings want.

    An error for a system whose share the sources file sets: somebody promised it. A warning for the others.
    """
    from bike_assets.quality.warehouse import OWN_LEVEL
    from bike_assets.quality.warehouse import meets_service_level as rule

    first, last = days_of(context.run) or lake.days(SYSTEM_SERVICE_DAY)
    with lake.duckdb() as con:
        found = rule(con, first, last, sources.service_levels(), sources.service_level)
    is_promised = any(row[OWN_LEVEL] for row in found.first_bad)
    return check_result(found, may_be_empty=True, severity=ERROR if is_promised else WARN)
