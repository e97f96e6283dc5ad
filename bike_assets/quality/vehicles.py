"""What must hold of a system's vehicles: their events, totals and live minutes tell one story."""

from datetime import date

import duckdb

from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_VEHICLE_STATUS,
    EVENTS_VEHICLE_TOTALS,
    LIVE_VEHICLES_SYSTEM_MINUTE,
)
from bike_assets.quality.found import Found, look, of_dates

_COUNTS = {
    "vehicles": "kind <> 'absent'",
    "available": "kind <> 'absent' AND NOT is_reserved AND NOT is_disabled",
    "reserved": "kind <> 'absent' AND is_reserved",
    "disabled": "kind <> 'absent' AND is_disabled",
}
"""What is counted, and which vehicles are."""


def vehicles_are_accounted_for(
    con: duckdb.DuckDBPyConnection, first: date | None = None, last: date | None = None
) -> Found:
    """Each good poll of vehicles has its totals, and the events of its UTC hour up to it make the same counts.

    Looks at all totals, or at those of these UTC dates. `there` is false where a poll has no totals, or totals no poll.
    """
    good = f"""
        SELECT system_id, fetched_at AS observed_at FROM events.polls
        WHERE {of_dates(EVENTS_POLLS, first, last)} AND feed = 'vehicle_status' AND outcome IN ('ok', 'not_modified')"""
    totals = f"""
        SELECT system_id, observed_at, date_trunc('hour', observed_at) AS hour, {', '.join(_COUNTS)},
               polls.system_id IS NOT NULL AND totals.system_id IS NOT NULL AS there
        FROM (FROM events.vehicle_totals WHERE {of_dates(EVENTS_VEHICLE_TOTALS, first, last)}) AS totals
        FULL JOIN ({good}) AS polls USING (system_id, observed_at)"""
    differ = " OR ".join(f"totals.{name} <> coalesce(counted.{name}, 0)" for name in _COUNTS)
    return look(
        con,
        f"({totals})",
        f"""
        SELECT totals.system_id, totals.observed_at, there,
               {', '.join(f'totals.{name}, coalesce(counted.{name}, 0) AS {name}_by_events' for name in _COUNTS)}
        FROM ({totals}) AS totals ASOF LEFT JOIN ({_counted(first, last)}) AS counted
             ON totals.system_id = counted.system_id AND totals.hour = counted.hour
                AND totals.observed_at >= counted.observed_at
        WHERE NOT there OR {differ}
        ORDER BY totals.observed_at, totals.system_id
        """,
    )


def _counted(first: date | None, last: date | None) -> str:
    """The counts after each instant with events, made of the events of its UTC hour alone: an hour begins with a row
    of every vehicle, so that what comes after it only adds and takes away.
    """
    before = "OVER (PARTITION BY system_id, vehicle_id, hour ORDER BY observed_at)"
    steps = ", ".join(f"({what})::INT - coalesce(lag(({what})::INT) {before}, 0) AS {name}"
                      for name, what in _COUNTS.items())  # fmt: skip
    return f"""
        SELECT system_id, hour, observed_at,
               {', '.join(f'sum(sum({name})) OVER (PARTITION BY system_id, hour ORDER BY observed_at) AS {name}'
                          for name in _COUNTS)}
        FROM (SELECT system_id, hour, observed_at, {steps}
              FROM (SELECT *, date_trunc('hour', observed_at) AS hour FROM events.vehicle_status
                    WHERE {of_dates(EVENTS_VEHICLE_STATUS, first, last)}))
        GROUP BY system_id, hour, observed_at"""


def vehicle_minutes_equal_totals(
    con: duckdb.DuckDBPyConnection, first: date | None = None, last: date | None = None
) -> Found:
    """Each minute that the stream made of a system's vehicles is the last of the totals in it, and none is missing."""
    own = [column.name for column in LIVE_VEHICLES_SYSTEM_MINUTE.columns if column.name not in ("system_id", "minute")]
    live = f"live.vehicles_system_minute WHERE {of_dates(LIVE_VEHICLES_SYSTEM_MINUTE, first, last)}"
    wanted = f"""
        SELECT system_id, date_trunc('minute', observed_at) AS minute, {', '.join(own)}
        FROM events.vehicle_totals WHERE {of_dates(EVENTS_VEHICLE_TOTALS, first, last)}
        QUALIFY row_number() OVER (
            PARTITION BY system_id, date_trunc('minute', observed_at) ORDER BY observed_at DESC) = 1"""
    differs = ", ".join(f"CASE WHEN live.{name} IS DISTINCT FROM wanted.{name} THEN '{name}' END" for name in own)
    return look(
        con,
        live,
        f"""
        SELECT * FROM (
            SELECT system_id, minute, CASE WHEN live.vehicles IS NULL THEN 'it is not there'
                   WHEN wanted.vehicles IS NULL THEN 'no good poll' ELSE concat_ws(', ', {differs}) END AS differs
            FROM (FROM {live}) AS live FULL JOIN ({wanted}) AS wanted USING (system_id, minute))
        WHERE differs <> '' ORDER BY minute, system_id
        """,
    )
