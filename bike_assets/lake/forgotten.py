"""Members taken out of `events.users`: their rows, and every file that ever held one.

No commit names whom it was about: days are replaced by what is left of them. The log has no values of these rows at
all (`Table.is_personal`), so that it may stay; older versions whose files are gone cannot be read any more.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from bike_assets.lake.maintenance import ABANDONED_S
from bike_assets.lake.rewriting import rewriting
from bike_assets.lake.rows import read_rows, replace_days
from bike_assets.lake.tables import is_there, open_table, table_path
from bike_assets.model.errors import LakeBroken, NotForgotten
from bike_assets.model.tables import EVENTS_USERS

FORGETTINGS = "forgettings"
"""The application under whose name the table counts how often members were taken out of it."""

TRIES = 20
COMPACTED_S = 300.0
"""So long is waited for a compaction that is under way."""

_KEY = EVENTS_USERS.grain[0]


@dataclass(frozen=True, slots=True)
class TakenOut:
    """How many rows, and how many files that held them."""

    rows: int
    files: int


def ids_by_email(lake: Path, email_hash: str) -> set[str]:
    """The members of the table whose address has this hash."""
    if not is_there(lake, EVENTS_USERS):
        return set()
    rows = read_rows(open_table(lake, EVENTS_USERS), EVENTS_USERS)
    return set(rows.filter(pc.equal(rows["email_hash"], email_hash))[_KEY].to_pylist())


def has_member(lake: Path, member_id: str) -> bool:
    """Whether the table has a row of this member."""
    if not is_there(lake, EVENTS_USERS):
        return False
    return member_id in read_rows(open_table(lake, EVENTS_USERS), EVENTS_USERS)[_KEY].to_pylist()


def take_out_members(lake: Path, member_ids: Collection[str], wait_s: float = COMPACTED_S) -> TakenOut:
    """Take them out of the newest version, then remove each file of the table that holds a row of theirs.

    The caller has made sure that no message of theirs is still on its way into the table. Others may go on to bring
    new rows; a compaction waits, or is waited for. Raises LakeBroken, and NotForgotten where that takes too long, or a
    file cannot be judged yet.
    """
    if not is_there(lake, EVENTS_USERS):
        return TakenOut(0, 0)
    with rewriting(lake, EVENTS_USERS, wait_s) as may:
        if not may:
            told = f"{EVENTS_USERS.name} is being compacted, for over {wait_s:.0f} s"
            raise NotForgotten(f"{told}: do the same again later.")
        return TakenOut(_take_out_rows(lake, member_ids), _remove_files(lake, member_ids))


def _take_out_rows(lake: Path, member_ids: Collection[str]) -> int:
    for _ in range(TRIES):
        delta = open_table(lake, EVENTS_USERS)
        rows = read_rows(delta, EVENTS_USERS)
        theirs = pc.is_in(rows[_KEY], pa.array(sorted(member_ids), pa.string()))
        days: list[date] = rows.filter(theirs)["utc_date"].unique().to_pylist()
        if not days:
            return 0
        is_of_days = pc.is_in(rows["utc_date"], pa.array(days, pa.date32()))
        left = rows.filter(pc.and_(is_of_days, pc.invert(theirs)))
        try:
            replace_days(delta, EVENTS_USERS, left, days, FORGETTINGS, forgettings(delta) + 1)
        except CommitFailedError:
            continue  # another has written meanwhile
        return int(pc.sum(theirs).as_py())
    raise LakeBroken(f"{EVENTS_USERS.name} is written by others all the time: do it again.")


def forgettings(delta: DeltaTable) -> int:
    """How often members were taken out of the table."""
    return delta.transaction_version(FORGETTINGS) or 0


def _remove_files(lake: Path, member_ids: Collection[str]) -> int:
    """Remove what the newest version does not name and holds a row of theirs, whoever wrote it and why."""
    root = table_path(lake, EVENTS_USERS)
    found = [path for path in root.rglob("*") if path.is_file() and "_delta_log" not in path.parts]
    named = {Path(unquote(uri.removeprefix("file://"))) for uri in open_table(lake, EVENTS_USERS).file_uris()}
    removed, unclear = 0, []
    for path in found:
        try:
            if path not in named and _is_to_go(path, member_ids):
                path.unlink(missing_ok=True)
                removed += 1
        except NotForgotten as err:
            unclear.append(err)
    if unclear:
        raise unclear[0]
    return removed


def _is_to_go(path: Path, member_ids: Collection[str]) -> bool:
    if path.name.endswith(".crc"):
        return False  # checksums
    try:
        ids = pq.ParquetFile(path).read([_KEY])[_KEY]
    except FileNotFoundError:
        return False
    except (pa.ArrowException, OSError, KeyError):
        return _is_abandoned(path)
    return bool(set(ids.unique().to_pylist()) & set(member_ids))


def _is_abandoned(path: Path) -> bool:
    """Whether a file that cannot be read is nobody's. Raises NotForgotten where it may still be written."""
    if time.time() - path.stat().st_mtime > ABANDONED_S:
        return True
    raise NotForgotten(
        f"{path.name} of {EVENTS_USERS.name} is being written, or its writer was killed within the last hour: nobody "
        "can tell what is in it. Do the same again later."
    )
