"""The rows that the warehouse must hold after a replay of a recording, worked out from full snapshots.

It shares nothing with the project: it imports the standard library, DuckDB and the oracle of the events only, and reads
no event: each figure is read off the whole snapshots of all good polls. Slow and plain on purpose.

A `valid_from` stands where the tables have a `station_key`: the version of the station's description that held.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from zoneinfo import ZoneInfo

import duckdb

from bike_assets_tests.oracle.events import (
    HOUR_MS,
    MAX_GAP,
    Line,
    Row,
    _fill,
    _instant,
    _ms,
    information_rows,
    poll_rows,
    polls,
    station_hours,
)

FIRST = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BULK_BIKES = 5
BULK_WITHIN = timedelta(minutes=10)
MOVED_M = 25
EARTH_RADIUS_M = 6_371_008.8
STATES = ("empty", "full", "available", "closed", "unknown")
SECONDS = tuple(f"seconds_{state}" for state in STATES)
FLOWS = ("departures", "arrivals", "bulk_out", "bulk_in")
LEVELS = ("bikes_mean", "bikes_min", "bikes_max", "docks_mean")
FIGURES = (*FLOWS, *SECONDS, "times_empty", "times_full", *LEVELS, "polls")


# ---- dim_station ---------------------------------------------------------------------------------------------------

def dim_station(lines: list[Line]) -> list[Row]:
    """Every version of every station, by system, station and `valid_from`."""
    told: dict[tuple[str, str], list[Row]] = {}
    for row in information_rows(lines):
        told.setdefault((row["system_id"], row["station_id"]), []).append(row)
    seen = {(poll.system_id, station_id) for poll in polls(lines) if poll.is_good for station_id in poll.stations}
    return [{"system_id": key[0], "station_id": key[1], **version}
            for key in sorted(seen | set(told)) for version in _versions(told.get(key, []))]


def _versions(told: list[Row]) -> list[Row]:
    """The versions of one station, from its descriptions in the order of time."""
    if not told:
        nothing = dict.fromkeys(("name", "address", "lat", "lon", "capacity", "has_payment_terminal"))
        return [{**nothing, "valid_from": FIRST, "valid_to": None, "is_current": True, "is_inferred": True}]
    versions: list[Row] = []
    for row in told:
        if not versions or _is_another(versions[-1], row):
            versions.append({**row, "valid_from": row["observed_at"] if versions else FIRST})
        versions[-1]["has_payment_terminal"] = row["has_payment_terminal"]
    ends = [later["valid_from"] for _, later in pairwise(versions)]
    addresses = [row["address"] for row in told if row["address"] is not None]
    return [{
        "name": version["name"], "address": addresses[-1] if addresses else None, "lat": version["lat"],
        "lon": version["lon"], "capacity": version["capacity"], "has_payment_terminal": version["has_payment_terminal"],
        "valid_from": version["valid_from"], "valid_to": end, "is_current": end is None, "is_inferred": False,
    } for version, end in zip(versions, [*ends, None], strict=True)]


def _is_another(version: Row, row: Row) -> bool:
    """Whether a description is no longer that of the version: small moves are measured from where it began."""
    same = version["name"] == row["name"] and version["capacity"] == row["capacity"]
    return not same or metres((version["lat"], version["lon"]), (row["lat"], row["lon"])) > MOVED_M


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The way along the great circle between two places in degrees of latitude and longitude."""
    (lat, lon), (other_lat, other_lon) = [tuple(map(radians, place)) for place in (one, other)]
    half = sin((other_lat - lat) / 2) ** 2 + cos(lat) * cos(other_lat) * sin((other_lon - lon) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(half))


# ---- fact_station_hour ---------------------------------------------------------------------------------------------

STEPS = """
CREATE TABLE step AS        -- every station at every good poll of its system, and what the good poll before showed
WITH shown AS (
    SELECT *, CASE WHEN NOT is_open THEN 'closed' WHEN bikes = 0 THEN 'empty' WHEN docks = 0 THEN 'full'
                   ELSE 'available' END AS state
    FROM reading)
SELECT p.system_id, s.station_id, p.polled_at, p.polled_before, p.next_at,
       now.bikes, now.docks, now.state, before.bikes AS bikes_before, before.state AS state_before
FROM (SELECT *, lag(polled_at) OVER system AS polled_before, lead(polled_at) OVER system AS next_at FROM good_poll
      WINDOW system AS (PARTITION BY system_id ORDER BY polled_at)) p
JOIN (SELECT DISTINCT system_id, station_id FROM reading) s ON s.system_id = p.system_id
LEFT JOIN shown now
    ON now.system_id = s.system_id AND now.station_id = s.station_id AND now.polled_at = p.polled_at
LEFT JOIN shown before
    ON before.system_id = s.system_id AND before.station_id = s.station_id AND before.polled_at = p.polled_before
"""

