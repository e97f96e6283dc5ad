"""One at a time makes files of a table of people out of older ones.

A compaction reads a file and writes its rows into another one, which is nobody's where its commit comes too late. So
while a member is taken out of all files, none may be under way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bike_assets.model.schema import Table


@contextmanager
def rewriting(lake: Path, table: Table, wait_s: float = 0.0) -> Iterator[bool]:
    """Whether this process may, for as long as the block runs; another one is waited for so long.

    What holds it goes with its process. In other tables anybody may.
    """
    if not table.is_personal:
        yield True
        return
    lock = FileLock(lake / "_locks" / f"{table.name}.lock")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
