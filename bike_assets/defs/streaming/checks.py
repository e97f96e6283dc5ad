"""What must hold of the tables that the stream fills; the rules stand in `quality/`."""

from typing import TYPE_CHECKING

import dagster as dg

from bike_assets.defs.resources import Lake
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, TABLES

if TYPE_CHECKING:
    from bike_assets.quality.found import Found


def _result(found: "Found") -> dg.AssetCheckResult:
    """Nothing checked is not a pass, and what failed is shown."""
    return dg.AssetCheckResult(
        passed=found.checked > 0 and not found.bad,
        metadata={
            "checked": found.checked,
            "bad": found.bad,
            "first_bad": dg.JsonMetadataValue(found.first_bad),
            "see_all": dg.MetadataValue.md(f"`bike sql \"{found.query}\"`"),
        },
    )


@dg.asset_check(asset=list(EVENTS_POLLS.path))
def rows_are_accounted_for(lake: Lake) -> dg.AssetCheckResult:
    """In every poll, rows in = rows accepted + rows rejected, and each rejected row is kept."""
    from bike_assets.quality.events import rows_are_accounted_for as rule

    return _result(rule(lake.duckdb()))


@dg.asset_check(asset=list(EVENTS_STATION_STATUS.path))
def chain_is_unbroken(lake: Lake) -> dg.AssetCheckResult:
    """Each event's `*_before` is what the station's event before it said."""
    from bike_assets.quality.events import chain_is_unbroken as rule

    return _result(rule(lake.duckdb()))


def _keys_are_unique(table: Table) -> dg.AssetChecksDefinition:
    key = ", ".join(table.grain)

    @dg.asset_check(asset=list(table.path), name="keys_are_unique", description=f"One row of each ({key}).")
    def keys_are_unique(lake: Lake) -> dg.AssetCheckResult:
        from bike_assets.quality.keys import keys_are_unique as rule

        return _result(rule(lake.duckdb(), table))

    return keys_are_unique


keys_are_unique = [_keys_are_unique(table) for table in TABLES]
