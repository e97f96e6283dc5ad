"""Where texts stand in the bytes of files, whoever wrote them: what is packed is unpacked first."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard


def files_with(root: Path, texts: Iterable[str]) -> dict[str, set[str]]:
    """The files under a directory that hold one of the texts, by text; symbolic links are not followed."""
    wanted = {text: text.encode() for text in texts}
    found: dict[str, set[str]] = {text: set() for text in wanted}
    for path in _files(root):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # its writer was done with it
        for text, needle in wanted.items():
            if any(needle in each for each in (content, _unpacked(content))):
                found[text].add(str(path.relative_to(root)))
    return found


def _files(root: Path) -> Iterator[Path]:
    for path in root.iterdir():
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path


def _unpacked(content: bytes) -> bytes:
    """What a Parquet file or a Zstandard frame has in it; nothing of any other file."""
    if content[:4] == b"PAR1":
        try:
            table = pq.read_table(io.BytesIO(content))
        except (pa.ArrowException, OSError):
            return b""
        return "\n".join(str(value) for column in table.columns for value in column.to_pylist()).encode()
    if content[:4] == b"\x28\xb5\x2f\xfd":
        return zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True).read()
    return b""
