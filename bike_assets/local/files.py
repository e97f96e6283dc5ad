"""Files that a command was asked to write: whole or not at all."""

import os
import stat
from pathlib import Path

from bike_assets.files import write_whole
from bike_assets.model.errors import NotWritten


def refuse_unwritable(path: Path) -> None:
    """Make the file's directory where it is missing. Raises NotWritten where the file could not be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise NotWritten(f"{path} cannot be written: {err.strerror}.") from None
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise NotWritten(f"{path} cannot be written: it is a directory, or in one that may not be written to.")


def write_asked(path: Path, text: str) -> None:
    """Put the text in the place of what was there, with its mode, and behind a link that leads to it.

    Raises NotWritten.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
        write_whole(path.resolve(), text.encode(), mode)
    except OSError as err:
        raise NotWritten(f"{path} cannot be written: {err.strerror}.") from None
