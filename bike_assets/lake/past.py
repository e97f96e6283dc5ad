"""What a poller remembered of a system at an instant, read back from the events that were committed before it.

The newest state stands in Kafka's compacted topics, and no older one does. But each hour's first good poll writes an
event of every station that is remembered, a keyframe, a change or an absence, so the events since then tell which
stations these are, and all before them what they said last. So it is with vehicles, of which those are remembered that
the last good poll listed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import duckdb
import msgspec
import pyarrow as pa
from msgspec import Struct

from bike_assets.model.constants import MAX_GAP
from bike_assets.model.messages import (
    GOOD,
    StationInformation,
    StationState,
    SystemInformation,
    SystemState,
    VehicleFeedState,
    VehicleState,
)
from bike_assets.model.past import Past
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_FEED_FIELDS,
    EVENTS_POLLS,
    EVENTS_STATION_INFORMATION,
    EVENTS_STATION_STATUS,
    EVENTS_SYSTEM_INFORMATION,
    EVENTS_VEHICLE_STATUS,
)

TABLES = (EVENTS_STATION_STATUS, EVENTS_STATION_INFORMATION, EVENTS_SYSTEM_INFORMATION, EVENTS_POLLS,
          EVENTS_FEED_FIELDS, EVENTS_VEHICLE_STATUS)
"""What is looked at."""

_GOOD = ", ".join(f"'{outcome.value}'" for outcome in sorted(GOOD))
_READING = ("bikes_available", "ebikes_available", "docks_available", "bikes_disabled", "docks_disabled",
            "is_installed", "is_renting", "is_returning", "state", "state_since", "reported_at")  # fmt: skip

M = TypeVar("M", bound=Struct)
Cuts = Mapping[str, datetime]
"""For each system the instant before which its history is looked at."""


def past(con: duckdb.DuckDBPyConnection, cuts: Cuts) -> Past:
    """What was remembered of these systems just before their cuts.

    Which vehicle types are electric, how far they go, and whether the feed is one with all contracts, stands in no
    table: a system's states are given without them.
    """
    cut = pa.table({"system_id": list(cuts), "at": pa.array(cuts.values(), pa.timestamp("us", "UTC"))})
    con.register("cuts", cut)
    try:
        con.execute(_POLLS_BEFORE)
        return Past(
            _messages(con, SystemState, _SYSTEMS),
            _messages(con, StationState, _STATIONS),
            _messages(con, StationInformation, _last_before(EVENTS_STATION_INFORMATION, StationInformation)),
            _messages(con, SystemInformation, _last_before(EVENTS_SYSTEM_INFORMATION, SystemInformation)),
            _messages(con, VehicleFeedState, _VEHICLE_FEEDS),
            _messages(con, VehicleState, _VEHICLES),
        )
    finally:
        con.execute("DROP TABLE IF EXISTS polls_before")
        con.unregister("cuts")


_POLLS_BEFORE = f"""
    CREATE OR REPLACE TEMP TABLE polls_before AS
    SELECT polls.system_id, feed, outcome, fetched_at, feed_updated_at,
           outcome IN ({_GOOD}) AS is_good
    FROM {EVENTS_POLLS.name} AS polls JOIN cuts USING (system_id)
    WHERE fetched_at < cuts.at AND utc_date <= cuts.at::DATE AND outcome <> 'out_of_order'"""



def _clock(feed: str) -> str:
    """The queries `good` and `times` of a feed: its last good poll, and what its bodies said of their own time.

    A time that lies in the future counts as not given; it is followed in bodies only, not in a 304.
    """
    return f"""
    good AS (
        SELECT system_id, max(fetched_at) AS last_good_poll_at FROM polls_before
        WHERE feed = '{feed}' AND is_good GROUP BY ALL),
    bodies AS (
        SELECT system_id, fetched_at,
               CASE WHEN feed_updated_at - fetched_at <= INTERVAL '{MAX_GAP.total_seconds():.0f} seconds'
                    THEN feed_updated_at END AS updated_at
        FROM polls_before WHERE feed = '{feed}' AND outcome = 'ok'),
    moves AS (
        SELECT *, updated_at > lag(updated_at) OVER (PARTITION BY system_id ORDER BY fetched_at) AS has_moved
        FROM bodies),
    times AS (
        SELECT system_id, arg_max(struct_pack(updated_at), fetched_at).updated_at AS feed_updated_at,
               bool_or(coalesce(has_moved, false)) AS feed_has_advanced
        FROM moves GROUP BY ALL)"""


def _hours(feed: str) -> str:
    """The query `hours`: when the hour of the feed's last good poll was opened by a good one."""
    return f"""
    good AS (
        SELECT system_id, fetched_at FROM polls_before WHERE feed = '{feed}' AND is_good),
    hours AS (
        SELECT system_id, min(fetched_at) AS opened_at FROM good
        JOIN (SELECT system_id, max(fetched_at) AS last FROM good GROUP BY ALL) USING (system_id)
        WHERE date_trunc('hour', fetched_at) = date_trunc('hour', last) GROUP BY ALL)"""


