"""Files that others may read while they are written: whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes, mode: int | None = None) -> None:
    """Put the content in the place of what was there, also with two writers and a reader; make its directory.

    Without `mode` it is as the user's umask makes files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    if mode is not None:
        aside.touch()
        aside.chmod(mode)  # before there is anything in it: it may be a secret
    aside.write_bytes(content)
    aside.replace(path)
