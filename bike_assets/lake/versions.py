"""Which version of its rows each day of a table has: another one once rows were written, the same one when files were.

A version is told by the files. Where a compaction has put others in the place of those, the version that these had is
noted for them beside the table, for the log forgets within days what moved what. A note that was never written, of a
compaction that was killed just after its commit, makes the day seem newer than it is, and no more.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable

from bike_assets.files import write_whole
from bike_assets.lake.tables import actions_of, files_by_day, is_there, open_table
from bike_assets.model.schema import Table

Day = date | None
"""A day of a table; None is the whole of a table without days."""


def versions(lake: Path, table: Table) -> dict[Day, str]:
    """The version of each day of which the table has files. Raises LakeBroken."""
    if not is_there(lake, table):
        return {}
    files = _files(open_table(lake, table), table)
    moved = _moved(lake, table)
    return {day: _version(moved, paths) for day, paths in files.items()}


def note_compaction(lake: Path, table: Table, day: Day, delta: DeltaTable) -> None:
    """Note that the files which the newest commit of `delta`, a compaction of the day, has made hold no new rows."""
    added, removed = _compacted(delta)
    files, moved = _files(delta, table), _moved(lake, table)
    if not added or not added <= files[day]:
        return  # it was compact already, and the commit is another's
    before = files[day] - added | removed
    noted = moved | {_hash(files[day]): _version(moved, before)}
    there = {_hash(paths) for paths in files.values()}
    kept = {made: version for made, version in noted.items() if made in there}
    write_whole(_note(lake, table), json.dumps(kept).encode())


def _compacted(delta: DeltaTable) -> tuple[set[str], set[str]]:
    """The files that the newest commit added and removed; none where it changed any row."""
    actions = actions_of(delta, delta.version()) or []
    adds, removes = ([each[kind] for each in actions if kind in each] for kind in ("add", "remove"))
    if any(each["dataChange"] for each in (*adds, *removes)):
        return set(), set()
    return {unquote(each["path"]) for each in adds}, {unquote(each["path"]) for each in removes}


def _files(delta: DeltaTable, table: Table) -> dict[Day, set[str]]:
    """The paths of each day's files."""
    return {day: set(map(unquote, paths)) for day, paths in files_by_day(delta, table, "path").items()}


def _version(moved: dict[str, str], paths: Iterable[str]) -> str:
    told = _hash(paths)
    return moved.get(told, told)


def _hash(paths: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(paths)).encode()).hexdigest()[:32]


def _moved(lake: Path, table: Table) -> dict[str, str]:
    """Versions by the hash of the files that a compaction made of theirs."""
    try:
        found: dict[str, str] = json.loads(_note(lake, table).read_bytes())
    except (FileNotFoundError, ValueError):  # never written, or torn by a power cut
        return {}
    return found


def _note(lake: Path, table: Table) -> Path:
    return lake / "_versions" / f"{table.name}.json"