_SYSTEMS = f"""
    WITH feeds AS (
        SELECT system_id, feed, max(fetched_at) AS last FROM polls_before GROUP BY ALL),
    seen AS (
        SELECT system_id, map(list(feed), list(last)) AS observed_at FROM feeds GROUP BY ALL),
    {_clock("station_status")},
    shapes AS (
        SELECT system_id, feed, max(fetched_at) AS last FROM {EVENTS_FEED_FIELDS.name} JOIN cuts USING (system_id)
        WHERE fetched_at < cuts.at AND utc_date <= cuts.at::DATE GROUP BY ALL),
    shaped AS (
        SELECT system_id, map(list(feed), list(last)) AS shaped_at FROM shapes GROUP BY ALL)
    SELECT system_id, observed_at, last_good_poll_at, feed_updated_at,
           coalesce(feed_has_advanced, false) AS feed_has_advanced, NULL AS electric_types, false AS is_shared_feed,
           coalesce(shaped_at, MAP {{}}) AS shaped_at
    FROM seen LEFT JOIN good USING (system_id) LEFT JOIN times USING (system_id)
    LEFT JOIN shaped USING (system_id)"""

# `reported_at` is that of the last change: a keyframe has a newer one, which nobody remembers.
_STATIONS = f"""
    WITH {_hours("station_status")},
    own AS (
        SELECT events.*, cuts.at FROM {EVENTS_STATION_STATUS.name} AS events JOIN cuts USING (system_id)
        WHERE observed_at < cuts.at AND utc_date <= cuts.at::DATE),
    known AS (
        SELECT system_id, station_id,
               CASE WHEN arg_max(kind, observed_at) = 'absent' THEN arg_max(state_since, observed_at) END
                    AS absent_since
        FROM own JOIN hours USING (system_id) WHERE observed_at >= opened_at GROUP BY ALL),
    said AS (
        SELECT system_id, station_id,
               coalesce(arg_max(struct_pack(observed_at, {', '.join(_READING)}), observed_at)
                            FILTER (kind = 'change'),
                        arg_max(struct_pack(observed_at, {', '.join(_READING)}), observed_at)) AS last
        FROM own SEMI JOIN known USING (system_id, station_id) WHERE kind <> 'absent' GROUP BY ALL)
    SELECT known.system_id, station_id, coalesce(absent_since, last.observed_at) AS changed_at,
           {', '.join(f'last.{name}' for name in _READING)}, absent_since, good.fetched_at AS last_seen_at
    FROM known JOIN said USING (system_id, station_id)
    ASOF LEFT JOIN good ON known.system_id = good.system_id AND absent_since > good.fetched_at"""


_VEHICLE_FEEDS = f"""
    WITH {_clock("vehicle_status")}
    SELECT DISTINCT polls_before.system_id, last_good_poll_at, times.feed_updated_at,
           coalesce(feed_has_advanced, false) AS feed_has_advanced, MAP {{}} AS ranges_m
    FROM polls_before LEFT JOIN good USING (system_id) LEFT JOIN times USING (system_id)
    WHERE last_good_poll_at IS NOT NULL OR feed = 'vehicle_types' AND is_good"""

_VEHICLES = f"""
    WITH {_hours("vehicle_status")},
    own AS (
        SELECT events.* FROM {EVENTS_VEHICLE_STATUS.name} AS events JOIN cuts USING (system_id)
        JOIN hours USING (system_id)
        WHERE observed_at < cuts.at AND utc_date <= cuts.at::DATE AND observed_at >= opened_at
        QUALIFY row_number() OVER (PARTITION BY system_id, vehicle_id ORDER BY observed_at DESC) = 1)
    SELECT {', '.join('observed_at AS changed_at' if name == 'changed_at' else name
                      for name in VehicleState.__struct_fields__)}
    FROM own WHERE kind <> 'absent'"""


def _last_before(table: Table, message: type[Struct]) -> str:
    """The newest row of each key before its system's cut."""
    return f"""
        SELECT {', '.join(message.__struct_fields__)} FROM {table.name} JOIN cuts USING (system_id)
        WHERE observed_at < cuts.at AND utc_date <= cuts.at::DATE
        QUALIFY row_number() OVER (PARTITION BY {', '.join(table.grain[:-1])} ORDER BY observed_at DESC) = 1"""


def _messages(con: duckdb.DuckDBPyConnection, message: type[M], query: str) -> list[M]:
    found = con.execute(query)
    names = [column[0] for column in found.description or []]
    return [msgspec.convert(dict(zip(names, map(_in_utc, row), strict=True)), message) for row in found.fetchall()]


def _in_utc(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_utc(each) for key, each in value.items()}
    return value.astimezone(UTC) if isinstance(value, datetime) else value
