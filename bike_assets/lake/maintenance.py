"""What keeps the tables small and quick to read: compaction, vacuum, retention. By `deltalake`, without a JVM.

All of it may run beside writers. Rows are moved, never changed: compacted files are marked as no new data, so that
no stream reads their rows again, and what `txnAppId` fixed stays in the log.
"""

import math
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from bike_assets.lake.rewriting import rewriting
from bike_assets.lake.rows import COMMIT_ONLY
from bike_assets.lake.tables import checkpoint, files_by_day, is_there, open_table, table_path
from bike_assets.lake.versions import Day, note_compaction
from bike_assets.model.errors import LakeBroken
from bike_assets.model.schema import Table

SMALL_BYTES = 128 * 2**20
TARGET_BYTES = 2 * SMALL_BYTES
"""Files are made so large. A day with more than one file under half of it can be made smaller."""

GATHERED_AT = 50
GATHERED_BYTES = 2**20
"""So many files of a day that are smaller than this are brought together while the day goes on. One that is larger
would be written many times until it is full, and have more rows than a batch of `live` takes without Spark."""

GATHERED_DAYS = 2
"""So many days, the newest, are looked after: it is done in the midst of a batch. All others are the night's."""

TRIES = 3
"""How often a commit is tried that another writer's got in the way of."""

ABANDONED_S = 3600
"""A file beside the log that has belonged to nothing for so long is nobody's."""