STEPS_OF_HOURS = """
SELECT system_id, station_id, polled_at // $hour * $hour AS hour_start,
       count(*) FILTER (WHERE state = 'empty' AND state_before <> 'empty')::INT AS times_empty,
       count(*) FILTER (WHERE state = 'full' AND state_before <> 'full')::INT AS times_full,
       -- null without a row that passes the filter
       (sum(CASE WHEN bikes_before - bikes >= $bulk THEN bikes_before - bikes ELSE 0 END) FILTER (WHERE close))::INT
           AS bulk_out,
       (sum(CASE WHEN bikes - bikes_before >= $bulk THEN bikes - bikes_before ELSE 0 END) FILTER (WHERE close))::INT
           AS bulk_in
FROM (SELECT *, state <> 'closed' AND state_before <> 'closed' AND polled_at - polled_before <= $bulk_within AS close
      FROM step)
GROUP BY ALL
"""

LEVELS_OF_HOURS = """
SELECT h.system_id, h.station_id, h.hour_start, min(s.bikes)::INT AS bikes_min, max(s.bikes)::INT AS bikes_max,
       sum(s.bikes * held_ms) / sum(held_ms) AS bikes_mean,
       sum(s.docks * held_ms) FILTER (WHERE s.docks IS NOT NULL)
           / sum(held_ms) FILTER (WHERE s.docks IS NOT NULL) AS docks_mean
FROM hour h
JOIN (SELECT * FROM step WHERE state <> 'closed' AND next_at - polled_at <= $max_gap) s
    ON s.system_id = h.system_id AND s.station_id = h.station_id,
LATERAL (SELECT least(s.next_at, h.hour_start + $hour) - greatest(s.polled_at, h.hour_start) AS held_ms)
WHERE held_ms > 0
GROUP BY ALL
"""


def fact_station_hour(lines: list[Line], timezone_of: Mapping[str, str]) -> list[Row]:
    """Each station and UTC hour up to the end of the last UTC day with a line; `timezone_of` each system."""
    if not lines:
        return []
    end = datetime.combine(max(_instant(line["fetched_at"]) for line in lines).date(), time(), UTC) + 24 * HOUR
    hours = [row for row in station_hours(lines) if row["hour_start"] < end]
    by_steps, by_levels = _steps_and_levels(lines, hours)
    versions: dict[tuple[str, str], list[Row]] = {}
    for version in dim_station(lines):
        versions.setdefault((version["system_id"], version["station_id"]), []).append(version)
    return [{
        "system_id": row["system_id"], "station_id": row["station_id"], "hour_start": row["hour_start"],
        "valid_from": _valid_from(versions[row["system_id"], row["station_id"]], row["hour_start"]),
        **_local(row["hour_start"], timezone_of[row["system_id"]]),
        **dict.fromkeys(FIGURES), "times_empty": 0, "times_full": 0,
        **row, **by_steps.get(_key(row), {}), **by_levels.get(_key(row), {}),
    } for row in hours]


Key = tuple[str, str, datetime]


def _key(row: Row) -> Key:
    return row["system_id"], row["station_id"], row["hour_start"]


