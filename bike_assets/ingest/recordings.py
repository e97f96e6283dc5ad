"""Recordings: one HTTP answer a line, as `raw/` keeps them, `bike record` writes and `bike replay` reads.

The format stands in docs/recordings.md.
"""

import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import zstandard

from bike_assets.model.answers import Answer
from bike_assets.model.errors import NotARecording, NotWritten
from bike_assets.model.messages import Outcome
from bike_assets.sources.rows import NO_ID, UNREADABLE, why

_FAILURES = frozenset({Outcome.TIMEOUT, Outcome.TOO_LARGE, Outcome.HTTP_ERROR})

_SUFFIXES = (".jsonl", ".xz", ".gz", ".zst")
_NAMED = ".jsonl, .xz, .gz or .zst"


class Line(msgspec.Struct, omit_defaults=True):
    """A line. `error` is `<outcome>: <sentence>` where nothing was answered that could be read."""

    system_id: str
    feed: str
    fetched_at: datetime
    body: msgspec.Raw = msgspec.Raw()
    status: int | None = None
    request_id: str | None = None
    error: str | None = None
    body_base64: bytes | None = None
    seconds: float | None = None


_decode = msgspec.json.Decoder(Line).decode
_encode = msgspec.json.Encoder().encode


def encode_line(answer: Answer) -> bytes:
    """The answer as a line, its newline included. No URL is in it, so no key is."""
    line = Line(
        system_id=answer.system_id,
        feed=answer.feed,
        fetched_at=answer.fetched_at,
        status=answer.http_status,
        request_id=answer.request_id,
        error=None if answer.failure is None else f"{answer.failure}: {answer.error}",
        seconds=answer.seconds,
    )
    if answer.body:
        if _is_json(answer.body):
            # Inside JSON's strings a newline is escaped; elsewhere it is white space.
            line.body = msgspec.Raw(answer.body.replace(b"\n", b" ").replace(b"\r", b" "))
        else:
            line.body_base64 = answer.body
    return _encode(line) + b"\n"


def _is_json(body: bytes) -> bool:
    try:
        body.decode()
        msgspec.json.decode(body, type=msgspec.Raw)
    except UNREADABLE:
        return False
    return True


def decode_line(text: bytes, where: str) -> Answer:
    """The answer that a line keeps. Raises NotARecording naming `where`."""
    try:
        line = _decode(text)
    except UNREADABLE as err:
        raise NotARecording(f"{where} is no line of a recording: {why(err)}.") from None
    if not line.system_id or NO_ID.search(line.system_id):
        raise NotARecording(f"{where}: a system_id has neither a slash nor control characters, and is not empty.")
    if line.fetched_at.tzinfo is None:
        raise NotARecording(f"{where}: fetched_at has no time zone; write it with a Z.")
    at = line.fetched_at.astimezone(UTC)
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    failure, error = _failure(line.error)
    body = line.body_base64 if line.body_base64 is not None else bytes(line.body) or None
    status = line.status if line.status is not None or body is None else 200
    return Answer(
        system_id=line.system_id,
        feed=line.feed,
        fetched_at=at,
        request_id=line.request_id or f"{line.system_id}/{line.feed}/{at.isoformat()}",
        http_status=status,
        body=body,
        seconds=line.seconds,
        failure=failure if failure or body or status else Outcome.HTTP_ERROR,
        error=error,
    )


def _failure(error: str | None) -> tuple[Outcome | None, str | None]:
    if error is None:
        return None, None
    word, _, sentence = error.partition(": ")
    if word in _FAILURES:
        return Outcome(word), sentence
    return Outcome.HTTP_ERROR, error


def read_recording(path: Path) -> Iterator[Answer]:
    """The answers of a `.jsonl`, `.xz`, `.gz` or `.zst` file, in its order.

    A file that ends in the middle of a compressed frame (its writer was killed) ends there.
    """
    if not path.exists():
        raise NotARecording(f"{path} does not exist.")
    with _opened(path) as lines:
        number = 0
        try:
            for number, text in enumerate(lines, start=1):
                is_torn = not text.endswith(b"\n") and (number > 1 or path.suffix != ".jsonl")
                if not is_torn or _is_json(text):
                    yield decode_line(text, f"{path.name}, line {number}")
        except (EOFError, zstandard.ZstdError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as err:
            if number == 0:
                raise NotARecording(f"{path} cannot be decompressed: {err}.") from None


@contextmanager
def new_recording(path: Path) -> Iterator[Callable[[Answer], None]]:
    """What writes answers into a new `.jsonl`, `.xz`, `.gz` or `.zst` file, for as long as the block runs.

    Raises NotWritten where there is such a file already: no recording is written over.
    """
    if path.suffix not in _SUFFIXES:
        raise NotWritten(f"{path}: a recording ends in {_NAMED}, not in {path.suffix!r}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _created(path) as file:

            def write(answer: Answer) -> None:
                file.write(encode_line(answer))

            yield write
    except FileExistsError:
        raise NotWritten(f"{path} exists: give another name, or remove it first.") from None
    except OSError as err:
        raise NotWritten(f"{path} cannot be written: {err.strerror}.") from None


def _created(path: Path) -> BinaryIO:
    match path.suffix:
        case ".xz":
            return cast("BinaryIO", lzma.open(path, "xb"))
        case ".gz":
            return cast("BinaryIO", gzip.open(path, "xb"))
        case ".zst":
            return cast("BinaryIO", zstandard.ZstdCompressor().stream_writer(path.open("xb")))
        case _:
            return cast("BinaryIO", path.open("xb", buffering=0))


def _opened(path: Path) -> BinaryIO:
    match path.suffix:
        case ".xz":
            return cast("BinaryIO", lzma.open(path))
        case ".gz":
            return cast("BinaryIO", gzip.open(path))
        case ".zst":
            reader = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True)
            return cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", reader), 1 << 20))
        case ".jsonl":
            return path.open("rb")
        case other:
            raise NotARecording(f"{path}: a recording ends in {_NAMED}, not in {other!r}.")
