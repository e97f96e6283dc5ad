"""What must hold of the tables that the stream fills; the rules stand in `quality/`."""

import dagster as dg

from bike_assets.defs.found import check_result
from bike_assets.defs.resources import Lake
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, EVENTS_TABLES, LIVE_TABLES


@dg.asset_check(asset=list(EVENTS_POLLS.path))
def rows_are_accounted_for(lake: Lake) -> dg.AssetCheckResult:
    """In every poll, rows in = rows accepted + rows rejected, and each rejected row is kept."""
    from bike_assets.quality.events import rows_are_accounted_for as rule

    with lake.duckdb() as con:
        return check_result(rule(con))


@dg.asset_check(asset=list(EVENTS_STATION_STATUS.path))
def chain_is_unbroken(lake: Lake) -> dg.AssetCheckResult:
    """Each event's `*_before` is what the station's event before it said."""
    from bike_assets.quality.events import chain_is_unbroken as rule

    with lake.duckdb() as con:
        return check_result(rule(con))


def _keys_are_unique(table: Table) -> dg.AssetChecksDefinition:
    key = ", ".join(table.grain)

    @dg.asset_check(asset=list(table.path), name="keys_are_unique", description=f"One row of each ({key}).")
    def keys_are_unique(lake: Lake) -> dg.AssetCheckResult:
        from bike_assets.quality.keys import keys_are_unique as rule

        with lake.duckdb() as con:
            return check_result(rule(con, table), may_be_empty=table.may_be_empty)

    return keys_are_unique


keys_are_unique = [_keys_are_unique(table) for table in EVENTS_TABLES + LIVE_TABLES]
