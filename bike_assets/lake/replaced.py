"""Rows taken out of the tables, because what comes in their place is on its way."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from bike_assets.lake.rows import COMMIT_ONLY
from bike_assets.lake.tables import checkpoint, is_there, open_table
from bike_assets.model.errors import LakeBroken
from bike_assets.model.messages import StationInformation, SystemInformation
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_REJECTIONS,
    EVENTS_STATION_INFORMATION,
    EVENTS_SYSTEM_INFORMATION,
    EVENTS_TABLES,
    LIVE_SYSTEM_MINUTE,
    LIVE_VEHICLES_SYSTEM_MINUTE,
)

TRIES = 3
"""How often a table is tried that a compaction got in the way of."""

_LIVE = (LIVE_SYSTEM_MINUTE, LIVE_VEHICLES_SYSTEM_MINUTE)

_INSTANT = {
    table: next(name for name in table.grain if name.endswith("_at"))
    for table in EVENTS_TABLES if "system_id" in table.grain
} | dict.fromkeys(_LIVE, "minute")  # fmt: skip

# A poll out of order made nothing and is in no recording; a message that was unreadable tells of Kafka, not of a feed.
_ONLY = {EVENTS_POLLS: "outcome <> 'out_of_order'", EVENTS_REJECTIONS: "reason NOT LIKE 'unreadable_message%'"}


def take_out(lake: Path, cuts: Mapping[str, datetime]) -> None:
    """Take out all rows of these systems from their cuts on. A second time nothing is left to do."""
    for table, instant in _INSTANT.items():
        whole_minute = table in _LIVE
        own = [_of_system(table, instant, system_id, _minute(at) if whole_minute else at)
               for system_id, at in sorted(cuts.items())]  # fmt: skip
        _delete(lake, table, " OR ".join(own))


def take_out_descriptions(
    lake: Path, stations: Iterable[StationInformation], systems: Iterable[SystemInformation]
) -> None:
    """Take out these very rows, which come again as messages."""
    by_poll = defaultdict(list)
    for each in stations:
        by_poll[each.system_id, each.observed_at].append(each.station_id)
    told = [
        f"({_at(system_id, at)} AND station_id IN ({', '.join(map(_text, ids))}))"
        for (system_id, at), ids in sorted(by_poll.items())
    ]
    if told:
        _delete(lake, EVENTS_STATION_INFORMATION, " OR ".join(told))
    of_systems = [f"({_at(each.system_id, each.observed_at)})" for each in systems]
    if of_systems:
        _delete(lake, EVENTS_SYSTEM_INFORMATION, " OR ".join(of_systems))


def _of_system(table: Table, instant: str, system_id: str, at: datetime) -> str:
    day = f"utc_date >= DATE '{at.astimezone(UTC):%Y-%m-%d}' AND " if table.partitioned_by else ""
    only = f" AND {_ONLY[table]}" if table in _ONLY else ""
    return f"({day}system_id = {_text(system_id)} AND {instant} >= '{_instant(at)}'{only})"


def _at(system_id: str, at: datetime) -> str:
    day = at.astimezone(UTC)
    return f"utc_date = DATE '{day:%Y-%m-%d}' AND system_id = {_text(system_id)} AND observed_at = '{_instant(at)}'"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _delete(lake: Path, table: Table, where: str) -> None:
    if not is_there(lake, table):
        return
    for tries in range(TRIES):
        delta = open_table(lake, table)
        try:
            _delete_once(delta, table, where)
            return
        except CommitFailedError as err:
            if tries == TRIES - 1:
                raise LakeBroken(f"{table.name} is written by another: {str(err).splitlines()[0]}") from None


def _delete_once(delta: DeltaTable, table: Table, where: str) -> None:
    try:
        delta.delete(where, post_commithook_properties=COMMIT_ONLY)
        checkpoint(delta, table)
    except CommitFailedError:
        raise
    except (DeltaError, OSError) as err:
        raise LakeBroken(f"{table.name} could not be written: {str(err).splitlines()[0]}") from None
