"""Dagster's own home within ours, and the sockets of a home."""

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from bike_assets.files import write_whole
from bike_assets.model.errors import NotPrivate
from bike_assets.settings import Settings

CHECKOUT = Path(__file__).parents[2]
"""Where workspace.yaml and dagster.yaml stand."""


_RECORD = """
# Dagster's own record in SQLite, which takes the events of a range of days together.
storage:
  custom:
    module: bike_assets.defs.storage
    class: Storage
    config:
      base_dir: {env: DAGSTER_HOME}
"""


def instance_settings() -> str:
    """The instance's settings of the checkout, with the record that is ours.

    That is not in the checkout's file, which is also for who loads the definitions without a home, as `dagster dev` and
    `dg check defs` do: Dagster tells no storage but its own where its temporary one is.
    """
    return (CHECKOUT / "dagster.yaml").read_text() + _RECORD


def socket_of(home: Path, what: str) -> Path:
    """In a directory of the temporary one: a socket's path may have 100 characters, a home's more."""
    name = hashlib.sha256(str(home).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bike-{os.getuid()}" / f"{name}-{what}.sock"


def make_private(sockets: Path) -> None:
    """Make the directory of the sockets: who comes to one of them can start programs as this user.

    Its name is no secret, and anybody may make a directory there. Raises NotPrivate where somebody did.
    """
    with suppress(FileExistsError):
        sockets.mkdir(mode=0o700)
    if not is_private(sockets):
        raise NotPrivate(f"{sockets} is not a directory that only you may enter: remove it, or set TMPDIR to another.")


def is_private(directory: Path) -> bool:
    """Whether it is there, of this user, no link, and for nobody else."""
    with suppress(OSError):
        found = directory.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_mode & 0o777 == 0o700 and found.st_uid == os.getuid()
    return False


def dagster_home(settings: Settings) -> Path:
    """Dagster's own home within ours, with the instance's settings."""
    home = settings.home / "dagster"
    write_whole(home / "dagster.yaml", instance_settings().encode())
    return home
