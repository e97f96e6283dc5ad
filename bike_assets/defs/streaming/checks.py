"""What must hold of the tables that the stream fills; the rules stand in `quality/`.

A run of days looks at these; without, as by hand, at all that the tables hold.
"""

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Protocol

import dagster as dg

from bike_assets.defs.found import check_result
from bike_assets.defs.partitions import days_of
from bike_assets.defs.resources import Lake
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_FEED_FIELDS,
    EVENTS_POLLS,
    EVENTS_STATION_STATUS,
    EVENTS_TABLES,
    EVENTS_USERS,
    EVENTS_VEHICLE_TOTALS,
    LIVE_TABLES,
    LIVE_VEHICLES_SYSTEM_MINUTE,
)

if TYPE_CHECKING:
    import duckdb

    from bike_assets.quality.found import Found


class Rule(Protocol):
    """A rule of `quality/` about some dates, or about all."""

    def __call__(
        self, con: "duckdb.DuckDBPyConnection", first: date | None = None, last: date | None = None
    ) -> "Found":
        """What was found."""
        ...


def _look(
    context: dg.AssetCheckExecutionContext,
    lake: Lake,
    rule: Rule,
    *,
    may_be_empty: bool = False,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """That days hold no row is told by other means: whether somebody polls. A table that never held one is not well."""
    days = days_of(context.run)
    first, last = days or (None, None)
    with lake.duckdb() as con:
        found = rule(con, first, last)
    return check_result(found, may_be_empty=may_be_empty or days is not None, severity=severity)


@dg.asset_check(asset=list(EVENTS_POLLS.path))
def rows_are_accounted_for(context: dg.AssetCheckExecutionContext, lake: Lake) -> dg.AssetCheckResult:
    """In every poll, rows in = rows accepted + rows rejected, and each rejected row is kept."""
    from bike_assets.quality.events import rows_are_accounted_for as rule

    return _look(context, lake, rule)


@dg.asset_check(asset=list(EVENTS_STATION_STATUS.path))
def chain_is_unbroken(context: dg.AssetCheckExecutionContext, lake: Lake) -> dg.AssetCheckResult:
    """Each event's `*_before` is what the station's event before it said."""
    from bike_assets.quality.events import chain_is_unbroken as rule

    return _look(context, lake, rule)


@dg.asset_check(asset=list(EVENTS_FEED_FIELDS.path))
def feeds_do_not_drift(context: dg.AssetCheckExecutionContext, lake: Lake) -> dg.AssetCheckResult:
    """Each feed has the fields, kinds of values, units and words that it had in the week before; only warns."""
    from bike_assets.quality.drift import feeds_do_not_drift as rule

    return _look(context, lake, rule, severity=dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=list(EVENTS_VEHICLE_TOTALS.path))
def vehicles_are_accounted_for(context: dg.AssetCheckExecutionContext, lake: Lake) -> dg.AssetCheckResult:
    """Each good poll of vehicles has its totals, and the events of its hour make the same counts."""
    from bike_assets.quality.vehicles import vehicles_are_accounted_for as rule

    return _look(context, lake, rule, may_be_empty=True)


@dg.asset_check(asset=list(EVENTS_USERS.path))
def only_what_the_policy_leaves(context: dg.AssetCheckExecutionContext, lake: Lake) -> dg.AssetCheckResult:
    """Members' hashes are hashes, and what is to be cut is cut: no dropped or whole field is in the table."""
    from bike_assets.quality.users import only_what_the_policy_leaves as rule

    return _look(context, lake, rule, may_be_empty=True)


@dg.asset_check(asset=list(LIVE_VEHICLES_SYSTEM_MINUTE.path))
def vehicle_minutes_equal_totals(context: dg.AssetCheckExecutionContext, lake: Lake) -> dg.AssetCheckResult:
    """Each live minute of a system's vehicles is that of its last good poll, and none is missing."""
    from bike_assets.quality.vehicles import vehicle_minutes_equal_totals as rule

    return _look(context, lake, rule, may_be_empty=True)


def _keys_are_unique(table: Table) -> dg.AssetChecksDefinition:
    key = ", ".join(table.grain)

    @dg.asset_check(asset=list(table.path), name="keys_are_unique", description=f"One row of each ({key}).")
    def keys_are_unique(context: dg.AssetCheckExecutionContext, lake: Lake) -> dg.AssetCheckResult:
        from bike_assets.quality.keys import keys_are_unique as rule

        def of_table(con: "duckdb.DuckDBPyConnection", first: date | None = None, last: date | None = None) -> "Found":
            found = rule(con, table, first, last)
            # What a check shows stays in Dagster's record, where nobody is forgotten.
            return replace(found, first_bad=[]) if table.is_personal else found

        return _look(context, lake, of_table, may_be_empty=table.may_be_empty)

    return keys_are_unique


keys_are_unique = [_keys_are_unique(table) for table in EVENTS_TABLES + LIVE_TABLES]
