"""What is known of a database without asking it: how far it is behind, while it is down too."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bike_assets.exports.serve import Book, Lag, lag
from bike_assets.files import write_whole


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What the last export saw: the database's book, and what was wrong, where something was."""

    at: datetime
    error: str | None
    book: list[tuple[str, str, str]]


def write_note(path: Path, book: Book | None, error: str | None) -> None:
    """Keep what an export saw. Without a book, as it could not be read, the one of before stays."""
    before = read_note(path)
    rows = [(*key, version) for key, version in book.items()] if book is not None else before.book if before else []
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(Note(at=datetime.now(UTC), error=error, book=rows)))


def read_note(path: Path) -> Note | None:
    """The last export's note; None where there was none."""
    if not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=Note)


def lag_of(lake: Path, note: Note) -> Lag:
    """How far the database is behind, as far as is known."""
    return lag(lake, {(table, part): version for table, part, version in note.book})
