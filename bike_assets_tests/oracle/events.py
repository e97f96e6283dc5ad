"""The rows that a replay of a recording must leave in the tables, worked out from full snapshots.

It shares nothing with the project: it imports the standard library and DuckDB only. Every good poll is kept as a whole
snapshot of its system, and each table is read off the sequence of snapshots. Slow and plain on purpose.
"""

import base64
import binascii
import gzip
import json
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

Line = dict[str, Any]
Row = dict[str, Any]

READING = ("bikes_available", "ebikes_available", "docks_available", "bikes_disabled", "docks_disabled",
           "is_installed", "is_renting", "is_returning")
DESCRIPTION = ("name", "address", "lat", "lon", "capacity", "has_payment_terminal")
TOTALS = ("stations", "empty", "full", "closed", "bikes_available", "docks_available", "ebikes_available")
STATUS, INFORMATION, VEHICLE_TYPES = "station_status", "station_information", "vehicle_types"
GOOD = ("ok", "not_modified")
MAX_GAP = timedelta(minutes=30)
REMEMBERED = timedelta(hours=24)
MOST = 1_000_000
NO_DOCKS_GIVEN = 999
HOUR_MS = 3_600_000
BROKEN: Any = object()
"""The body of an answer that is there and is no JSON."""


class BadRowError(Exception):
    """A row that must be refused."""


class BadBodyError(Exception):
    """A body that must be refused as a whole."""


# ---- recordings ----------------------------------------------------------------------------------------------------

def read_lines(path: Path) -> list[Line]:
    """The answers of a recording in the order of the file (`.jsonl`, or `.xz`, `.gz`, `.zst`)."""
    return [json.loads(line) for line in _text_lines(path) if line.strip()]


def _text_lines(path: Path) -> list[str]:
    if path.suffix == ".zst":
        found = duckdb.execute(
            "SELECT line FROM read_csv(?, compression='zstd', columns={'line': 'VARCHAR'}, auto_detect=false, "
            "header=false, delim='\x1f', quote='', escape='', max_line_size=1000000000, parallel=false)", [str(path)])
        return [row[0] for row in found.fetchall() if row[0]]
    data = path.read_bytes()
    if path.suffix == ".xz":
        data = lzma.decompress(data)
    elif path.suffix == ".gz":
        data = gzip.decompress(data)
    return data.decode().split("\n")


def _instant(text: str) -> datetime:
    """A time of a line, in UTC and whole milliseconds."""
    at = datetime.fromisoformat(text).astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _feed(line: Line) -> str:
    """GBFS's name of the feed; JCDecaux's stations count as station_status."""
    name: str = line["feed"]
    return STATUS if name.startswith("jcdecaux.") else name.removeprefix("gbfs.")


def _body(line: Line) -> Any:
    """The JSON of a line, None without a body, BROKEN where it is no JSON."""
    if line.get("body_base64") is None:
        return line.get("body")
    try:
        return json.loads(base64.b64decode(line["body_base64"]))
    except (ValueError, binascii.Error):
        return BROKEN


def _one_line_a_contract(lines: list[Line]) -> Iterator[Line]:
    """Answers with all contracts, taken apart: one line for each contract that was named so far."""
    expected: set[str] = set()
    for line in lines:
        if line["system_id"] != "jcdecaux":
            yield line
            continue
        body = _body(line)
        rows: dict[str, list[Any]] = {}
        for row in body if isinstance(body, list) else []:
            if isinstance(row, dict) and isinstance(row.get("contract_name"), str):
                rows.setdefault("jcdecaux:" + row["contract_name"].lower(), []).append(row)
        expected |= set(rows)
        parts = rows if isinstance(body, list) else dict.fromkeys(expected, BROKEN if body is not None else None)
        for system in sorted(expected):
            yield {**line, "system_id": system, "body": parts.get(system, BROKEN), "body_base64": None}


# ---- what a row says -----------------------------------------------------------------------------------------------

