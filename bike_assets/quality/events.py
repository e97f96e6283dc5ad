"""What must hold of `events.*`, whatever was restarted, repeated or lost on the way."""

from datetime import date

import duckdb

from bike_assets.model.tables import EVENTS_POLLS, EVENTS_REJECTIONS, EVENTS_STATION_STATUS
from bike_assets.quality.found import DAY, SETTLED, Found, between, literal, look, of_dates

_SAID = "struct_pack(kind, observed_at, bikes_available, docks_available, state)"
_TELLS_NOTHING = "bikes_before IS NULL AND docks_before IS NULL AND state_before IS NULL"


def rows_are_accounted_for(
    con: duckdb.DuckDBPyConnection, first: date | None = None, last: date | None = None
) -> Found:
    """In every poll rows in = accepted + rejected, and every rejected row stands in `events.rejections`.

    Looks at all polls, or at those of these UTC dates. A batch's rows come into the tables one by one: those rejected
    may still be on their way for some minutes.
    """
    polls = f"events.polls WHERE {of_dates(EVENTS_POLLS, first, last)}"
    return look(
        con,
        polls,
        f"""
        SELECT polls.system_id, polls.feed, polls.fetched_at, rows_in, rows_accepted, rows_rejected,
               coalesce(kept.rows, 0) AS rows_kept
        FROM (FROM {polls}) AS polls
        LEFT JOIN (SELECT system_id, feed, fetched_at, count(*) AS rows
                   FROM events.rejections
                   WHERE row_index >= 0 AND {of_dates(EVENTS_REJECTIONS, first, last)} GROUP BY ALL) AS kept
             USING (system_id, feed, fetched_at)
        WHERE rows_in <> rows_accepted + rows_rejected
           OR rows_rejected <> coalesce(kept.rows, 0) AND fetched_at < {SETTLED}
        ORDER BY fetched_at
        """,
    )


def chain_is_unbroken(con: duckdb.DuckDBPyConnection, first: date | None = None, last: date | None = None) -> Found:
    """Each event's `*_before` is what the station's event before it said; nothing after an absence.

    A station that a good poll no longer showed after more than 24 hours without any was forgotten, and is new
    when it comes back.

    Looks at all events, or at those of these UTC dates. The event before the first of them is mostly one of the day
    before; only for a station that tells of a reading and has no event in that day, as after a hole of more than a
    day, all earlier events are read.
    """
    return look(
        con,
        f"events.station_status WHERE {of_dates(EVENTS_STATION_STATUS, first, last)}",
        f"""
        SELECT system_id, station_id, observed_at, kind, bikes_before, docks_before, state_before,
               said.bikes_available AS bikes_said, said.docks_available AS docks_said, said.state AS state_said
        FROM ({_with_said() if first is None or last is None else _with_said_of_dates(first, last)})
        WHERE (bikes_before IS DISTINCT FROM said.bikes_available
               OR docks_before IS DISTINCT FROM said.docks_available
               OR state_before IS DISTINCT FROM CASE WHEN said.kind <> 'absent' THEN said.state END)
          AND NOT (kind = 'change' AND {_TELLS_NOTHING}
                   AND coalesce(observed_at - said.observed_at > INTERVAL 24 HOURS, false))
        ORDER BY observed_at
        """,
    )


def _with_said(rows: str = "true") -> str:
    """Events with what the station's event before them `said`, null for the first of these rows."""
    return f"""
        SELECT *, lag({_SAID}) OVER (PARTITION BY system_id, station_id ORDER BY observed_at) AS said
        FROM events.station_status WHERE {rows}"""


def _with_said_of_dates(first: date, last: date) -> str:
    """The same of these dates alone, with what was said before them.

    A change that tells of nothing needs no looking up: an event before it is more than 24 hours older.
    """
    utc_date = EVENTS_STATION_STATUS.column("utc_date")
    last_said = f"SELECT system_id, station_id, arg_max({_SAID}, observed_at) AS said FROM events.station_status"
    return f"""
        WITH own AS ({_with_said(between(utc_date, first, last))}),
        day_before AS ({last_said} WHERE {between(utc_date, first - DAY, first - DAY)} GROUP BY ALL),
        unsaid AS (
            SELECT system_id, station_id FROM own ANTI JOIN day_before USING (system_id, station_id)
            WHERE said IS NULL AND NOT (kind = 'change' AND {_TELLS_NOTHING})),
        earlier AS (
            {last_said} WHERE utc_date < {literal(first - DAY)}
            AND (system_id, station_id) IN (SELECT (system_id, station_id) FROM unsaid) GROUP BY ALL)
        SELECT own.* REPLACE (coalesce(own.said, day_before.said, earlier.said) AS said)
        FROM own LEFT JOIN day_before USING (system_id, station_id) LEFT JOIN earlier USING (system_id, station_id)"""
