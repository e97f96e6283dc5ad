"""Dagster's own record, kept from growing for ever.

Which days are built, Dagster knows from nothing but its events: the newest of each asset and partition are never
touched, nor the runs that wrote them. What goes is what was overtaken: old reports and observations of the services,
one a minute and asset, what checks said before they last said something, and old runs that were last to build nothing.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from sqlalchemy.dialects.postgresql import REGCLASS

EVENTS, CHECKS = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
RUNLESS = ""
"""What Dagster writes in the place of a run's id, where an event came without one."""

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
FREE_SHARE = 0.25
"""A file of SQLite is written anew once so much of it is free; until then the room is used again."""


class Pruned(NamedTuple):
    """What was removed, and the size before and after."""

    runs: int
    events: int
    checks: int
    bytes_before: int
    bytes_after: int


def prune(instance: dg.DagsterInstance, before: datetime) -> Pruned:
    """Remove what ended before and is not the newest of its kind. A second time there is nothing to remove."""
    bytes_before = size(instance)
    events = _prune_runless(instance, before)
    checks = _prune_checks(instance, before)
    runs = _prune_runs(instance, before)
    _give_back_room(instance)
    return Pruned(runs, events, checks, bytes_before, size(instance))


def size(instance: dg.DagsterInstance) -> int:
    """How many bytes the events and what the checks said take; runs and ticks are little beside them."""
    storage: Any = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        return sum(each.stat().st_size for each in Path(storage.path_for_shard("index")).parent.iterdir())
    with storage.index_connection() as connection:
        if connection.dialect.name != "postgresql":
            return 0  # an instance of the tests, in memory
        tables = (SqlEventLogStorageTable.name, AssetCheckExecutionsTable.name)
        sizes = sa.select(*(sa.func.pg_total_relation_size(sa.cast(name, REGCLASS)) for name in tables))
        return sum(connection.execute(sizes).one())


def _newest(*columns: sa.Column[Any], where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The ids of the newest events of each combination of the columns."""
    return sa.select(sa.func.max(EVENTS.id)).where(where).group_by(*columns)


def _prune_runless(instance: dg.DagsterInstance, before: datetime) -> int:
    storage: Any = instance.event_log_storage
    is_old = (EVENTS.run_id == RUNLESS) & (EVENTS.timestamp < before.astimezone(UTC).replace(tzinfo=None))
    newest = _newest(EVENTS.asset_key, EVENTS.partition, EVENTS.dagster_event_type, where=EVENTS.asset_key.is_not(None))
    overtaken = is_old & EVENTS.asset_key.is_not(None) & EVENTS.id.not_in(newest)
    with storage.index_connection() as connection:
        ids = sa.select(EVENTS.id).where(overtaken)
        connection.execute(AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(ids)))
        removed: int = connection.execute(SqlEventLogStorageTable.delete().where(overtaken)).rowcount
    if storage.is_run_sharded:
        # There these events stand a second time, in a file of their own that nothing is read from.
        with storage.run_connection(RUNLESS) as connection:
            connection.execute(SqlEventLogStorageTable.delete().where(is_old))
    return removed


def _prune_checks(instance: dg.DagsterInstance, before: datetime) -> int:
    """What a check says of a partition is told by the newest alone; to remove a run leaves what its checks said."""
    storage: Any = instance.event_log_storage
    newest = sa.select(sa.func.max(CHECKS.id)).group_by(CHECKS.asset_key, CHECKS.check_name, CHECKS.partition)
    is_old = CHECKS.create_timestamp < before.astimezone(UTC).replace(tzinfo=None)
    with storage.index_connection() as connection:
        overtaken = AssetCheckExecutionsTable.delete().where(is_old & CHECKS.id.not_in(newest))
        return int(connection.execute(overtaken).rowcount)


def _prune_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    needed = _runs_needed(instance)
    removed = 0
    for record in instance.get_run_records(dg.RunsFilter(statuses=FINISHED, updated_before=before)):
        run_id = record.dagster_run.run_id
        if run_id not in needed:
            instance.delete_run(run_id)
            instance.compute_log_manager.delete_logs(prefix=[run_id])
            for path in _files(instance, run_id):
                path.unlink(missing_ok=True)
            removed += 1
    return removed


def _runs_needed(instance: dg.DagsterInstance) -> set[str]:
    """The runs that were last to build some asset or partition."""
    storage: Any = instance.event_log_storage
    is_built = EVENTS.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value
    newest = _newest(EVENTS.asset_key, EVENTS.partition, where=is_built)
    with storage.index_connection() as connection:
        found = connection.execute(sa.select(EVENTS.run_id).where(EVENTS.id.in_(newest)).distinct())
        return {run_id for (run_id,) in found}


def _files(instance: dg.DagsterInstance, run_id: str) -> Iterator[Path]:
    """The files in which SQLite keeps a run's events; Dagster empties them, and leaves them."""
    storage: Any = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        for end in ("", "-wal", "-shm"):
            yield Path(f"{storage.path_for_shard(run_id)}{end}")


def _give_back_room(instance: dg.DagsterInstance) -> None:
    storage: Any = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return  # PostgreSQL does so by itself
    for shard in ("index", RUNLESS):
        with storage.run_connection(shard) as connection:
            pages, free = (connection.execute(sa.text(f"PRAGMA {name}")).scalar_one()
                           for name in ("page_count", "freelist_count"))
            if free > FREE_SHARE * pages:
                connection.execute(sa.text("VACUUM"))
                # Others hold the file open: the log beside it is not cut at the end of this connection.
                connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
