"""How it is now: views of the events that `bike sql` has, which nobody fills and every question makes anew."""

import dagster as dg

from bike_assets.defs.columns import made_of, table_spec
from bike_assets.defs.links import links
from bike_assets.defs.streaming.assets import GROUP
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_STATION_STATUS,
    EVENTS_VEHICLE_STATUS,
    LIVE_STATION_STATUS,
    LIVE_VEHICLE_STATUS,
)


def _view(view: Table, events: Table) -> dg.AssetSpec:
    """The dictionary tells of a view where it tells of its events."""
    spec = table_spec(view, GROUP, made_of(view)).replace_attributes(kinds={"duckdb"}, skippable=False)
    return spec.merge_attributes(metadata=links(events))


views = [_view(LIVE_STATION_STATUS, EVENTS_STATION_STATUS), _view(LIVE_VEHICLE_STATUS, EVENTS_VEHICLE_STATUS)]
