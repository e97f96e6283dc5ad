"""Files that others may read while they are written: whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put the content in the place of what was there, also with two writers and a reader; make its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.touch()
    aside.chmod(mode)  # before there is anything in it: it may be a secret
    aside.write_bytes(content)
    aside.replace(path)
