"""What the sales know of each order: its highest version, and the sums over these; a SQLite file beside the tables.

It is made of the tables, and says of which versions of them, in the transaction that changes it. Nothing is lost with
it: it is made anew.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from bike_assets.model.errors import LakeBroken

_TABLES = """
    CREATE TABLE IF NOT EXISTS latest (
        order_id TEXT PRIMARY KEY, version INTEGER, source TEXT, state TEXT, quantity INTEGER, cents INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS sums (
        source TEXT, state TEXT, orders INTEGER, quantity INTEGER, cents TEXT, PRIMARY KEY (source, state)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS made_of (name TEXT PRIMARY KEY, table_id TEXT, version INTEGER);
"""
AT_ONCE = 50_000


class OrderRow(NamedTuple):
    """A version of an order, under the state of its customer."""

    order_id: str
    version: int
    source: str
    state: str
    quantity: int
    cents: int


class Made(NamedTuple):
    """A version of a table."""

    table_id: str
    version: int


@contextmanager
def opened_latest(path: Path) -> Iterator["Latest"]:
    """The file, made where it is missing. Raises LakeBroken; one that is broken is removed before, to be made anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_TABLES}")
            yield Latest(path, db)
        finally:
            db.close()
    except sqlite3.Error as err:
        if getattr(err, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                each.unlink(missing_ok=True)
            raise LakeBroken(f"{path} was broken ({err}), and is made anew.") from None
        raise LakeBroken(f"{path} cannot be written ({err}): is the disk full?") from None


class Latest:
    """The highest version of each order, and the sums. Every method raises what SQLite raises."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path, self._db = path, db

    def made_of(self) -> dict[str, Made]:
        """The version of each table that it was made of; none before the first."""
        return {name: Made(*made) for name, *made in self._db.execute("SELECT name, table_id, version FROM made_of")}

    @contextmanager
    def changed(self, made_of: Mapping[str, Made]) -> Iterator[None]:
        """What the block adds and that it is made of these versions, all or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield
            noted = ((name, *made) for name, made in made_of.items())
            self._db.executemany("INSERT OR REPLACE INTO made_of VALUES (?, ?, ?)", noted)

    def add(self, rows: Iterable[OrderRow]) -> None:
        """Add versions: one that is higher than what is known of its order takes its place."""
        sums = _Sums()
        for row in rows:
            found = self._db.execute("SELECT * FROM latest WHERE order_id = ?", (row.order_id,)).fetchone()
            was = found and OrderRow._make(found)
            if was and was.version >= row.version:
                continue
            if was:
                sums.count(was, -1)
            sums.count(row)
            self._db.execute("INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?, ?)", row)
        self._sum(sums)

    def add_all(self, rows: Iterable[OrderRow]) -> None:
        """Put these in the place of all that is known. They come by order, and of each order by version."""
        for table in ("latest", "sums", "made_of"):
            self._db.execute(f"DELETE FROM {table}")
        sums = _Sums()
        highest = (list(versions)[-1] for _, versions in groupby(rows, attrgetter("order_id")))
        while lot := list(islice(highest, AT_ONCE)):
            for row in lot:
                sums.count(row)
            self._db.executemany("INSERT INTO latest VALUES (?, ?, ?, ?, ?, ?)", lot)
        self._sum(sums)

    def sums(self) -> list[dict[str, Any]]:
        """Rows of `live.orders_by_source_state`."""
        found = self._db.execute("SELECT source, state, orders, quantity, cents FROM sums ORDER BY source, state")
        return [
            {"source": source, "state": state, "orders": orders, "quantity": quantity,
             "total": Decimal(cents).scaleb(-2)}
            for source, state, orders, quantity, cents in found
        ]  # fmt: skip

    def _sum(self, sums: "_Sums") -> None:
        for key, (orders, quantity, cents) in sums.items():
            query = "SELECT orders, quantity, cents FROM sums WHERE source = ? AND state = ?"
            was = self._db.execute(query, key).fetchone() or (0, 0, "0")
            now = was[0] + orders, was[1] + quantity, str(int(was[2]) + cents)  # in all, more than 64 bits hold
            if now[0]:
                self._db.execute("INSERT OR REPLACE INTO sums VALUES (?, ?, ?, ?, ?)", (*key, *now))
            else:
                self._db.execute("DELETE FROM sums WHERE source = ? AND state = ?", key)


class _Sums(defaultdict[tuple[str, str], tuple[int, int, int]]):
    """Orders, quantity and cents by source and state."""

    def __init__(self) -> None:
        super().__init__(lambda: (0, 0, 0))

    def count(self, row: OrderRow, times: int = 1) -> None:
        orders, quantity, cents = self[row.source, row.state]
        self[row.source, row.state] = orders + times, quantity + times * row.quantity, cents + times * row.cents