@dataclass(frozen=True, slots=True)
class Size:
    """How many files, and bytes in them."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Maintained:
    """What one task found and left, and the days that it rewrote or deleted.

    `left` are days that another writer got in the way of: they are as before, and are for the next night.
    """

    before: Size
    after: Size
    done: tuple[Day, ...] = ()
    left: tuple[Day, ...] = ()


_NOTHING = Maintained(Size(0, 0), Size(0, 0))


def compact(lake: Path, table: Table, days: Collection[date]) -> Maintained:
    """Bring these days into few files, near stations together; a table without days is brought as a whole.

    A day that is compact already is not rewritten. Sizes are those of the days, by the table's log; nothing where
    there is no table. Raises LakeBroken naming the table.
    """
    if not is_there(lake, table):
        return _NOTHING
    before = _sizes(lake, table)
    asked = sorted((day for day in before if day is None or day in days), key=str)
    scattered = [day for day in asked if _is_scattered(before[day])]
    with rewriting(lake, table) as may:
        done = tuple(day for day in scattered if may and _committed(lake, table, partial(_order, lake, table, day)))
    if done:
        checkpoint(open_table(lake, table), table)
    after = _sizes(lake, table)
    left = tuple(day for day in scattered if day not in done)
    return Maintained(_size_of(before, asked), _size_of(after, asked), done, left)


def gather(lake: Path, delta: DeltaTable, table: Table) -> None:
    """Bring the small files of each day together, where they are many: a batch each few seconds leaves 17,000 a day,
    and who reads the day opens all of them.

    For who appends, after each time. The files are looked at once in so many versions only, and none is rewritten once
    it is large enough. Raises LakeBroken naming the table.
    """
    if delta.version() % GATHERED_AT:
        return
    files = files_by_day(delta, table, "size_bytes")
    newest = sorted(files, key=str)[-GATHERED_DAYS:]
    with rewriting(lake, table) as may:
        for day in newest:
            if may and sum(size < GATHERED_BYTES for size in files[day]) >= GATHERED_AT:
                _committed(lake, table, partial(_join, lake, table, day))


def _join(lake: Path, table: Table, day: Day, delta: DeltaTable) -> None:
    delta.optimize.compact(
        partition_filters=_only(table, day),
        target_size=GATHERED_BYTES,
        post_commithook_properties=COMMIT_ONLY,
    )
    note_compaction(lake, table, day, delta)


def retain(lake: Path, table: Table, keep_days: int | None, today: date) -> Maintained:
    """Delete the days that are more than `keep_days` before today, in one commit; None keeps them all.

    The rows are gone at once, the files once `vacuum` finds them old enough. Sizes are those of the whole table, by
    its log. A table without days is left alone. Raises LakeBroken naming the table.
    """
    if not is_there(lake, table):
        return _NOTHING
    before = _sizes(lake, table)
    whole = _size_of(before, before)
    if keep_days is None:
        return Maintained(whole, whole)
    first_kept = today - timedelta(days=keep_days)
    old = tuple(sorted(day for day in before if day is not None and day < first_kept))
    if not old:
        return Maintained(whole, whole)
    where = f"{table.partitioned_by[0]} < DATE '{first_kept}'"
    if not _committed(lake, table, lambda delta: delta.delete(where, post_commithook_properties=COMMIT_ONLY)):
        return Maintained(whole, whole, left=old)
    after = _sizes(lake, table)
    return Maintained(whole, _size_of(after, after), done=old)


def vacuum(lake: Path, table: Table, older_than: timedelta = timedelta(days=7)) -> Maintained:
    """Remove files that nobody has referred to for so long, and log entries that the model lets go.

    Also files that no commit ever named, such as a killed writer's. Files are kept at least as long as the log:
    who reads an older version, or streams from it, finds them. Sizes are bytes on disk, log included.
    Raises LakeBroken naming the table.
    """
    if not is_there(lake, table):
        return _NOTHING
    before = _size_on_disk(table_path(lake, table))
    kept = max(older_than, timedelta(days=table.log_retention_days))
    delta = open_table(lake, table)
    with _broken(table):
        delta.vacuum(
            math.ceil(kept / timedelta(hours=1)),
            dry_run=False,
            enforce_retention_duration=False,  # of a week, whatever the table's log says; ours stands above
            full=True,
            post_commithook_properties=COMMIT_ONLY,
        )
        checkpoint(delta, table)
        delta.cleanup_metadata()
        _remove_checksums(table_path(lake, table) / "_delta_log")
    return Maintained(before, _size_on_disk(table_path(lake, table)))


def _remove_checksums(log: Path) -> None:
    """Remove what Hadoop and Spark wrote to go with log entries that are gone or were written anew.

    Each commit of Spark's has three such files, which deltalake does not know. A wrong one makes Spark's first look
    at a table slow: it tries several times before it does without.
    """
    (log / "._last_checkpoint.crc").unlink(missing_ok=True)
    # Those of commits before those of their checksums, for both have one. What is young may be half written.
    for file in sorted(log.glob("*.crc"), reverse=True):
        if not (log / _goes_with(file.name)).exists() and time.time() - file.stat().st_mtime > ABANDONED_S:
            file.unlink(missing_ok=True)


def _goes_with(checksum: str) -> str:
    """Hadoop's `.<file>.crc` goes with the file, Spark's `<version>.crc` with the commit."""
    if checksum.startswith("."):
        return checksum.removeprefix(".").removesuffix(".crc")
    return checksum.removesuffix(".crc") + ".json"


def _is_scattered(files: Collection[int]) -> bool:
    return sum(size < SMALL_BYTES for size in files) > 1


def _order(lake: Path, table: Table, day: Day, delta: DeltaTable) -> None:
    delta.optimize.z_order(
        ordered_by(table),
        partition_filters=_only(table, day),
        target_size=TARGET_BYTES,
        post_commithook_properties=COMMIT_ONLY,
    )
    note_compaction(lake, table, day, delta)


def _only(table: Table, day: Day) -> list[tuple[str, str, str]] | None:
    return None if day is None else [(table.partitioned_by[0], "=", day.isoformat())]


def ordered_by(table: Table) -> list[str]:
    """By what rows lie near each other: a vehicle or a station where there are any, else the grain within the day."""
    names = {column.name for column in table.columns}
    for key in ("vehicle_id", "station_id"):
        if names.issuperset(("system_id", key)):
            return ["system_id", key]
    return [name for name in table.grain if name not in table.partitioned_by]


def _committed(lake: Path, table: Table, work: Callable[[DeltaTable], object]) -> bool:
    """Do the work on the newest version; again where another writer changed what it read. Whether it was done."""
    for _ in range(TRIES):
        delta = open_table(lake, table)
        try:
            with _broken(table):
                work(delta)
        except CommitFailedError:
            continue
        return True
    return False


@contextmanager
def _broken(table: Table) -> Iterator[None]:
    """The library's errors as LakeBroken, but for a conflict with another writer."""
    try:
        yield
    except CommitFailedError:
        raise
    except (DeltaError, OSError) as err:
        raise LakeBroken(f"{table.name} could not be maintained: {str(err).splitlines()[0]}") from None


def _sizes(lake: Path, table: Table) -> dict[Day, list[int]]:
    """The bytes of each file of each day, by the table's newest log."""
    return files_by_day(open_table(lake, table), table, "size_bytes")


def _size_of(files: dict[Day, list[int]], days: Collection[Day]) -> Size:
    sizes = [size for day in days for size in files.get(day, ())]
    return Size(len(sizes), sum(sizes))


def _size_on_disk(path: Path) -> Size:
    sizes = []
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                sizes.append((Path(folder) / name).stat().st_size)
            except FileNotFoundError:
                continue  # a writer's temporary file
    return Size(len(sizes), sum(sizes))
