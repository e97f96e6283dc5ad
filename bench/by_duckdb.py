"""`fact_station_hour` in plain SQL, for DuckDB: what its speed is compared with, and its sums.

It takes the events' `*_before` as they are and telescopes over them, as Spark does. What concerns a poll is computed
for each poll, by windows, and goes to the events by a join: for DuckDB that is quicker than windows over the events.
"""

from datetime import date
from math import isclose
from pathlib import Path
from typing import NamedTuple

import duckdb

from bike_assets.lake.duck import connect
from bike_assets.model.warehouse import FACT_STATION_HOUR

CORES = 2
MEMORY = "4GB"

_POLLS = """
WITH good AS (
    SELECT system_id, fetched_at, epoch_ms(fetched_at) AS ms, ms // 3600000 AS hour,
        lag(ms) OVER in_time AS before, lead(ms) OVER in_time AS after
    FROM (SELECT * FROM events.polls
          WHERE utc_date BETWEEN DATE '{day}' - 1 AND DATE '{day}' + 1
            AND feed = 'station_status' AND outcome IN ('ok', 'not_modified'))
    WINDOW in_time AS (PARTITION BY system_id ORDER BY fetched_at)),
intervals AS (
    SELECT system_id, fetched_at, hour, ms,
        CASE WHEN after - ms <= 1800000 THEN least(after, (hour + 1) * 3600000) - ms ELSE 0 END AS lasts_ms,
        CASE WHEN ms - before <= 1800000 AND before // 3600000 < hour THEN ms - hour * 3600000 ELSE 0 END AS lead_ms,
        coalesce(ms - before <= 600000, false)::INTEGER AS is_step,
        coalesce(after - ms > 1800000 AND after // 3600000 = hour, false) AS begins_gap,
        coalesce(ms - before > 1800000 AND before // 3600000 = hour, false) AS ends_gap
    FROM good
    WHERE fetched_at >= TIMESTAMPTZ '{day} 00:00:00Z' AND fetched_at < TIMESTAMPTZ '{day} 00:00:00Z' + INTERVAL 1 DAY),
polls AS (
    SELECT system_id, fetched_at, hour, begins_gap, ends_gap, lead_ms, is_step,
        ms = min(ms) OVER (PARTITION BY system_id, hour) AS is_first,
        (sum(lasts_ms) OVER to_end)::INTEGER AS known_ms,
        (count(*) OVER to_end)::INTEGER AS polls_from,
        (sum(is_step) OVER to_end)::INTEGER AS steps_from,
        CASE WHEN is_first THEN lead_ms ELSE -known_ms END::INTEGER AS left_ms
    FROM intervals
    WINDOW to_end AS (PARTITION BY system_id, hour ORDER BY ms DESC ROWS UNBOUNDED PRECEDING)),
"""

