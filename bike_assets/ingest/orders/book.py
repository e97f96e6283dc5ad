"""Which versions of orders are known: a SQLite file beside Kafka, never ahead of it.

It is a copy of the topic, with the offsets up to which it was copied in the same transaction. So a writer that was
killed finds out from the topic's end what it had stored, and a book that is lost is written anew from the topic.
What is older than any order that is taken is forgotten, some entries at a time.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

from bike_assets.model.errors import NotWritten

_TABLES = """
    CREATE TABLE IF NOT EXISTS versions (
        order_id TEXT, version INTEGER, content BLOB NOT NULL, PRIMARY KEY (order_id, version)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS copied (partition INTEGER PRIMARY KEY, offset INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS kafka (cluster_id TEXT NOT NULL);
"""


SWEPT = 5_000
"""So many entries are looked at in a sweep: they keep the orders waiting for some ms."""

_NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY")
"""SQLite's errors that another file would not mend."""

_MADE = "json_extract(CAST(content AS TEXT), '$.created_at')"
_BEFORE_ALL = ("", 0)


class Key(NamedTuple):
    """What a version of an order is known by."""

    order_id: str
    version: int


class Book:
    """The versions that the topic holds, or held. Used by one thread. Every method raises NotWritten."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        with self._told():
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            # After a power cut the newest entries may lack: they are copied from the topic again.
            self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_TABLES}")
        self._swept = _BEFORE_ALL

    def of_cluster(self, cluster_id: str, ends: Mapping[int, int]) -> None:
        """Begin anew where the book is of another Kafka, or of one that has lost what it was copied from."""
        with self._told():
            row = self._db.execute("SELECT cluster_id FROM kafka").fetchone()
        is_ahead = any(offset > ends.get(partition, 0) for partition, offset in self.copied().items())
        if row is not None and row[0] == cluster_id and not is_ahead:
            return
        with self._transaction():
            for table in ("versions", "copied", "kafka"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608  three names of our own
            self._db.execute("INSERT INTO kafka VALUES (?)", (cluster_id,))

    def copied(self) -> dict[int, int]:
        """The offset behind the last message that is in the book, by partition."""
        with self._told():
            return dict(self._db.execute("SELECT partition, offset FROM copied").fetchall())

    def known(self, keys: Iterable[Key]) -> dict[Key, bytes]:
        """What is known of these versions, as the topic has it."""
        found = {}
        with self._told(), closing(self._db.cursor()) as cursor:
            for key in keys:
                row = cursor.execute("SELECT content FROM versions WHERE order_id = ? AND version = ?", key).fetchone()
                if row is not None:
                    found[key] = row[0]
        return found

    def note(self, contents: Mapping[Key, bytes], copied: Mapping[int, int]) -> None:
        """Add what the topic holds, with how far it was copied. What is known stays: the first of a version counts."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO versions VALUES (?, ?, ?)", ((*key, each) for key, each in contents.items())
            )
            self._db.executemany("INSERT OR REPLACE INTO copied VALUES (?, ?)", copied.items())

    def sweep(self, first: date) -> int:
        """Forget what was made before the day `first`, among the next SWEPT entries; how many those were.

        In the order of the keys, and from the beginning again after the last: an index by age would cost each insert.
        """
        after = "SELECT order_id, version FROM versions WHERE (order_id, version) > (?, ?) ORDER BY 1, 2"
        with self._told():
            last = self._db.execute(f"{after} LIMIT 1 OFFSET {SWEPT - 1}", self._swept).fetchone()
        until = "" if last is None else "AND (order_id, version) <= (?, ?)"
        with self._transaction():
            gone = self._db.execute(
                f"DELETE FROM versions WHERE (order_id, version) > (?, ?) {until} AND {_MADE} < ?",  # noqa: S608
                (*self._swept, *(last or ()), first.isoformat()),
            ).rowcount
        self._swept = last or _BEFORE_ALL
        return gone

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing."""
        with self._told():
            self._db.execute("BEGIN")
            with self._db:
                yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors with what is to be done: room made, or the file moved away, which loses nothing."""
        try:
            yield
        except sqlite3.Error as err:
            if getattr(err, "sqlite_errorname", "").startswith(_NO_ROOM):
                raise NotWritten(f"{self._path} cannot be written ({err}): is the disk full, or read-only?") from None
            raise NotWritten(
                f"{self._path} is broken ({err}): move it, and its -wal and -shm, away, and it is made anew from Kafka."
            ) from None
