"""What stands in `events.rejections`: how often for which reason, and the rows themselves."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from bike_assets.lake.duck import broken_table, connect
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_REJECTIONS

TABLES = (EVENTS_REJECTIONS, EVENTS_POLLS)
"""What is looked at."""

MOST = 50
"""So many pairs of a system and a reason are counted in a metadata or a status: a broken feed has a few."""

# Without what is of one row or message only: an id, a place.
_REASON = """
    CASE WHEN starts_with(reason, 'duplicate') THEN 'duplicate'
         WHEN starts_with(reason, 'unreadable_message') THEN 'unreadable_message' ELSE reason END"""

OF_FEEDS = "NOT starts_with(reason, 'unreadable_message')"
"""What a feed told, and not what somebody else wrote into its topic."""


def by_reason(
    con: duckdb.DuckDBPyConnection, system_id: str | None = None, feed: str | None = None,
    since: datetime | None = None, until: datetime | None = None,
) -> list[dict[str, Any]]:
    """Rows by system, feed and reason, the most frequent first: `rows`, `first_at`, `last_at` and the newest's
    `example`. `until` is not included.
    """
    where, given = _picked(system_id, feed, since, until)
    return _rows(con, f"""
        SELECT system_id, feed, {_REASON} AS reason, count(*) AS rows, min(fetched_at) AS first_at,
               max(fetched_at) AS last_at, arg_max(coalesce(payload, ''), fetched_at) AS example
        FROM {EVENTS_REJECTIONS.name} WHERE {where}
        GROUP BY ALL ORDER BY rows DESC, system_id, feed, reason""", given)  # fmt: skip


def counted(lake: Path, since: datetime, until: datetime | None = None) -> dict[str, dict[str, int]]:
    """Refused rows by system and reason, the MOST frequent pairs of both. Raises LakeBroken."""
    found: dict[str, dict[str, int]] = {}
    with connect(lake, (EVENTS_REJECTIONS,)) as con:
        try:
            groups = by_reason(con, since=since, until=until)
        except duckdb.Error as err:
            raise broken_table(lake, err) or err from None
    for each in groups[:MOST]:
        reasons = found.setdefault(each["system_id"], {})
        reasons[each["reason"]] = reasons.get(each["reason"], 0) + each["rows"]
    return found


def newest(
    con: duckdb.DuckDBPyConnection, limit: int, system_id: str, feed: str | None = None,
    since: datetime | None = None,
) -> list[dict[str, Any]]:
    """Refused rows of a system as they came, the newest first, with what became of their poll."""
    where, given = _picked(system_id, feed, since, None)
    return _rows(con, f"""
        SELECT system_id, feed, fetched_at, row_index, reason, payload, outcome, http_status, rows_in, rows_rejected
        FROM (FROM {EVENTS_REJECTIONS.name} WHERE {where} ORDER BY fetched_at DESC, row_index LIMIT {limit:d})
        LEFT JOIN (SELECT system_id, feed, fetched_at, outcome, http_status, rows_in, rows_rejected
                   FROM {EVENTS_POLLS.name}) USING (system_id, feed, fetched_at)
        ORDER BY fetched_at DESC, row_index""", given)  # fmt: skip


def was_asked(con: duckdb.DuckDBPyConnection, system_id: str) -> bool:
    """Whether the tables have a poll of the system, or something that was refused of it."""
    return any(
        con.execute(f"SELECT 1 FROM {table.name} WHERE system_id = $1 LIMIT 1", [system_id]).fetchall()
        for table in TABLES
    )


def first_rejected(
    con: duckdb.DuckDBPyConnection, system_id: str, feed: str | None, since: datetime
) -> datetime | None:
    """The first poll since then of which something was refused."""
    where, given = _picked(system_id, feed, since, None)
    [(at,)] = con.execute(
        f"SELECT min(fetched_at) FROM {EVENTS_REJECTIONS.name} WHERE {where} AND {OF_FEEDS}", given
    ).fetchall()
    return None if at is None else at.astimezone(UTC)


def _picked(
    system_id: str | None, feed: str | None, since: datetime | None, until: datetime | None
) -> tuple[str, list[Any]]:
    """The condition and its values; by the date too, so that no file of other days is read."""
    parts: list[tuple[str, Sequence[Any]]] = []
    if system_id is not None:
        parts.append(("system_id = ?", [system_id]))
    if feed is not None:
        parts.append(("feed = ?", [feed]))
    if since is not None:
        parts.append(("fetched_at >= ? AND utc_date >= ?", [since, since.astimezone(UTC).date()]))
    if until is not None:
        parts.append(("fetched_at < ? AND utc_date <= ?", [until, until.astimezone(UTC).date()]))
    return " AND ".join(["true", *(text for text, _ in parts)]), [each for _, values in parts for each in values]


def _rows(con: duckdb.DuckDBPyConnection, query: str, given: list[Any]) -> list[dict[str, Any]]:
    found = con.execute(query, given)
    names = [column[0] for column in found.description or []]
    return [
        {name: value.astimezone(UTC) if isinstance(value, datetime) else value
         for name, value in zip(names, row, strict=True)}
        for row in found.fetchall()
    ]  # fmt: skip