_MEASURED = """
events AS (
    SELECT e.system_id, e.station_id, p.* EXCLUDE (system_id, fetched_at, lead_ms),
        e.state, e.state_before, e.bikes_available AS bikes, e.bikes_before, e.docks_available AS docks, e.docks_before,
        coalesce(e.state IN ('empty', 'full', 'available'), false) AS is_open,
        coalesce(e.state_before IN ('empty', 'full', 'available'), false) AS was_open,
        CASE WHEN is_open AND was_open THEN e.bikes_available - e.bikes_before END AS step,
        CASE WHEN abs(step) >= 5 AND p.is_step = 1 THEN step END AS bulk
    FROM events.station_status AS e JOIN polls AS p ON p.system_id = e.system_id AND p.fetched_at = e.observed_at
    WHERE e.utc_date = DATE '{day}'),
measured AS (
    SELECT system_id, station_id, hour,
        {times},
        coalesce(sum(greatest(-step, 0)), 0) AS departures,
        coalesce(sum(greatest(step, 0)), 0) AS arrivals,
        coalesce(sum(greatest(-bulk, 0)), 0) AS bulk_out,
        coalesce(sum(greatest(bulk, 0)), 0) AS bulk_in,
        sum(CASE WHEN is_first AND is_open THEN CASE WHEN was_open THEN steps_from ELSE steps_from - is_step END
                 WHEN is_first THEN 0
                 WHEN is_open AND NOT was_open THEN steps_from - is_step
                 WHEN was_open AND NOT is_open THEN -steps_from END) AS short_steps,
        count(*) FILTER (state = 'empty' AND state_before <> 'empty') AS times_empty,
        count(*) FILTER (state = 'full' AND state_before <> 'full') AS times_full,
        sum(CASE WHEN is_open THEN bikes * known_ms ELSE 0 END
            + CASE WHEN was_open THEN bikes_before * left_ms ELSE 0 END) AS bike_ms,
        sum(CASE WHEN is_open THEN coalesce(docks * known_ms, 0) ELSE 0 END
            + CASE WHEN was_open THEN coalesce(docks_before * left_ms, 0) ELSE 0 END) AS dock_ms,
        sum(CASE WHEN is_open AND docks IS NOT NULL THEN known_ms ELSE 0 END
            + CASE WHEN was_open AND docks_before IS NOT NULL THEN left_ms ELSE 0 END) AS docks_given_ms,
        min(least(CASE WHEN is_open AND known_ms > 0 AND NOT begins_gap THEN bikes END,
                  CASE WHEN is_first AND was_open AND left_ms > 0 THEN bikes_before END)) AS bikes_min,
        max(greatest(CASE WHEN is_open AND known_ms > 0 AND NOT begins_gap THEN bikes END,
                     CASE WHEN is_first AND was_open AND left_ms > 0 THEN bikes_before END)) AS bikes_max,
        max(CASE WHEN is_open AND known_ms > 0 AND begins_gap THEN bikes END) AS into_gap,
        bool_or(ends_gap) AS is_changed_by_gap,
        sum(CASE WHEN is_first THEN CASE WHEN state <> 'unknown' THEN polls_from END
                 WHEN state <> 'unknown' AND state_before IS NULL THEN polls_from
                 WHEN state = 'unknown' AND state_before IS NOT NULL THEN -polls_from END) AS polls
    FROM events
    GROUP BY ALL),
"""

_UNWATCHED = """
station_days AS (
    SELECT system_id, station_id,
        bit_or(CASE WHEN utc_date = DATE '{day}' THEN 1 << hour_of_day ELSE 0 END) AS events,
        bit_or(CASE WHEN state = 'unknown' THEN 0
                    ELSE 1::BIGINT << (hour_of_day + CASE WHEN utc_date = DATE '{day}' THEN 24 ELSE 0 END) END
        ) AS readings
    FROM (SELECT *, (epoch_ms(observed_at) // 3600000 % 24)::INTEGER AS hour_of_day FROM events.station_status)
    WHERE utc_date BETWEEN DATE '{day}' - 1 AND DATE '{day}'
    GROUP BY ALL),
unwatched AS (
    SELECT system_id, station_id, epoch_ms(TIMESTAMPTZ '{day} 00:00:00Z') // 3600000 + h.range AS hour
    FROM (FROM station_days WHERE events <> (1 << 24) - 1), range(24) AS h
    WHERE (events >> h.range) & 1 = 0 AND (readings >> h.range) & ((1 << 25) - 1) <> 0),
clocks AS (
    SELECT system_id, hour, timezone(timezone, to_timestamp(hour * 3600)) AS clock
    FROM warehouse.dim_system, (SELECT epoch_ms(TIMESTAMPTZ '{day} 00:00:00Z') // 3600000 + range AS hour
                                FROM range(24)))
"""

