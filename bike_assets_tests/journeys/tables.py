"""The tables as `bike sql --json` shows them, beside what the oracle says must stand in them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from bike_assets_tests.oracle.events import (
    Line,
    information_rows,
    poll_rows,
    station_status_rows,
    system_minute_rows,
)

Row = dict[str, Any]
KAFKA = {"kafka_partition", "kafka_offset"}


@dataclass(frozen=True)
class Told:
    """A table of which the oracle tells every row; `untold` are its columns of which it tells nothing."""

    name: str
    grain: tuple[str, ...]
    rows: Callable[[list[Line]], list[Row]]
    untold: frozenset[str] = frozenset()

    @property
    def instant(self) -> str:
        """The column by which the table is partitioned, if it is."""
        return self.grain[-1]


TOLD = (
    Told("events.station_status", ("system_id", "station_id", "observed_at"), station_status_rows),
    Told("events.polls", ("system_id", "feed", "fetched_at"), poll_rows,
         frozenset({"request_id", "seconds", "bytes", "error"})),
    Told("events.station_information", ("system_id", "station_id", "observed_at"), information_rows),
    Told("live.system_minute", ("system_id", "minute"), system_minute_rows),
)


def expected(table: Told, lines: list[Line]) -> list[Row]:
    """The rows that must stand in a table, in the order of its key."""
    rows = table.rows(lines)
    if table.name.startswith("events."):
        rows = [{**row, "utc_date": f"{row[table.instant]:%Y-%m-%d}"} for row in rows]
    return sorted(rows, key=lambda row: [row[name] for name in table.grain])


class Asked(Protocol):
    """Whoever answers a question of the tables."""

    def rows(self, query: str) -> list[Row]: ...


def found(home: Asked, table: Told, systems: str = "true") -> list[Row]:
    """The rows that stand in a table, in the order of its key, without what the oracle does not tell.

    `systems` is a condition in SQL.
    """
    rows = home.rows(f"SELECT * FROM {table.name} WHERE {systems} ORDER BY {', '.join(table.grain)}")  # noqa: S608
    return [_plain(row, table.untold | KAFKA) for row in rows]


def _plain(row: Row, without: frozenset[str]) -> Row:
    return {name: _instant(name, value) for name, value in row.items() if name not in without}


def _instant(name: str, value: Any) -> Any:
    is_instant = isinstance(value, str) and (name.endswith(("_at", "_since")) or name == "minute")
    return datetime.fromisoformat(value).astimezone(UTC) if is_instant else value


def first_difference(found: list[Row], expected: list[Row]) -> Any:
    """None where the rows are equal; else the first that differs, for a message that can be read."""
    if found == expected:
        return None
    for mine, theirs in zip(found, expected, strict=False):
        if mine != theirs:
            names = sorted(mine.keys() ^ theirs.keys()) or [name for name in mine if mine[name] != theirs[name]]
            return {"differs in": names, "found": mine, "expected": theirs}
    return {"rows found": len(found), "rows expected": len(expected), "first beyond": [
        *found[len(expected):], *expected[len(found):]][0]}