def _steps_and_levels(lines: list[Line], hours: list[Row]) -> tuple[dict[Key, Row], dict[Key, Row]]:
    good = [poll for poll in polls(lines) if poll.is_good]
    readings = [(poll.system_id, station_id, _ms(poll.at), row["bikes_available"], row["docks_available"],
                 row["is_installed"] and row["is_renting"] and row["is_returning"])
                for poll in good for station_id, row in poll.stations.items()]
    with duckdb.connect() as memory:
        memory.execute("CREATE TABLE good_poll (system_id TEXT, polled_at BIGINT)")
        memory.execute("CREATE TABLE reading (system_id TEXT, station_id TEXT, polled_at BIGINT, bikes INT, docks INT, "
                       "is_open BOOLEAN)")
        memory.execute("CREATE TABLE hour (system_id TEXT, station_id TEXT, hour_start BIGINT)")
        _fill(memory, "good_poll", [(poll.system_id, _ms(poll.at)) for poll in good])
        _fill(memory, "reading", readings)
        _fill(memory, "hour", [(row["system_id"], row["station_id"], _ms(row["hour_start"])) for row in hours])
        memory.execute(STEPS)
        steps = _rows(memory, STEPS_OF_HOURS, hour=HOUR_MS, bulk=BULK_BIKES, bulk_within=_length(BULK_WITHIN))
        levels = _rows(memory, LEVELS_OF_HOURS, hour=HOUR_MS, max_gap=_length(MAX_GAP))
    return {_key(row): row for row in steps}, {_key(row): row for row in levels}


