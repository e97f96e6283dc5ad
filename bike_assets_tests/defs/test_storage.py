"""Our record in SQLite holds what Dagster's own would, of events that come together."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetEventTagsTable, AssetKeyTable, SqlEventLogStorageTable

from bike_assets.defs.storage import BATCH_SIZE, EventLog
from bike_assets.local.home import instance_settings

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2025-01-01", timezone="UTC")
E, A, T = SqlEventLogStorageTable.c, AssetKeyTable.c, AssetEventTagsTable.c


@dg.multi_asset(
    specs=[dg.AssetSpec("hours"), dg.AssetSpec("days", deps=["hours"])], partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)  # fmt: skip
def tables(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    for key in ("hours", "days"):
        for day in context.partition_keys:
            context.add_asset_metadata({"rows": int(day[-2:])}, dg.AssetKey(key), day)
        yield dg.MaterializeResult(asset_key=key, tags={"made": "here"})


@dg.asset_check(asset="days")
def holds() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@contextmanager
def made_by(home: Path, monkeypatch: pytest.MonkeyPatch, *, ours: bool) -> Iterator[dg.DagsterInstance]:
    """An instance in which a range of days was built, then a part of it once more."""
    home.mkdir()
    (home / "dagster.yaml").write_text(instance_settings() if ours else "")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv(BATCH_SIZE, "20" if ours else "0")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for first, last in (("2024-02-11", "2024-03-10"), ("2024-02-27", "2024-03-01")):
            tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
            job = dg.Definitions([tables], asset_checks=[holds]).resolve_implicit_global_asset_job_def()
            assert job.execute_in_process(instance=instance, tags=tags, run_config=QUIET).success
        yield instance


QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def held(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the record holds, with runs by their number."""
    storage: Any = instance.event_log_storage
    assert isinstance(storage, SqliteEventLogStorage)
    runs = {run.run_id: number for number, run in enumerate(reversed(instance.get_runs()))}
    columns = sa.select(E.run_id, E.dagster_event_type, E.step_key, E.asset_key, E.partition)

    def rows(connection: Any) -> list[tuple[Any, ...]]:
        # In their order, but planned events, which come before the run and are of no order.
        return sorted(((runs[run_id], *of) for run_id, *of in connection.execute(columns)), key=str)

    found: dict[str, Any] = {}
    for run_id, number in runs.items():
        with storage.run_connection(run_id) as connection:
            found[f"run {number}"] = rows(connection)
    with storage.index_connection() as connection:
        found["index"] = rows(connection)
        found["tags"] = sorted(map(tuple, connection.execute(
            sa.select(T.asset_key, T.key, sa.func.count(), sa.func.count(E.id)).group_by(T.asset_key, T.key)
            .join_from(AssetEventTagsTable, SqlEventLogStorageTable, E.id == T.event_id)
        )))  # fmt: skip
        found["assets"] = sorted(
            (key, runs[last], '"partition": "2024-03-01"' in text)
            for key, last, text in connection.execute(sa.select(A.asset_key, A.last_run_id, A.last_materialization))
        )
    for name in ("hours", "days"):
        key = dg.AssetKey(name)
        found[f"days of {name}"] = instance.get_materialized_partitions(key)
        fetched = instance.fetch_materializations(key, limit=1_000).records
        found[f"told of {name}"] = [
            (each.partition_key, runs[each.run_id], each.asset_materialization.metadata["rows"].value,
             dict(each.asset_materialization.tags or {}).get("made"))
            for each in fetched if each.asset_materialization
        ]  # fmt: skip
    return found


def test_events_that_are_stored_together_are_held_as_dagster_holds_them_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with made_by(tmp_path / "stock", monkeypatch, ours=False) as stock:
        wanted = held(stock)
    assert len(wanted["told of days"]) == 29 + 4
    assert wanted["tags"], "Dagster looks for events by some of their tags"
    commits: list[int] = []
    store = EventLog._store_together

    def counted(self: EventLog, run_id: str, events: list[Any]) -> None:
        commits.append(len(events))
        store(self, run_id, events)

    monkeypatch.setattr(EventLog, "_store_together", counted)
    with made_by(tmp_path / "ours", monkeypatch, ours=True) as ours:
        found = held(ours)
    for what, each in wanted.items():
        assert found[what] == each, what
    assert sum(commits) == 2 * (2 * 29 + 2 * 4), "all days, planned and done, came together"
    assert len(commits) <= 2 * (2 + 1) * 2
    assert type(ours.event_log_storage) is EventLog


def test_a_process_with_our_storage_lets_events_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv(BATCH_SIZE, raising=False)
    (tmp_path / "dagster.yaml").write_text(instance_settings())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance._is_batch_writing_enabled()