def _whole(value: Any, most: int | None = None) -> int:
    if type(value) is not int or value < 0 or (most is not None and value > most):
        raise BadRowError(f"no count: {value!r}")
    return value


def _optional(check: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else check(value)


def _count(value: Any) -> int:
    return _whole(value, MOST)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise BadRowError(f"no text: {value!r}")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise BadRowError(f"no flag: {value!r}")
    return value


def _degrees(value: Any, most: float) -> float:
    if type(value) not in (int, float) or not -most <= value <= most:
        raise BadRowError(f"no degrees: {value!r}")
    return float(value)


def _time(value: Any, unit: timedelta) -> datetime:
    if type(value) is not int:
        raise BadRowError(f"no time: {value!r}")
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + value * unit
    except OverflowError:
        raise BadRowError(f"no time: {value!r}") from None


def _seconds(value: Any) -> datetime:
    return _time(value, timedelta(seconds=1))


def _milliseconds(value: Any) -> datetime:
    return _time(value, timedelta(milliseconds=1))


def _docks(value: Any) -> int | None:
    docks: int | None = _optional(_count, value)
    return None if docks == NO_DOCKS_GIVEN else docks


def _state(row: Row) -> str:
    if not (row["is_installed"] and row["is_renting"] and row["is_returning"]):
        return "closed"
    if row["bikes_available"] == 0:
        return "empty"
    return "full" if row["docks_available"] == 0 else "available"


def _jcdecaux_row(row: Any) -> Row:
    if type(row) is not dict or type(row.get("number")) is not int or type(row.get("position")) is not dict:
        raise BadRowError("no station")
    is_open = _text(row.get("status")) == "OPEN"
    return {
        "station_id": str(row["number"]),
        "bikes_available": _count(row.get("available_bikes")), "ebikes_available": None,
        "docks_available": _docks(row.get("available_bike_stands")), "bikes_disabled": None, "docks_disabled": None,
        "is_installed": is_open, "is_renting": is_open, "is_returning": is_open,
        "reported_at": _optional(_milliseconds, row.get("last_update")),
        "name": _text(row.get("name")), "address": _optional(_text, row.get("address")),
        "lat": _degrees(row["position"].get("lat"), 90), "lon": _degrees(row["position"].get("lng"), 180),
        "capacity": _optional(_count, row.get("bike_stands")),
        "has_payment_terminal": _optional(_flag, row.get("banking")),
    }


def _gbfs_status_row(row: Any, propulsion: dict[str, str]) -> Row:
    if type(row) is not dict or not _text(row.get("station_id")):
        raise BadRowError("no station")
    return {
        "station_id": row["station_id"],
        "bikes_available": _count(row.get("num_bikes_available")),
        "ebikes_available": _electric(row.get("vehicle_types_available"), propulsion),
        "docks_available": _docks(row.get("num_docks_available")),
        "bikes_disabled": _optional(_count, row.get("num_bikes_disabled")),
        "docks_disabled": _optional(_count, row.get("num_docks_disabled")),
        "is_installed": _flag(row.get("is_installed")), "is_renting": _flag(row.get("is_renting")),
        "is_returning": _flag(row.get("is_returning")),
        "reported_at": _optional(_seconds, row.get("last_reported")),
    }


def _electric(counts: Any, propulsion: dict[str, str]) -> int | None:
    """Bikes of the types that are electric; None where no counts are given or a type is not known."""
    if counts is None:
        return None
    try:
        of_types = [(propulsion.get(each["vehicle_type_id"]), _count(each["count"])) for each in counts]
    except (TypeError, KeyError):
        raise BadRowError(f"no counts by type: {counts!r}") from None
    if any(power is None for power, _ in of_types):
        return None
    return sum(count for power, count in of_types if power in ("electric", "electric_assist"))


def _gbfs_information_row(row: Any) -> Row:
    if type(row) is not dict or not _text(row.get("station_id")):
        raise BadRowError("no station")
    return {
        "station_id": row["station_id"], "reported_at": None,
        "name": _text(row.get("name")), "address": _optional(_text, row.get("address")),
        "lat": _degrees(row.get("lat"), 90), "lon": _degrees(row.get("lon"), 180),
        "capacity": _optional(_count, row.get("capacity")), "has_payment_terminal": None,
    }


def _accepted(rows: list[Any], read: Callable[[Any], Row]) -> dict[str, Row]:
    """The accepted rows by station: bad ones are left out, and of duplicates the later report (of equals the first)."""
    kept: dict[str, Row] = {}
    for raw in rows:
        try:
            row = read(raw)
        except BadRowError:
            continue
        other = kept.get(row["station_id"])
        if other is None or _reported(row) > _reported(other):
            kept[row["station_id"]] = row
    return kept


def _reported(row: Row) -> datetime:
    return row["reported_at"] or datetime.min.replace(tzinfo=UTC)


def _rows(body: Any, name: str) -> list[Any]:
    """The list `name` of a GBFS body. Raises BadBodyError on another shape."""
    data = body.get("data") if type(body) is dict else None
    rows = data.get(name) if type(data) is dict else None
    if type(rows) is not list:
        raise BadBodyError
    return rows


def _last_updated(body: Row) -> datetime | None:
    try:
        updated_at: datetime | None = _optional(_seconds, body.get("last_updated"))
    except BadRowError:
        raise BadBodyError from None
    return updated_at


# ---- polls ---------------------------------------------------------------------------------------------------------

@dataclass
class Poll:
    """A line that counts: one fetch of one feed of one system."""

    system_id: str
    feed: str
    at: datetime
    outcome: str = "ok"
    http_status: int | None = None
    rows_in: int = 0
    accepted: int = 0
    feed_updated_at: datetime | None = None
    stations: dict[str, Row] = field(default_factory=dict)
    """All that a good status poll shows, whether by its body or by a 304; what an information poll describes."""

    @property
    def is_good(self) -> bool:
        """Whether it is a good poll, in DESIGN's words."""
        return self.feed == STATUS and self.outcome in GOOD


@dataclass
class _System:
    """What is remembered of a system between its polls."""

    last_at: dict[str, datetime] = field(default_factory=dict)
    updated_at: datetime | None = None
    """The own time of the last good poll, unless it lies in the future."""
    good: Poll | None = None
    known: set[str] = field(default_factory=set)
    """The feeds of which a body was taken that said something: only these can a 304 confirm."""
    has_advanced: bool = False
    propulsion: dict[str, str] = field(default_factory=dict)


def polls(lines: list[Line]) -> list[Poll]:
    """Every line that is newer than the last of its system and feed, judged."""
    systems: dict[str, _System] = {}
    found = []
    for line in _one_line_a_contract(lines):
        system = systems.setdefault(line["system_id"], _System())
        at, feed = _instant(line["fetched_at"]), _feed(line)
        if feed in system.last_at and at <= system.last_at[feed]:
            continue
        system.last_at[feed] = at
        poll = _judged(line, Poll(line["system_id"], feed, at), system)
        _remember(poll, system)
        found.append(poll)
    return found


def _judged(line: Line, poll: Poll, system: _System) -> Poll:
    body = _body(line)
    poll.http_status = line.get("status", None if body is None else 200)
    if line.get("error") is not None or (poll.http_status or 200) >= 400:
        named = [each for each in ("timeout", "too_large") if str(line.get("error")).startswith(each)]
        poll.outcome = named[0] if named else "http_error"
    elif poll.http_status == 304:
        _judge_304(poll, system)
    else:
        try:
            _read_body(line["feed"], body, poll, system)
        except BadBodyError:
            poll.outcome = "invalid"
        else:
            _judge_body(poll, system)
    return poll


def _judge_304(poll: Poll, system: _System) -> None:
    """Nothing new: good if something is remembered that has not frozen."""
    if poll.feed not in system.known:
        poll.outcome = "invalid"
        return
    poll.outcome = "not_modified"
    if poll.feed == STATUS and system.good is not None:
        poll.stations, poll.feed_updated_at = system.good.stations, system.updated_at
        if _is_stale(poll, system):
            poll.outcome = "stale"


def _judge_body(poll: Poll, system: _System) -> None:
    if poll.feed != STATUS:
        return
    stations_are_known = system.good is not None and bool(system.good.stations)
    if stations_are_known and not poll.stations:
        poll.outcome = "invalid"
    elif _is_stale(poll, system):
        poll.outcome = "stale"


def _is_stale(poll: Poll, system: _System) -> bool:
    if poll.feed_updated_at is None:
        return False
    older = system.updated_at is not None and poll.feed_updated_at < system.updated_at
    return older or (system.has_advanced and poll.at - poll.feed_updated_at > MAX_GAP)


def _read_body(feed: str, body: Any, poll: Poll, system: _System) -> None:
    """Fill in the rows and the time of a body. Raises BadBodyError if it cannot be read."""
    if feed.startswith("jcdecaux."):
        if type(body) is not list:
            raise BadBodyError
        poll.rows_in, poll.stations = len(body), _accepted(body, _jcdecaux_row)
        poll.feed_updated_at = max((row["reported_at"] for row in poll.stations.values() if row["reported_at"]),
                                   default=None)
    elif poll.feed == STATUS:
        rows = _rows(body, "stations")
        poll.feed_updated_at = _last_updated(body)
        poll.rows_in = len(rows)
        poll.stations = _accepted(rows, lambda row: _gbfs_status_row(row, system.propulsion))
    elif poll.feed == INFORMATION:
        rows = _rows(body, "stations")
        poll.feed_updated_at = _last_updated(body)
        poll.rows_in, poll.stations = len(rows), _accepted(rows, _gbfs_information_row)
    elif poll.feed == VEHICLE_TYPES:
        rows = _rows(body, "vehicle_types")
        poll.feed_updated_at = _last_updated(body)
        poll.rows_in = poll.accepted = len(rows)
        system.propulsion = {row["vehicle_type_id"]: row["propulsion_type"] for row in rows}
        return
    else:
        raise NotImplementedError(f"the oracle knows no feed {feed}")
    poll.accepted = len(poll.stations)


def _remember(poll: Poll, system: _System) -> None:
    if poll.outcome == "ok" and (poll.stations or poll.feed != INFORMATION):
        system.known.add(poll.feed)
    if poll.is_good:
        last, new = system.updated_at, poll.feed_updated_at
        if new is not None and new - poll.at > MAX_GAP:
            new = None  # a broken clock: no body to come is judged by it
        system.has_advanced |= last is not None and new is not None and new > last
        system.updated_at, system.good = new, poll


def _good_polls(lines: list[Line]) -> dict[str, list[Poll]]:
    """The good polls of each system in the order of time."""
    by_system: dict[str, list[Poll]] = {}
    for poll in polls(lines):
        if poll.is_good:
            by_system.setdefault(poll.system_id, []).append(poll)
    return by_system


def _steps(good: list[Poll]) -> list[tuple[Poll | None, Poll]]:
    """Each good poll with the good poll before it."""
    return list(zip([None, *good[:-1]], good, strict=True))


# ---- events.* ------------------------------------------------------------------------------------------------------

def station_status_rows(lines: list[Line]) -> list[Row]:
    """events.station_status by system, station and time."""
    return [row for system_id, good in sorted(_good_polls(lines).items())
            for station_id in sorted({each for poll in good for each in poll.stations})
            for row in _station_events(system_id, station_id, good)]


def _station_events(system_id: str, station_id: str, good: list[Poll]) -> Iterator[Row]:
    """The events of one station, from what each good poll and the good poll before it show of it."""
    since = last_seen = vanished = changed_report = None
    for earlier, poll in _steps(good):
        before = earlier.stations.get(station_id) if earlier else None
        now = poll.stations.get(station_id)
        is_first_of_hour = earlier is None or _start_of_hour(earlier.at) != _start_of_hour(poll.at)
        event = {"system_id": system_id, "station_id": station_id, "observed_at": poll.at}
        if now is None:
            if before is not None:
                vanished = poll.at
            is_recent = last_seen is not None and poll.at - last_seen <= REMEMBERED
            if is_recent and (before is not None or is_first_of_hour):
                yield {**event, "kind": "absent", **dict.fromkeys(READING), "state": "unknown",
                       "state_since": vanished, **_before(before), "reported_at": None}
            continue
        last_seen = poll.at
        if before is None or _state(before) != _state(now):
            since = poll.at
        if before is None or any(before[name] != now[name] for name in READING):
            kind, changed_report = "change", now["reported_at"]
        elif is_first_of_hour:
            kind = "keyframe"
        else:
            continue
        yield {**event, "kind": kind, **{name: now[name] for name in READING}, "state": _state(now),
               "state_since": since, **_before(before),
               # A 304 reports nothing: what is remembered of a station is its last change.
               "reported_at": changed_report if poll.outcome == "not_modified" else now["reported_at"]}


def _before(row: Row | None) -> Row:
    if row is None:
        return {"bikes_before": None, "docks_before": None, "state_before": None}
    return {"bikes_before": row["bikes_available"], "docks_before": row["docks_available"], "state_before": _state(row)}


def _start_of_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def information_rows(lines: list[Line]) -> list[Row]:
    """events.station_information: a row for every station whose description is new or differs from its last one."""
    held: dict[tuple[str, str], Row] = {}
    found = []
    for poll in polls(lines):
        for station_id, row in poll.stations.items() if poll.outcome == "ok" else ():
            if "name" not in row:
                continue
            description = {name: row[name] for name in DESCRIPTION}
            if held.get((poll.system_id, station_id)) != description:
                held[poll.system_id, station_id] = description
                found.append({"system_id": poll.system_id, "station_id": station_id, "observed_at": poll.at,
                              **description})
    return sorted(found, key=lambda row: (row["system_id"], row["station_id"], row["observed_at"]))


def poll_rows(lines: list[Line]) -> list[Row]:
    """events.polls by system, feed and time; `events` counts the rows that the feed's own table got from the poll."""
    written: dict[tuple[str, str, datetime], int] = {}
    for feed, events in ((STATUS, station_status_rows(lines)), (INFORMATION, information_rows(lines))):
        for event in events:
            key = event["system_id"], feed, event["observed_at"]
            written[key] = written.get(key, 0) + 1
    rows = [{
        "system_id": poll.system_id, "feed": poll.feed, "fetched_at": poll.at, "outcome": poll.outcome,
        "http_status": poll.http_status, "rows_in": poll.rows_in, "rows_accepted": poll.accepted,
        "rows_rejected": poll.rows_in - poll.accepted,
        "events": written.get((poll.system_id, poll.feed, poll.at), 0), "feed_updated_at": poll.feed_updated_at,
        **(_totals(poll) | {"bikes_with_docks": _bikes_with_docks(poll)} if poll.is_good
           else dict.fromkeys((*TOTALS, "bikes_with_docks"))),
    } for poll in polls(lines)]
    return sorted(rows, key=lambda row: (row["system_id"], row["feed"], row["fetched_at"]))


def _totals(poll: Poll) -> Row:
    """The system at a good poll: the stations that it shows by state, and bikes and docks over the open ones."""
    states = [_state(row) for row in poll.stations.values()]
    opened = [row for row in poll.stations.values() if _state(row) != "closed"]
    return {"stations": len(states), **{state: states.count(state) for state in ("empty", "full", "closed")},
            "bikes_available": sum(row["bikes_available"] for row in opened),
            "docks_available": _sum_of_given([row["docks_available"] for row in opened]),
            "ebikes_available": _sum_of_given([row["ebikes_available"] for row in opened])}


def _bikes_with_docks(poll: Poll) -> int | None:
    """Bikes at the open stations that give docks; None where none does."""
    given = [row["bikes_available"] for row in poll.stations.values()
             if _state(row) != "closed" and row["docks_available"] is not None]
    return sum(given) if given else None


def _sum_of_given(values: list[int | None]) -> int | None:
    given = [value for value in values if value is not None]
    return sum(given) if given else None


# ---- live.system_minute --------------------------------------------------------------------------------------------

def system_minute_rows(lines: list[Line]) -> list[Row]:
    """live.system_minute: levels at the minute's last good poll, flows of all its good polls."""
    found: dict[tuple[str, datetime], Row] = {}
    for system_id, good in sorted(_good_polls(lines).items()):
        for earlier, poll in _steps(good):
            key = system_id, poll.at.replace(second=0, microsecond=0)
            so_far = found.get(key, {"departures": 0, "arrivals": 0})
            departures, arrivals = _flows(earlier, poll)
            found[key] = {"system_id": system_id, "minute": key[1], **_totals(poll), "saturation": _saturation(poll),
                          "departures": so_far["departures"] + departures, "arrivals": so_far["arrivals"] + arrivals}
    return list(found.values())


def _flows(earlier: Poll | None, poll: Poll) -> tuple[int, int]:
    """Bikes gone and come since the good poll before, at stations that both show as open."""
    steps = [row["bikes_available"] - earlier.stations[station_id]["bikes_available"]
             for station_id, row in poll.stations.items()
             if earlier is not None and station_id in earlier.stations
             and _state(row) != "closed" and _state(earlier.stations[station_id]) != "closed"]
    return sum(-step for step in steps if step < 0), sum(step for step in steps if step > 0)


def _saturation(poll: Poll) -> float | None:
    pairs = [(row["bikes_available"], row["docks_available"]) for row in poll.stations.values()
             if _state(row) != "closed" and row["docks_available"] is not None]
    places = sum(bikes + docks for bikes, docks in pairs)
    return sum(bikes for bikes, _ in pairs) / places if places else None


# ---- station hours -------------------------------------------------------------------------------------------------

STATION_HOURS = """
WITH
steps AS (      -- every station at every good poll of its system; no reading: state is null
    SELECT p.system_id, s.station_id, p.polled_at, p.next_at, r.bikes, r.state,
           lag(r.bikes) OVER station AS bikes_before, lag(r.state) OVER station AS state_before
    FROM (SELECT *, lead(polled_at) OVER (PARTITION BY system_id ORDER BY polled_at) AS next_at FROM good_poll) p
    JOIN (SELECT DISTINCT system_id, station_id FROM reading) s USING (system_id)
    LEFT JOIN reading r ON r.system_id = p.system_id AND r.station_id = s.station_id AND r.polled_at = p.polled_at
    WINDOW station AS (PARTITION BY p.system_id, s.station_id ORDER BY p.polled_at)
),
spans AS (      -- how long a reading holds
    SELECT system_id, station_id, polled_at AS from_at, next_at AS to_at,
           CASE WHEN state IS NULL OR next_at - polled_at > $max_gap THEN 'unknown' ELSE state END AS state
    FROM steps WHERE next_at IS NOT NULL
    UNION ALL   -- all time before the first good poll, as far as an hour reaches
    SELECT system_id, station_id, min(polled_at) - $hour, min(polled_at), 'unknown' FROM steps GROUP BY ALL
    UNION ALL   -- all time after the last one, as far as a row reaches
    SELECT system_id, station_id, max(polled_at), max(polled_at) + 26 * $hour, 'unknown' FROM steps GROUP BY ALL
),
hours AS (      -- an accepted reading in that hour or in the 24 hours before it
    SELECT DISTINCT system_id, station_id, (polled_at // $hour + later.n) * $hour AS hour_start
    FROM reading, range(0, 26) later(n)
    WHERE (polled_at // $hour + later.n) * $hour - polled_at <= 24 * $hour
),
times AS (
    SELECT h.system_id, h.station_id, h.hour_start,
           sum(least(s.to_at, h.hour_start + $hour) - greatest(s.from_at, h.hour_start)) / 1000 AS seconds, s.state
    FROM hours h JOIN spans s ON s.system_id = h.system_id AND s.station_id = h.station_id
         AND s.from_at < h.hour_start + $hour AND s.to_at > h.hour_start
    GROUP BY ALL
),
flows AS (
    SELECT system_id, station_id, polled_at // $hour * $hour AS hour_start, count(state) AS polls,
           sum(greatest(bikes_before - bikes, 0)) FILTER (WHERE ridden) AS departures,
           sum(greatest(bikes - bikes_before, 0)) FILTER (WHERE ridden) AS arrivals
    FROM (SELECT *, state <> 'closed' AND state_before <> 'closed' AS ridden FROM steps)
    GROUP BY ALL
)
SELECT h.system_id, h.station_id, h.hour_start,
       coalesce(any_value(f.departures), 0)::INT AS departures, coalesce(any_value(f.arrivals), 0)::INT AS arrivals,
       coalesce(sum(t.seconds) FILTER (WHERE t.state = 'empty'), 0)::DOUBLE AS seconds_empty,
       coalesce(sum(t.seconds) FILTER (WHERE t.state = 'full'), 0)::DOUBLE AS seconds_full,
       coalesce(sum(t.seconds) FILTER (WHERE t.state = 'available'), 0)::DOUBLE AS seconds_available,
       coalesce(sum(t.seconds) FILTER (WHERE t.state = 'closed'), 0)::DOUBLE AS seconds_closed,
       coalesce(sum(t.seconds) FILTER (WHERE t.state = 'unknown'), 0)::DOUBLE AS seconds_unknown,
       coalesce(any_value(f.polls), 0)::INT AS polls
FROM hours h
LEFT JOIN times t ON t.system_id = h.system_id AND t.station_id = h.station_id AND t.hour_start = h.hour_start
LEFT JOIN flows f ON f.system_id = h.system_id AND f.station_id = h.station_id AND f.hour_start = h.hour_start
GROUP BY ALL ORDER BY ALL
"""


def station_hours(lines: list[Line]) -> list[Row]:
    """Flows and seconds of each station and UTC hour, where it has a reading in that hour or the 24 hours before.

    Worked out in SQL from a table of all readings of all good polls, times in milliseconds since 1970; `polls` counts
    the good polls of the hour that show the station, so `polls > 0` are the hours with readings.
    """
    good = [poll for of_system in _good_polls(lines).values() for poll in of_system]
    readings = [(poll.system_id, station_id, _ms(poll.at), row["bikes_available"], _state(row))
                for poll in good for station_id, row in poll.stations.items()]
    with duckdb.connect() as memory:
        memory.execute("CREATE TABLE good_poll (system_id TEXT, polled_at BIGINT)")
        memory.execute("CREATE TABLE reading "
                       "(system_id TEXT, station_id TEXT, polled_at BIGINT, bikes INT, state TEXT)")
        _fill(memory, "good_poll", [(poll.system_id, _ms(poll.at)) for poll in good])
        _fill(memory, "reading", readings)
        found = memory.execute(STATION_HOURS, {"hour": HOUR_MS, "max_gap": MAX_GAP // timedelta(milliseconds=1)})
        names = [column[0] for column in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [{**row, "hour_start": datetime.fromtimestamp(row["hour_start"] / 1000, UTC)} for row in rows]


def _ms(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _fill(memory: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Insert by columns: row by row takes minutes."""
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        unnested = ", ".join("unnest(?)" for _ in columns)
        memory.execute(f"INSERT INTO {table} SELECT {unnested}", columns)