def _length(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _rows(memory: duckdb.DuckDBPyConnection, query: str, **values: int) -> list[Row]:
    """The rows of a query, `hour_start` as an instant."""
    found = memory.execute(query, values)
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [row | {"hour_start": FIRST + timedelta(milliseconds=row["hour_start"])} if "hour_start" in row else row
            for row in rows]


def _valid_from(versions: list[Row], at: datetime) -> datetime:
    """The beginning of the one version that holds at this instant."""
    held: list[datetime] = [each["valid_from"] for each in versions
                            if each["valid_from"] <= at and (each["valid_to"] is None or at < each["valid_to"])]
    [valid_from] = held
    return valid_from


def _local(hour_start: datetime, timezone: str) -> Row:
    local = hour_start.astimezone(ZoneInfo(timezone))
    return {"utc_date": hour_start.date(), "local_date": local.date(), "local_hour": local.hour}


# ---- fact_station_day, fact_system_day -----------------------------------------------------------------------------

DAYS = """
SELECT system_id, station_id, local_date, min_by(valid_from, hour_start) AS valid_from,
       count(DISTINCT station_id) AS stations,
       sum(departures)::INT AS departures, sum(arrivals)::INT AS arrivals,
       sum(bulk_out)::INT AS bulk_out, sum(bulk_in)::INT AS bulk_in,
       sum(seconds_empty) AS seconds_empty, sum(seconds_full) AS seconds_full,
       sum(seconds_available) AS seconds_available, sum(seconds_closed) AS seconds_closed,
       sum(seconds_unknown) AS seconds_unknown,
       sum(times_empty)::INT AS times_empty, sum(times_full)::INT AS times_full,
       sum(bikes_mean * open_seconds) / sum(open_seconds) FILTER (WHERE bikes_mean IS NOT NULL) AS bikes_mean,
       min(bikes_min) AS bikes_min, max(bikes_max) AS bikes_max,
       sum(docks_mean * open_seconds) / sum(open_seconds) FILTER (WHERE docks_mean IS NOT NULL) AS docks_mean,
       sum(polls)::INT AS polls,
       count(DISTINCT hour_start) = any_value(hours_of_date) AS is_complete
FROM (SELECT *, seconds_empty + seconds_full + seconds_available AS open_seconds FROM hour)
GROUP BY GROUPING SETS ((system_id, station_id, local_date), (system_id, local_date))
"""

PEAKS = """
SELECT system_id, station_id, local_date, local_hour, sum(departures + arrivals) AS flows
FROM hour
GROUP BY GROUPING SETS ((system_id, station_id, local_date, local_hour), (system_id, local_date, local_hour))
HAVING sum(departures + arrivals) > 0
ORDER BY flows, local_hour DESC
"""

HOUR_TABLE = """
CREATE TABLE hour (
    system_id TEXT, station_id TEXT, hour_start BIGINT, valid_from BIGINT, local_date DATE, local_hour INT,
    hours_of_date INT, departures INT, arrivals INT, bulk_out INT, bulk_in INT, seconds_empty DOUBLE,
    seconds_full DOUBLE, seconds_available DOUBLE, seconds_closed DOUBLE, seconds_unknown DOUBLE, times_empty INT,
    times_full INT, bikes_mean DOUBLE, bikes_min INT, bikes_max INT, docks_mean DOUBLE, polls INT)
"""


def fact_station_day(lines: list[Line], timezone_of: Mapping[str, str]) -> list[Row]:
    """Each station and local day; `valid_from` is the version that holds at the start of its first hour."""
    return [{name: value for name, value in row.items() if name != "stations"}
            for row in _days(lines, timezone_of) if row["station_id"] is not None]


def fact_system_day(lines: list[Line], timezone_of: Mapping[str, str]) -> list[Row]:
    """Each system and local day; its levels are those of a station: over the hours of all its stations."""
    return [{name: value for name, value in row.items() if name not in ("station_id", "valid_from")}
            for row in _days(lines, timezone_of) if row["station_id"] is None]


def _days(lines: list[Line], timezone_of: Mapping[str, str]) -> list[Row]:
    """Days of stations, and of whole systems (`station_id` is None)."""
    hours = fact_station_hour(lines, timezone_of)
    with duckdb.connect() as memory:
        memory.execute(HOUR_TABLE)
        _fill(memory, "hour", [
            (row["system_id"], row["station_id"], _ms(row["hour_start"]), _ms(row["valid_from"]), row["local_date"],
             row["local_hour"], hours_of(row["local_date"], timezone_of[row["system_id"]]),
             *(row[name] for name in FIGURES)) for row in hours])
        # In rising order, so that the last one of a day stays: most flows, and of equals the earliest hour.
        peaks = {(row["system_id"], row["station_id"], row["local_date"]): row["local_hour"]
                 for row in _rows(memory, PEAKS)}
        days = _rows(memory, DAYS)
    found = [{**row, "valid_from": FIRST + timedelta(milliseconds=row["valid_from"]),
              "peak_hour": peaks.get((row["system_id"], row["station_id"], row["local_date"]))} for row in days]
    return sorted(found, key=lambda row: (row["system_id"], row["station_id"] or "", row["local_date"]))


# ---- system_service_day --------------------------------------------------------------------------------------------

OUTCOMES = ("ok", "not_modified", "stale", "out_of_order", "http_error", "timeout", "too_large", "invalid")


def system_service_day(lines: list[Line], timezone_of: Mapping[str, str]) -> list[Row]:
    """How well each system was seen in each local day in which its stations were asked for, or in the 168 hours before.

    Of the dates from the day before the first fetch of all to the day after the last.
    """
    fetched = sorted(row["fetched_at"].date() for row in poll_rows(lines))
    dates = [fetched[0] + timedelta(days=n) for n in range(-1, (fetched[-1] - fetched[0]).days + 2)]
    asked = [row for row in poll_rows(lines) if row["feed"] == "station_status"]
    found = []
    for system_id in sorted({row["system_id"] for row in asked}):
        zone = ZoneInfo(timezone_of[system_id])
        for day in dates:
            begins, ends = (datetime.combine(each, time(), zone).astimezone(UTC) for each in (day, _after(day)))
            if any(row["system_id"] == system_id and begins - timedelta(hours=168) <= row["fetched_at"] < ends
                   for row in asked):
                found.append(_service_day(system_id, day, timezone_of[system_id], asked))
    return found


def _service_day(system_id: str, day: date, timezone: str, asked: list[Row]) -> Row:
    start, end = (datetime.combine(each, time(), ZoneInfo(timezone)).astimezone(UTC) for each in (day, _after(day)))
    own = [row for row in asked if row["system_id"] == system_id]
    good = [row["fetched_at"] for row in own if row["outcome"] in ("ok", "not_modified")]
    seen = sum((max(timedelta(), min(b, end) - max(a, start)) for a, b in pairwise(good) if b - a <= MAX_GAP),
               timedelta())
    marks = [start, *(at for at in good if start <= at < end), end]
    outcomes = [row["outcome"] for row in own if start <= row["fetched_at"] < end]
    return {
        "system_id": system_id, "local_date": day, "good_share": seen / (end - start),
        "longest_gap_s": max(b - a for a, b in pairwise(marks)).total_seconds(), "polls": len(outcomes),
        **{f"polls_{name}": outcomes.count(name) for name in OUTCOMES},
        "is_complete": any(row["fetched_at"].date() == _after(day) and row["fetched_at"] >= end for row in asked),
    }


def _after(day: date) -> date:
    return day + timedelta(days=1)


@cache
def hours_of(local_date: date, timezone: str) -> int:
    """How many UTC hours begin on that date in that zone: 23, 24 or 25."""
    noon = datetime.combine(local_date, time(12), UTC)
    return sum((noon + n * HOUR).astimezone(ZoneInfo(timezone)).date() == local_date for n in range(-36, 37))
