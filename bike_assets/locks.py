"""Who may write: one poller or replay a home, and one stream a checkpoint."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bike_assets.model.errors import AlreadyRunning


@contextmanager
def held(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock for as long as the block runs; it goes with the process, however that ends.

    Raises AlreadyRunning with `refusal` and the holder's pid where another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise AlreadyRunning(f"{refusal} (pid {holder(path)})") from None
    note = path.with_suffix(".pid")
    note.write_text(str(os.getpid()))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def holder(path: Path) -> str:
    """The pid of who holds the lock, as it noted it."""
    try:
        return path.with_suffix(".pid").read_text()
    except FileNotFoundError:
        return "unknown"
