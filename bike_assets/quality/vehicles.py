"""What must hold of a system's vehicles: their events, totals and live minutes tell one story."""

from datetime import date

import duckdb

from bike_assets.model.constants import MAX_GAP
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_VEHICLE_STATUS,
    EVENTS_VEHICLE_TOTALS,
    LIVE_VEHICLES_SYSTEM_MINUTE,
)
from bike_assets.model.warehouse import FACT_VEHICLE_SYSTEM_DAY
from bike_assets.quality.found import DAY, SETTLED, Found, is_over, literal, look, of_dates

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

    Looks at all settled totals, or at those of these UTC dates. `there` is false where a poll has no totals, or totals
    have no poll.
    """
    good = f"""
        SELECT system_id, fetched_at AS observed_at FROM events.polls
        WHERE {of_dates(EVENTS_POLLS, first, last)} AND feed = 'vehicle_status' AND outcome IN ('ok', 'not_modified')
          AND fetched_at < {SETTLED}"""
    totals = f"""
        SELECT system_id, observed_at, date_trunc('hour', observed_at) AS hour, {', '.join(_COUNTS)},
               polls.system_id IS NOT NULL AND totals.system_id IS NOT NULL AS there
        FROM (FROM events.vehicle_totals
              WHERE {of_dates(EVENTS_VEHICLE_TOTALS, first, last)} AND observed_at < {SETTLED}) AS totals
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
    """Each settled minute that the stream made of a system's vehicles is the last of the totals in it, and none is
    missing.
    """
    own = [column.name for column in LIVE_VEHICLES_SYSTEM_MINUTE.columns if column.name not in ("system_id", "minute")]
    settled, dates = f"< date_trunc('minute', {SETTLED})", of_dates(LIVE_VEHICLES_SYSTEM_MINUTE, first, last)
    live = f"live.vehicles_system_minute WHERE {dates} AND minute {settled}"
    wanted = f"""
        SELECT system_id, date_trunc('minute', observed_at) AS minute, {', '.join(own)}
        FROM events.vehicle_totals WHERE {of_dates(EVENTS_VEHICLE_TOTALS, first, last)} AND observed_at {settled}
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


def vehicle_days_equal_events(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """Each local day of a system's vehicles is what the totals and events of these dates and those around them come to.

    Worked out in another way than the table: an id is there from an event to its next, or to the end of its UTC hour,
    and was seen where a good poll lies in that. A date that was not over when it was built is passed over where it
    reaches past `last`.
    """
    around = first - DAY, last + DAY
    days = f"""
        SELECT system_id, local_date, local_date::TIMESTAMP AT TIME ZONE timezone AS start,
               (local_date + 1)::TIMESTAMP AT TIME ZONE timezone AS end
        FROM warehouse.dim_system, (SELECT unnest(range({literal(first)}, {literal(last + DAY)}, INTERVAL 1 DAY))::DATE
                                    AS local_date)"""
    differs = ", ".join(
        f"CASE WHEN abs(fact.{name} - wanted.{name}) > 1e-6 OR (fact.{name} IS NULL) <> (wanted.{name} IS NULL) "
        f"THEN '{name}' END" for name in _OF_A_DAY
    )  # fmt: skip
    fact = f"warehouse.fact_vehicle_system_day WHERE {of_dates(FACT_VEHICLE_SYSTEM_DAY, first, last)}"
    return look(
        con,
        fact,
        f"""
        WITH days AS ({days}),
        polls AS (SELECT *, lead(observed_at) OVER (PARTITION BY system_id ORDER BY observed_at) AS after
                  FROM events.vehicle_totals WHERE {of_dates(EVENTS_VEHICLE_TOTALS, *around)}),
        wanted AS (FROM ({_held()}) LEFT JOIN ({_seen(*around)}) USING (system_id, local_date))
        SELECT * FROM (
            SELECT system_id, local_date, CASE WHEN fact.polls IS NULL THEN 'it is not there'
                   WHEN wanted.polls IS NULL THEN 'no good poll' ELSE concat_ws(', ', {differs}) END AS differs
            FROM (FROM {fact}) AS fact FULL JOIN wanted USING (system_id, local_date)
            LEFT JOIN days USING (system_id, local_date)
            WHERE {is_over('fact.is_complete', 'days.end', last)} IS DISTINCT FROM false)
        WHERE differs <> '' ORDER BY local_date, system_id
        """,
    )


_OF_A_DAY = ("ids_seen", "vehicles_mean", "vehicles_max", "abandoned_max", "idle_hours", "reserved_hours",
             "disabled_hours", "known_hours", "polls")  # fmt: skip


def _held() -> str:
    """What the polls counted, for as long as it held, by day."""
    hours = "greatest(epoch(least(after, days.end)) - epoch(greatest(observed_at, start)), 0) / 3600"
    held = f"CASE WHEN after - observed_at <= to_seconds({MAX_GAP.total_seconds():.0f}) THEN {hours} ELSE 0 END"
    in_day = "FILTER (observed_at >= start)"
    return f"""
        SELECT system_id, local_date, coalesce(sum({held}), 0) AS known_hours,
               sum(vehicles * {held}) / nullif(sum({held}), 0) AS vehicles_mean, max(vehicles) {in_day} AS vehicles_max,
               max(abandoned) {in_day} AS abandoned_max, coalesce(sum(available * {held}), 0) AS idle_hours,
               coalesce(sum(reserved * {held}), 0) AS reserved_hours,
               coalesce(sum(disabled * {held}), 0) AS disabled_hours, count(*) {in_day} AS polls
        FROM polls JOIN days USING (system_id)
        WHERE observed_at < days.end AND coalesce(after > start OR observed_at >= start, observed_at >= start)
        GROUP BY system_id, local_date HAVING count(*) {in_day} > 0"""


def _seen(first: date, last: date) -> str:
    """How many ids the polls of a day listed."""
    return f"""
        SELECT spans.system_id, local_date, count(DISTINCT vehicle_id) AS ids_seen
        FROM (SELECT system_id, vehicle_id, local_date, greatest(begins, start) AS begins, least(ends, days.end) AS ends
              FROM (SELECT system_id, vehicle_id, kind, observed_at AS begins,
                           least(coalesce(lead(observed_at) OVER (
                               PARTITION BY system_id, vehicle_id ORDER BY observed_at), TIMESTAMPTZ 'infinity'),
                               date_trunc('hour', observed_at) + INTERVAL 1 HOUR) AS ends
                    FROM events.vehicle_status WHERE {of_dates(EVENTS_VEHICLE_STATUS, first, last)})
              JOIN days USING (system_id)
              WHERE kind <> 'absent' AND begins < days.end AND ends > start) AS spans
        ASOF JOIN (SELECT system_id, observed_at FROM polls) AS next
             ON spans.system_id = next.system_id AND spans.begins <= next.observed_at
        WHERE next.observed_at < spans.ends
        GROUP BY spans.system_id, local_date"""
