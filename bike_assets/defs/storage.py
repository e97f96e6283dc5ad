"""Dagster's record in SQLite, which takes the events of a range of days together and waits less for the disk.

A year of a table is 730 events: each day's, planned and done. Dagster's own storage opens two files and waits for the
disk twice for each of them, 10 to 20 ms; together they take a twentieth of that. PostgreSQL's storage does this by
itself. Events that come alone wait for no disk either, and find their file open: see `EventLog`.
"""

import os
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from dagster import EventLogEntry
from dagster._core.events import ASSET_EVENTS, BATCH_WRITABLE_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorageWatchdog
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from watchdog.events import FileSystemEvent
from watchdog.observers import Observer

BATCH_SIZE = "DAGSTER_EVENT_BATCH_SIZE"
"""Dagster's own switch: without it events come one by one."""

BATCHABLE = BATCH_WRITABLE_EVENTS & ASSET_EVENTS

OPEN_FILES = 4
"""How many files of the record a process holds open: the index, those of the runs of now."""


class Storage(DagsterSqliteStorage):
    """Dagster's own storage, but for its record of events."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        super().__init__(base_dir, inst_data)
        os.environ.setdefault(BATCH_SIZE, "1000")
        self._event_log_storage = EventLog(self._event_log_storage._base_dir)  # noqa: SLF001

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "Storage":
        """As Dagster makes it from its settings; its own makes one of its own class."""
        return cls.from_local(inst_data=inst_data, **config_value)


class _OpenFile(NamedTuple):
    """A file of the record, by its number on the disk, and the one connection to it."""

    inode: int
    engine: sa.Engine


class EventLog(SqliteEventLogStorage):
    """The events: those of a run in a file of their own, those of assets in the index as well.

    Dagster opens and closes a file for each look at it, and the last to close one brings all of its log to the disk.
    Here the files used last stay open, and what was written is the system's to bring there (`synchronous=NORMAL`).
    The files keep a log of what comes (WAL), so a killed process loses nothing of what it wrote, and a power cut some
    last events and never a file: see docs/decisions/0024.
    """

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._open: OrderedDict[str, _OpenFile] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        """A transaction in a file; one at a time, as with Dagster's own."""
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    def _engine(self, shard: str) -> sa.Engine:
        path = Path(self.path_for_shard(shard))
        there = self._open.get(shard)
        if there is not None and not _is_at(path, there.inode):  # it was removed meanwhile, and perhaps made anew
            self._let_go(shard)
            self._initialized_dbs.discard(shard)
            there = None
        if there is None:
            there = self._opened(shard, path)
            while len(self._open) >= OPEN_FILES:
                self._let_go(next(iter(self._open)))
            self._open[shard] = there
        self._open.move_to_end(shard)
        return there.engine

    def _opened(self, shard: str, path: Path) -> _OpenFile:
        url = self.conn_string_for_shard(shard)
        if shard not in self._initialized_dbs:
            # By Dagster's own means, which wait for the disk: only from then on does the file keep a log.
            first = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
            self._initdb(first)
            self._initialized_dbs.add(shard)
        engine = sa.create_engine(
            url, poolclass=sa.QueuePool, pool_size=1, max_overflow=0,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )  # fmt: skip
        sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=NORMAL"))
        engine.connect().close()
        return _OpenFile(path.stat().st_ino, engine)

    def _let_go(self, shard: str) -> None:
        self._open.pop(shard).engine.dispose()

    def _let_all_go(self) -> None:
        with self._db_lock:
            while self._open:
                self._let_go(next(iter(self._open)))

    def wipe(self) -> None:
        """Remove all events, as Dagster's own."""
        self._let_all_go()
        super().wipe()

    def dispose(self) -> None:
        """Close what is open; whoever asks afterwards opens it again."""
        super().dispose()
        self._let_all_go()

    def watch(self, run_id: str, cursor: str | None, callback: Any) -> None:
        """Call back with each new event of a run: Dagster's own way looks at a file that changes when it is closed."""
        looks: Any = self._obs
        if looks is None:
            looks = self._obs = Observer()  # type: ignore[assignment]
            looks.start()
        watchdog = _LogWatchdog(self, run_id, callback, cursor)
        self._watchers[run_id][callback] = watchdog, looks.schedule(watchdog, self._base_dir, recursive=True)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run, all or none in each of the two files."""
        one_by_one = [each for each in events if each.dagster_event_type not in BATCHABLE]
        together: dict[str, list[EventLogEntry]] = defaultdict(list)
        for each in events:
            if each.dagster_event_type in BATCHABLE:
                together[each.run_id].append(each)
        for run_id, of_run in together.items():
            self._store_together(run_id, of_run)
        for each in one_by_one:
            self.store_event(each)

    def _store_together(self, run_id: str, events: list[EventLogEntry]) -> None:
        rows = [self._event_to_row(each) for each in events]
        with self.run_connection(run_id) as connection:
            connection.execute(SqlEventLogStorageTable.insert(), rows)
        newest: dict[Any, tuple[EventLogEntry, int]] = {}
        with self.index_transaction() as connection:
            insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id)
            ids = [int(connection.execute(insert, row).scalar_one()) for row in rows]
            self._store_asset_event_tags(connection, events, ids)
            for each, event_id in zip(events, ids, strict=True):
                newest[each.get_dagster_event().asset_key, each.dagster_event_type] = each, event_id
            for each, event_id in newest.values():
                self._store_asset_event(connection, each, event_id)


class _LogWatchdog(SqliteEventLogStorageWatchdog):
    """Looks at a run's file and at the log beside it, where events stand while a process has the file open."""

    def __init__(self, storage: EventLog, run_id: str, callback: Any, cursor: str | None) -> None:
        super().__init__(storage, run_id, callback, cursor)
        self._patterns = [self._log_path, f"{self._log_path}-wal"]

    def on_modified(self, event: FileSystemEvent) -> None:
        """Tell what is new."""
        self._process_log()


def _is_at(path: Path, inode: int) -> bool:
    try:
        return path.stat().st_ino == inode
    except FileNotFoundError:
        return False
