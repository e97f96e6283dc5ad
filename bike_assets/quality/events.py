"""What must hold of `events.*`, whatever was restarted, repeated or lost on the way."""

import duckdb

from bike_assets.quality.found import Found, look


def rows_are_accounted_for(con: duckdb.DuckDBPyConnection) -> Found:
    """In every poll rows in = accepted + rejected, and every rejected row stands in `events.rejections`."""
    return look(
        con,
        "events.polls",
        """
        SELECT polls.system_id, polls.feed, polls.fetched_at, rows_in, rows_accepted, rows_rejected,
               coalesce(kept.rows, 0) AS rows_kept
        FROM events.polls
        LEFT JOIN (SELECT system_id, feed, fetched_at, count(*) AS rows
                   FROM events.rejections WHERE row_index >= 0 GROUP BY ALL) AS kept
             USING (system_id, feed, fetched_at)
        WHERE rows_in <> rows_accepted + rows_rejected OR rows_rejected <> coalesce(kept.rows, 0)
        ORDER BY fetched_at
        """,
    )


def chain_is_unbroken(con: duckdb.DuckDBPyConnection) -> Found:
    """Each event's `*_before` is what the station's event before it said; nothing after an absence.

    A station that a good poll no longer showed after more than 24 hours without any was forgotten, and is new
    when it comes back.
    """
    return look(
        con,
        "events.station_status",
        """
        SELECT system_id, station_id, observed_at, kind, bikes_before, docks_before, state_before,
               said.bikes_available AS bikes_said, said.docks_available AS docks_said, said.state AS state_said
        FROM (SELECT *, lag(struct_pack(kind, observed_at, bikes_available, docks_available, state)) OVER (
                     PARTITION BY system_id, station_id ORDER BY observed_at) AS said
              FROM events.station_status)
        WHERE (bikes_before IS DISTINCT FROM said.bikes_available
               OR docks_before IS DISTINCT FROM said.docks_available
               OR state_before IS DISTINCT FROM CASE WHEN said.kind <> 'absent' THEN said.state END)
          AND NOT (kind = 'change' AND state_before IS NULL AND bikes_before IS NULL AND docks_before IS NULL
                   AND coalesce(observed_at - said.observed_at > INTERVAL 24 HOURS, false))
        ORDER BY observed_at
        """,
    )
