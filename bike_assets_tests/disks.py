"""A file system that can be full, for a test; only root can have one."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOM = 64 * 2**20


class SmallDisk:
    """It has room at first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, left: int = 0) -> None:
        """Leave so many bytes, of whole pages."""
        there = os.statvfs(self.path)
        used = (there.f_blocks - there.f_bfree) * there.f_frsize
        self._resize(max(used + left, there.f_frsize))

    def make_room(self) -> None:
        self._resize(ROOM)

    def _resize(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", self.path], check=True)


@contextmanager
def small_disk(owner: str | None = None, path: Path | None = None) -> Iterator[SmallDisk]:
    """One that is the owner's; mounted over the directory, where one is given."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk, and without one a disk cannot be full; CI runs as root")
    # Not below a directory that PostgreSQL's user may not enter.
    made = path or Path(tempfile.mkdtemp(prefix="bike-disk-"))
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=755", "tmpfs", made], check=True)
        try:
            if owner is not None:
                shutil.chown(made, owner, owner)
            yield SmallDisk(made)
        finally:
            subprocess.run(["umount", "--lazy", made], check=True)
    finally:
        if path is None:
            made.rmdir()
