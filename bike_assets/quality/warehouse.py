"""What must hold of `warehouse.*`, and what of it is worth a look.

A rule looks at the rows of the dates `first` to `last`, both included: UTC dates where its table is one of hours, local
dates where it is one of days.
"""

from collections.abc import Mapping
from datetime import date

import duckdb

from bike_assets.model.constants import (
    EVENTS_GO,
    HOLE_SHARE,
    MAX_GAP,
    STILL_ASKED,
    UNUSUAL_TIMES,
    USUAL_WEEKS,
    USUAL_WEEKS_KNOWN,
)
from bike_assets.model.messages import Outcome
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, LIVE_SYSTEM_MINUTE
from bike_assets.model.warehouse import (
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    SYSTEM_SERVICE_DAY,
)
from bike_assets.quality.found import DAY, Found, between, is_over, literal, look, of_dates

_SLACK = 0.01
"""How far two sums of seconds may be apart."""

_LEAST_HOURS = 23
"""Of the shortest day."""

_SECONDS = ("seconds_empty", "seconds_full", "seconds_available", "seconds_closed", "seconds_unknown")
_POLLS = ("polls", *(f"polls_{each.value}" for each in Outcome))
_SUMS = ("departures", "arrivals", "bulk_out", "bulk_in", *_SECONDS, "times_empty", "times_full", "polls")
_SUM_UP = ", ".join(f"sum({name}) AS {name}" for name in _SUMS)

_IS_OVER = """local_date < (now() AT TIME ZONE coalesce((SELECT max(timezone) FROM
    (SELECT system_id AS named, timezone FROM warehouse.dim_system) WHERE named = system_id), 'UTC'))::DATE"""
"""Not the system's today, whose hours to come are in the table as unknown."""