_HOURS = """
SELECT system_id, station_id, to_timestamp(hour * 3600) AS hour_start, hash(system_id, station_id) AS station_key,
    DATE '{day}' AS utc_date, clock::DATE AS local_date, hour(clock)::INTEGER AS local_hour,
    coalesce(departures, 0)::INTEGER AS departures, coalesce(arrivals, 0)::INTEGER AS arrivals,
    CASE WHEN short_steps > 0 THEN bulk_out END::INTEGER AS bulk_out,
    CASE WHEN short_steps > 0 THEN bulk_in END::INTEGER AS bulk_in,
    coalesce(empty_ms, 0) / 1000 AS seconds_empty, coalesce(full_ms, 0) / 1000 AS seconds_full,
    coalesce(available_ms, 0) / 1000 AS seconds_available, coalesce(closed_ms, 0) / 1000 AS seconds_closed,
    (3600000 - coalesce(empty_ms + full_ms + available_ms + closed_ms, 0)) / 1000 AS seconds_unknown,
    coalesce(times_empty, 0)::INTEGER AS times_empty, coalesce(times_full, 0)::INTEGER AS times_full,
    CASE WHEN empty_ms + full_ms + available_ms > 0 THEN bike_ms / (empty_ms + full_ms + available_ms) END
        AS bikes_mean,
    least(bikes_min, CASE WHEN NOT is_changed_by_gap THEN into_gap END) AS bikes_min,
    greatest(bikes_max, CASE WHEN NOT is_changed_by_gap THEN into_gap END) AS bikes_max,
    CASE WHEN docks_given_ms > 0 THEN dock_ms / docks_given_ms END AS docks_mean,
    coalesce(polls, 0)::INTEGER AS polls
FROM (FROM measured UNION ALL BY NAME FROM unwatched) JOIN clocks USING (system_id, hour)
"""

_TIMES = ", ".join(
    f"sum(CASE WHEN state = '{state}' THEN known_ms ELSE 0 END "
    f"+ CASE WHEN state_before = '{state}' THEN left_ms ELSE 0 END) AS {state}_ms"
    for state in ("empty", "full", "available", "closed")
)


class Sums(NamedTuple):
    """What two ways to the same facts have to agree on."""

    rows: int
    departures: int
    arrivals: int
    bulk: int
    times: int
    polls: int
    bikes_min: int
    bikes_max: int
    seconds_empty: float
    seconds_full: float
    seconds_available: float
    seconds_closed: float
    seconds_unknown: float
    bikes_mean: float
    docks_mean: float


def write_hours(lake: Path, day: date, to: Path) -> None:
    """The day's station-hours from the lake's Delta files into a parquet file."""
    query = (_POLLS + _MEASURED + _UNWATCHED + _HOURS).format(day=day, times=_TIMES)
    with connect(lake) as con:
        con.execute(f"SET threads = {CORES}")
        con.execute(f"SET memory_limit = '{MEMORY}'")
        con.execute(f"COPY ({query}) TO '{to}' (FORMAT parquet)")


def sums_of_file(file: Path) -> Sums:
    """The sums of what `write_hours` wrote."""
    with duckdb.connect() as con:
        return _sums(con, f"read_parquet('{file}')")


def sums_of_table(lake: Path, day: date) -> Sums:
    """The sums of the day in the lake's `fact_station_hour`."""
    with connect(lake) as con:
        return _sums(con, f"(FROM {FACT_STATION_HOUR.name} WHERE utc_date = DATE '{day}')")


def _sums(con: duckdb.DuckDBPyConnection, rows: str) -> Sums:
    whole = ("departures", "arrivals", "bulk_out + bulk_in", "times_empty + times_full", "polls", "bikes_min",
             "bikes_max")  # fmt: skip
    real = [name for name in Sums._fields if name.startswith("seconds_")] + ["bikes_mean", "docks_mean"]
    columns = [f"sum({each})::BIGINT" for each in whole] + [f"round(sum({each}), 3)::DOUBLE" for each in real]
    query = f"SELECT count(*), {', '.join(columns)} FROM {rows}"  # noqa: S608
    return Sums(*con.execute(query).fetchall()[0])


def is_same(one: Sums, other: Sums) -> bool:
    """Whether all sums agree: exactly where they are whole."""
    return all(isclose(a, b, rel_tol=1e-9 if isinstance(a, float) else 0) for a, b in zip(one, other, strict=True))