def hours_add_up(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """Empty, full, available, closed and unknown are 3,600 s in every station-hour, and none of them is negative."""
    hours = f"warehouse.fact_station_hour WHERE {of_dates(FACT_STATION_HOUR, first, last)}"
    holds = " AND ".join([f"abs({' + '.join(_SECONDS)} - 3600) <= {_SLACK}", *(f"{name} >= 0" for name in _SECONDS)])
    return look(
        con,
        hours,
        f"""
        SELECT system_id, station_id, hour_start, {', '.join(_SECONDS)}
        FROM {hours} AND NOT coalesce({holds}, false)
        ORDER BY hour_start, system_id, station_id
        """,
    )


def local_dates_fit_zone(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """Each station-hour has the date and the hour that its start has in its system's time zone of now.

    The hours of the days before and after are looked at too, for some of them make up the local dates of these days;
    but not those that retention leaves as they were, whose events, or those around, are gone or go in a moment.
    """
    own = of_dates(FACT_STATION_HOUR, first, last)
    around = f"""{between(FACT_STATION_HOUR.column("utc_date"), first - DAY, last + DAY)}
          AND utc_date >= (SELECT min(utc_date) FROM events.polls) + {EVENTS_GO.days}"""
    hours = f"""
        SELECT DISTINCT system_id, hour_start, local_date, local_hour
        FROM warehouse.fact_station_hour WHERE {own} OR {around}"""
    return look(
        con,
        f"warehouse.fact_station_hour WHERE {own}",
        f"""
        SELECT system_id, hour_start, local_date, local_hour, timezone, local_start
        FROM (SELECT *, hour_start AT TIME ZONE timezone AS local_start
              FROM ({hours}) LEFT JOIN warehouse.dim_system USING (system_id))
        WHERE local_date IS DISTINCT FROM local_start::DATE OR local_hour IS DISTINCT FROM hour(local_start)
        ORDER BY hour_start, system_id
        """,
    )


def days_add_up(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """A station's complete day is the sum of its hours; one with the hours of a day has a row."""
    utc_date, local_date = (FACT_STATION_HOUR.column(name) for name in ("utc_date", "local_date"))
    hours = f"""
        SELECT system_id, station_id, local_date, {_SUM_UP}, count(*) >= {_LEAST_HOURS} AS is_whole
        FROM warehouse.fact_station_hour
        WHERE {between(utc_date, first - DAY, last + DAY)} AND {between(local_date, first, last)}
        GROUP BY ALL"""
    return _add_up(con, FACT_STATION_DAY, hours, first, last)


def system_days_add_up(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """A system's complete day is the sum of its stations' days; one with a complete station has a row."""
    stations = f"""
        SELECT system_id, local_date, {_SUM_UP}, count(*) AS stations, bool_or(is_complete) AS is_whole
        FROM warehouse.fact_station_day
        WHERE {of_dates(FACT_STATION_DAY, first, last)}
        GROUP BY ALL"""
    return _add_up(con, FACT_SYSTEM_DAY, stations, first, last)


def _add_up(con: duckdb.DuckDBPyConnection, table: Table, parts: str, first: date, last: date) -> Found:
    """Whether each complete day of the table is what `parts` make of it.

    `parts` is a query with the same key, and with `is_whole`: whether there must be a day. `differs` names what is not
    the same: what the table says, and what its parts say.
    """
    days, keys = f"{table.name} WHERE {of_dates(table, first, last)}", ", ".join(table.grain)
    sums = [*_SUMS, *(["stations"] if table is FACT_SYSTEM_DAY else [])]
    differs = ", ".join(
        f"CASE WHEN (days.{name} IS NULL) <> (parts.{name} IS NULL) OR abs(days.{name} - parts.{name}) > {_SLACK} "
        f"THEN concat_ws(' ', '{name}', coalesce(days.{name}::VARCHAR, 'null'), 'of', "
        f"coalesce(parts.{name}::VARCHAR, 'null')) END"
        for name in sums
    )
    return look(
        con,
        days,
        f"""
        SELECT * FROM (
            SELECT {keys}, CASE WHEN is_complete IS NULL THEN 'it is not there' ELSE concat_ws(', ', {differs}) END
                   AS differs
            FROM (FROM {days}) AS days FULL JOIN ({parts}) AS parts USING ({keys})
            WHERE coalesce(is_complete, is_whole))
        WHERE differs <> '' ORDER BY ALL
        """,
    )


def every_fact_has_its_dimension(con: duckdb.DuckDBPyConnection, table: Table, first: date, last: date) -> Found:
    """The fact's system, its dates and its station's description stand in their dimensions.

    The description is of that very station, and held when the hour began.
    """
    facts, dates = f"{table.name} WHERE {of_dates(table, first, last)}", _dates(table)
    joins = [f"LEFT JOIN warehouse.dim_date AS of_{name} ON of_{name}.date = facts.{name}" for name in dates]
    wrong = ["CASE WHEN systems.system_id IS NULL THEN 'no system' END",
             *(f"CASE WHEN of_{name}.date IS NULL THEN 'no {name}' END" for name in dates)]  # fmt: skip
    if any(column.name == "station_key" for column in table.columns):
        joins.append("LEFT JOIN warehouse.dim_station AS stations ON stations.station_key = facts.station_key")
        wrong.append(_wrong_station(table))
    keys = ", ".join(f"facts.{name}" for name in table.grain)
    return look(
        con,
        facts,
        f"""
        SELECT * FROM (
            SELECT {keys}, concat_ws(', ', {', '.join(wrong)}) AS wrong
            FROM (FROM {facts}) AS facts
            LEFT JOIN warehouse.dim_system AS systems ON systems.system_id = facts.system_id
            {' '.join(joins)})
        WHERE wrong <> '' ORDER BY ALL
        """,
    )


def _dates(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.type == "date"]


def _wrong_station(table: Table) -> str:
    held = "stations.valid_from <= hour_start AND coalesce(hour_start < stations.valid_to, true)"
    when = f"WHEN NOT ({held}) THEN 'a description that did not hold' " if "hour_start" in table.grain else ""
    same = "stations.system_id = facts.system_id AND stations.station_id = facts.station_id"
    return (
        "CASE WHEN stations.station_key IS NULL THEN 'no station' "
        f"WHEN NOT ({same}) THEN 'another station' {when}END"
    )


def _good_hours(first: date, last: date) -> str:
    """The UTC hours in which a system has good polls: how many, and what these tell of its stations."""
    return f"""
        SELECT system_id, date_trunc('hour', fetched_at) AS hour_start, count(*) AS good_polls,
               max(stations) AS stations_told, sum(stations) AS readings_told
        FROM events.polls
        WHERE {of_dates(EVENTS_POLLS, first, last)}
          AND feed = 'station_status' AND outcome IN ('ok', 'not_modified')
        GROUP BY ALL"""


def polls_match_station_hours(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """What the good polls of an hour showed, its station-hours count: no station more, none less.

    Together they count as many readings as the polls had stations; as many stations were seen as one poll showed, or
    more; and none was seen in more polls than there were.
    """
    hours = f"""
        SELECT system_id, hour_start, coalesce(good_polls, 0) AS good_polls, coalesce(polls_most, 0) AS polls_most,
               coalesce(stations_told, 0) AS stations_told, coalesce(stations_seen, 0) AS stations_seen,
               coalesce(readings_told, 0) AS readings_told, coalesce(readings_seen, 0) AS readings_seen
        FROM ({_good_hours(first, last)})
        FULL JOIN (SELECT system_id, hour_start, max(polls) AS polls_most, count_if(polls > 0) AS stations_seen,
                          sum(polls) AS readings_seen
                   FROM warehouse.fact_station_hour
                   WHERE {of_dates(FACT_STATION_HOUR, first, last)} GROUP BY ALL)
             USING (system_id, hour_start)"""
    return look(
        con,
        f"({hours})",
        f"""
        SELECT * FROM ({hours})
        WHERE polls_most > good_polls OR stations_told > stations_seen OR readings_told <> readings_seen
        ORDER BY hour_start, system_id
        """,
    )


def levels_fit_capacity(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """Stations with more bikes, or bikes and docks together, than they have places, over these UTC dates.

    GBFS allows it (a basket of bikes beside the docks), and many capacities are out of date: worth a look, no more. A
    station without a capacity is not looked at.
    """
    levels = f"""
        SELECT hours.system_id, hours.station_id, stations.name, stations.capacity,
               max(bikes_max) AS bikes_max, max(bikes_mean + docks_mean) AS bikes_and_docks
        FROM warehouse.fact_station_hour AS hours JOIN warehouse.dim_station AS stations USING (station_key)
        WHERE {of_dates(FACT_STATION_HOUR, first, last)} AND stations.capacity IS NOT NULL
        GROUP BY ALL"""
    return look(
        con,
        f"({levels})",
        f"""
        SELECT * FROM ({levels})
        WHERE bikes_max > capacity OR bikes_and_docks > capacity + {_SLACK}
        ORDER BY greatest(bikes_max, bikes_and_docks) - capacity DESC, system_id, station_id
        """,
    )


def stream_equals_batch(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """A system's departures and arrivals of a UTC hour are the same by the stream's minutes and the batch's hours.

    Where a good poll showed stations, both have them; without a good poll the stream has nothing.
    """
    flows = "sum(departures) AS departures, sum(arrivals) AS arrivals"
    hours = f"""
        SELECT system_id, hour_start, coalesce(good_polls, 0) AS good_polls,
               coalesce(stations_told, 0) AS stations_told,
               stream.departures AS departures_stream, batch.departures AS departures_batch,
               stream.arrivals AS arrivals_stream, batch.arrivals AS arrivals_batch
        FROM ({_good_hours(first, last)})
        FULL JOIN (SELECT system_id, date_trunc('hour', minute) AS hour_start, {flows}
                   FROM live.system_minute
                   WHERE {of_dates(LIVE_SYSTEM_MINUTE, first, last)} GROUP BY ALL) AS stream
             USING (system_id, hour_start)
        FULL JOIN (SELECT system_id, hour_start, {flows}
                   FROM warehouse.fact_station_hour
                   WHERE {of_dates(FACT_STATION_HOUR, first, last)} GROUP BY ALL) AS batch
             USING (system_id, hour_start)"""
    return look(
        con,
        f"({hours})",
        f"""
        SELECT * FROM ({hours})
        WHERE coalesce(departures_stream, 0) <> coalesce(departures_batch, 0)
           OR coalesce(arrivals_stream, 0) <> coalesce(arrivals_batch, 0)
           OR (good_polls > 0) <> (departures_stream IS NOT NULL)
           OR (stations_told > 0 AND departures_batch IS NULL)
        ORDER BY hour_start, system_id
        """,
    )


def minutes_equal_events(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """Each minute that the stream made of a system is what the events and polls of these UTC dates make of it.

    Levels are those of the minute's last good poll, flows the sum of its changes between open readings; `differs`
    names the columns that are not the same.
    """
    levels = ("stations", "empty", "full", "closed", "bikes_available", "docks_available", "ebikes_available")
    is_open = "IN ('empty', 'full', 'available')"
    step = f"CASE WHEN state {is_open} AND state_before {is_open} THEN bikes_available - bikes_before ELSE 0 END"
    minutes = f"""
        SELECT system_id, minute, {', '.join(f'at_last.{name}' for name in levels)},
               at_last.bikes_with_docks / nullif(at_last.bikes_with_docks + at_last.docks_available, 0) AS saturation,
               coalesce(departures, 0) AS departures, coalesce(arrivals, 0) AS arrivals
        FROM (SELECT system_id, date_trunc('minute', fetched_at) AS minute, arg_max(polls, fetched_at) AS at_last
              FROM events.polls AS polls
              WHERE {of_dates(EVENTS_POLLS, first, last)}
                AND feed = 'station_status' AND outcome IN ('ok', 'not_modified') GROUP BY ALL)
        LEFT JOIN (SELECT system_id, date_trunc('minute', observed_at) AS minute,
                          sum(greatest(-({step}), 0)) AS departures, sum(greatest({step}, 0)) AS arrivals
                   FROM events.station_status
                   WHERE {of_dates(EVENTS_STATION_STATUS, first, last)} GROUP BY ALL) USING (system_id, minute)"""
    live = f"live.system_minute WHERE {of_dates(LIVE_SYSTEM_MINUTE, first, last)}"
    differs = ", ".join(
        f"CASE WHEN abs(live.{name} - wanted.{name}) > 1e-9 OR (live.{name} IS NULL) <> (wanted.{name} IS NULL) "
        f"THEN '{name}' END"
        for name in (*levels, "saturation", "departures", "arrivals")
    )
    return look(
        con,
        live,
        f"""
        SELECT * FROM (
            SELECT system_id, minute, CASE WHEN live.stations IS NULL THEN 'it is not there'
                   WHEN wanted.stations IS NULL THEN 'no good poll' ELSE concat_ws(', ', {differs}) END AS differs
            FROM (FROM {live}) AS live FULL JOIN ({minutes}) AS wanted USING (system_id, minute))
        WHERE differs <> '' ORDER BY minute, system_id
        """,
    )


def looks_like_last_weeks(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """Days on which a system has far fewer or far more departures and arrivals than on the weekday in weeks before.

    Today and a day that is not complete are not looked at, nor one of a system that has too few complete days to tell;
    one that is not there at all, of a system that has them, has none.
    """
    weeks = [7 * week for week in range(1, USUAL_WEEKS + 1)]
    before = between(FACT_SYSTEM_DAY.column("local_date"), first - weeks[-1] * DAY, last - weeks[0] * DAY)
    days = f"""
        SELECT system_id, local_date, coalesce(days.flows, 0) AS flows, usual, weeks
        FROM (SELECT system_id, later AS local_date, avg(flows) AS usual, count(*) AS weeks
              FROM (SELECT system_id, departures + arrivals AS flows, local_date + unnest({weeks}) AS later
                    FROM warehouse.fact_system_day WHERE {before} AND is_complete)
              GROUP BY ALL HAVING count(*) >= {USUAL_WEEKS_KNOWN})
        LEFT JOIN (SELECT system_id, local_date, departures + arrivals AS flows, is_complete
                   FROM warehouse.fact_system_day WHERE {of_dates(FACT_SYSTEM_DAY, first, last)}) AS days
             USING (system_id, local_date)
        WHERE {between(FACT_SYSTEM_DAY.column("local_date"), first, last)} AND {_IS_OVER}
          AND is_complete IS DISTINCT FROM false"""
    return look(
        con,
        f"({days})",
        f"""
        SELECT * REPLACE (round(usual, 1) AS usual) FROM ({days}) AS days
        WHERE flows * {UNUSUAL_TIMES} < days.usual OR flows > days.usual * {UNUSUAL_TIMES}
        ORDER BY local_date, system_id
        """,
    )


def hole_in_the_day(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """Days that are over, and of which much is unknown: so many `hours_unknown` of a station in the mean, such a
    `share_unknown` of all.

    What is still to come of today is unknown too, and no hole. A day of which nothing at all is known, a day and
    more after the last poll, has no row and is not found here.
    """
    days = f"warehouse.fact_system_day WHERE {of_dates(FACT_SYSTEM_DAY, first, last)} AND {_IS_OVER}"
    return look(
        con,
        days,
        f"""
        SELECT system_id, local_date, stations, round(seconds_unknown / 3600 / stations, 1) AS hours_unknown,
               round(seconds_unknown / ({' + '.join(_SECONDS)}), 3) AS share_unknown
        FROM {days} AND seconds_unknown > {HOLE_SHARE} * ({' + '.join(_SECONDS)})
        ORDER BY share_unknown DESC, local_date, system_id
        """,
    )


def service_days_equal_polls(con: duckdb.DuckDBPyConnection, first: date, last: date) -> Found:
    """A system's day is what the fetches of `station_status` come to; where some make a day, it is there.

    `differs` names the columns that are not the same. A date that was not over when it was built is passed over where
    it reaches past `last`.
    """
    counts = ", ".join(f"count_if(outcome = '{each.value}') AS polls_{each.value}" for each in Outcome)
    # A week that ends or begins in a UTC date has one of its fetches if it has its first or its last.
    utc_date = EVENTS_POLLS.column("utc_date")
    near, before = between(utc_date, first - DAY, last + DAY), between(utc_date, first - STILL_ASKED - DAY, last + DAY)
    days = f"""
        WITH fetches AS (
            SELECT system_id, fetched_at, outcome, outcome IN ('ok', 'not_modified') AS is_good
            FROM events.polls WHERE {near} AND feed = 'station_status'),
        local_days AS (
            SELECT system_id, day::DATE AS local_date, day AT TIME ZONE timezone AS begins,
                   (day + INTERVAL 1 DAY) AT TIME ZONE timezone AS ends
            FROM warehouse.dim_system,
                 generate_series({literal(first)}, {literal(last)}, INTERVAL 1 DAY) AS dates(day)),
        intervals AS (
            SELECT system_id, fetched_at AS opens,
                   lead(fetched_at) OVER (PARTITION BY system_id ORDER BY fetched_at) AS closes
            FROM fetches WHERE is_good),
        edges AS (
            SELECT system_id, opens, closes, epoch(closes - opens) <= {MAX_GAP.total_seconds()} AS is_known
            FROM intervals WHERE closes IS NOT NULL),
        shares AS (
            SELECT system_id, local_date,
                   sum(epoch(least(closes, ends) - greatest(opens, begins))) FILTER (is_known) AS good_s
            FROM edges JOIN local_days USING (system_id) WHERE opens < ends AND closes > begins GROUP BY ALL),
        marks AS (
            SELECT system_id, local_date, begins AS mark FROM local_days UNION ALL
            SELECT system_id, local_date, ends FROM local_days UNION ALL
            SELECT system_id, local_date, fetched_at FROM fetches JOIN local_days USING (system_id)
            WHERE is_good AND fetched_at >= begins AND fetched_at < ends),
        gaps AS (
            SELECT system_id, local_date, max(epoch(gap)) AS longest_gap_s
            FROM (SELECT system_id, local_date,
                         mark - lag(mark) OVER (PARTITION BY system_id, local_date ORDER BY mark) AS gap FROM marks)
            GROUP BY ALL),
        counted AS (
            SELECT system_id, local_date, count(*) AS polls, {counts}
            FROM fetches JOIN local_days USING (system_id) WHERE fetched_at >= begins AND fetched_at < ends
            GROUP BY ALL),
        ends_of_dates AS (
            SELECT system_id, unnest([min(fetched_at), max(fetched_at)]) AS fetched_at FROM events.polls
            WHERE {before} AND feed = 'station_status' GROUP BY system_id, utc_date),
        asked AS (
            SELECT DISTINCT system_id, local_date FROM ends_of_dates JOIN local_days USING (system_id)
            WHERE fetched_at < ends AND fetched_at >= begins - INTERVAL {STILL_ASKED.days * 24} HOURS)
        SELECT system_id, local_date, coalesce(good_s, 0) / epoch(ends - begins) AS good_share, longest_gap_s,
               {', '.join(f'coalesce({name}, 0) AS {name}' for name in _POLLS)},
               coalesce(latest >= ends, false) AS is_complete, ends
        FROM asked JOIN local_days USING (system_id, local_date) JOIN gaps USING (system_id, local_date)
        LEFT JOIN shares USING (system_id, local_date) LEFT JOIN counted USING (system_id, local_date)
        LEFT JOIN (SELECT (fetched_at AT TIME ZONE 'UTC')::DATE - 1 AS local_date, max(fetched_at) AS latest
                   FROM fetches GROUP BY ALL) USING (local_date)"""
    own = f"warehouse.system_service_day WHERE {of_dates(SYSTEM_SERVICE_DAY, first, last)}"
    differs = ", ".join([
        *(f"CASE WHEN abs(own.{name} - made.{name}) > {slack} OR isnan(own.{name}) THEN '{name}' END"
          for name, slack in (("good_share", _SLACK / 86_400), ("longest_gap_s", _SLACK))),
        *(f"CASE WHEN own.{name} IS DISTINCT FROM made.{name} THEN '{name}' END" for name in (*_POLLS, "is_complete")),
    ])  # fmt: skip
    both = f"(FROM {own}) AS own FULL JOIN ({days}) AS made USING (system_id, local_date)"
    return look(
        con,
        both,
        f"""
        SELECT * FROM (
            SELECT system_id, local_date, CASE WHEN own.polls IS NULL THEN 'it is not there'
                   WHEN made.polls IS NULL THEN 'nobody asked' ELSE concat_ws(', ', {differs}) END AS differs
            FROM {both} WHERE {is_over('own.is_complete', 'made.ends', last)} IS DISTINCT FROM false)
        WHERE differs <> '' ORDER BY local_date, system_id
        """,
    )


OWN_LEVEL = "is_own_level"
"""Whether the share that was wanted is one that the sources file sets for the system."""


def meets_service_level(
    con: duckdb.DuckDBPyConnection, first: date, last: date, levels: Mapping[str, float], usual: float
) -> Found:
    """Days that are over, of which a system was seen in a smaller share than was `wanted` of it.

    `levels` are those of systems that have one of their own, whose days come first; `usual` is every other's. A system
    that was looked at in the week before and has no row is seen in nothing of the day, nor is one whose row has no
    fetch: once a later day is over, it is too.
    """
    over = "(SELECT max(local_date) FROM warehouse.system_service_day WHERE is_complete)"
    days = f"""
        SELECT system_id, local_date, coalesce(good_share, 0) AS good_share, longest_gap_s,
               coalesce({_map(levels)}[system_id], {usual}::DOUBLE) AS wanted,
               {_map(levels)}[system_id] IS NOT NULL AS {OWN_LEVEL}
        FROM (SELECT DISTINCT system_id, local_date + unnest(range(8))::INTEGER AS local_date
              FROM warehouse.system_service_day
              WHERE {between(SYSTEM_SERVICE_DAY.column("local_date"), first - 7 * DAY, last)})
        LEFT JOIN (FROM warehouse.system_service_day WHERE {of_dates(SYSTEM_SERVICE_DAY, first, last)}) AS days
             USING (system_id, local_date)
        WHERE {between(SYSTEM_SERVICE_DAY.column("local_date"), first, last)} AND local_date <= {over}
          AND (is_complete IS DISTINCT FROM false OR polls = 0 AND local_date < {over})"""
    return look(
        con,
        f"({days})",
        f"SELECT * FROM ({days}) WHERE good_share < wanted ORDER BY {OWN_LEVEL} DESC, local_date, system_id",
    )


def _map(levels: Mapping[str, float]) -> str:
    """A map of numbers in SQL; an id may hold a quote."""
    names = ", ".join("'{}'".format(name.replace("'", "''")) for name in levels)
    return f"map([{names}]::VARCHAR[], [{', '.join(map(str, levels.values()))}]::DOUBLE[])"
