"""Our record in SQLite holds what Dagster's own would, whether events come together or alone, and loses none."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetEventTagsTable, AssetKeyTable, SqlEventLogStorageTable

from bike_assets.defs.storage import BATCH_SIZE, OPEN_FILES, EventLog
from bike_assets.local.home import instance_settings
from bike_assets_tests.conftest import CHECKOUT

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


@dg.op
def nothing() -> None:
    """Nothing."""


@dg.job
def idle() -> None:
    nothing()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of Dagster with our record."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(instance_settings())
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as made:
        yield made


def record_of(instance: dg.DagsterInstance) -> EventLog:
    storage = instance.event_log_storage
    assert isinstance(storage, EventLog)
    return storage


def said(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The messages of a run."""
    return [each.message for each in instance.all_logs(run_id)]


def held_open(home: Path) -> set[str]:
    """The files of the record that this process holds open."""
    found = {str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}
    return {Path(each).stem for each in found if each.startswith(f"{home}/") and each.endswith(".db")}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which files are open")
def test_some_files_of_the_record_are_held_open_those_used_last(home: Path, instance: dg.DagsterInstance) -> None:
    runs = [instance.create_run_for_job(idle) for _ in range(OPEN_FILES + 2)]
    record = record_of(instance)
    for run in runs:
        instance.report_engine_event("here", run)
        with record.index_connection():
            pass
    assert held_open(home) == {"index", *(run.run_id for run in runs[-(OPEN_FILES - 1) :])}
    assert [said(instance, run.run_id) for run in runs] == [["here"]] * len(runs)
    instance.dispose()
    assert held_open(home) == set()


def test_the_record_keeps_a_log_and_does_not_wait_for_the_disk(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(idle)
    for shard in ("index", run.run_id):
        for _ in range(2):
            with record_of(instance).run_connection(shard) as connection:
                found = [connection.execute(sa.text(f"PRAGMA {name}")).scalar_one()
                         for name in ("journal_mode", "synchronous")]  # fmt: skip
            assert found == ["wal", 1], shard


KILLED = """
import os, signal
import dagster as dg
from bike_assets_tests.defs.test_storage import idle

with dg.DagsterInstance.get() as instance:
    run = instance.create_run_for_job(idle)
    for number in range(100):
        instance.report_engine_event(f"event {number}", run)
        instance.report_runless_asset_event(dg.AssetObservation("live", metadata={"number": number}))
    print(run.run_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_nothing_that_it_told(home: Path, instance: dg.DagsterInstance) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert said(instance, done.stdout.strip()) == [f"event {number}" for number in range(100)]
    observed = instance.fetch_observations(dg.AssetKey("live"), limit=200).records
    numbers = [each.asset_observation.metadata["number"].value for each in observed if each.asset_observation]
    assert numbers == [*reversed(range(100))]


def test_a_run_is_followed_while_its_process_holds_the_file_open(home: Path, instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(idle)
    instance.report_engine_event("before", run)
    told: SimpleQueue[str] = SimpleQueue()
    with dg.DagsterInstance.from_config(str(home)) as other:

        def callback(event: dg.EventLogEntry, _: str) -> None:
            told.put(event.message)

        other.watch_event_logs(run.run_id, None, callback)
        for number in range(3):
            instance.report_engine_event(f"event {number}", run)
            found = [told.get(timeout=20)]
            while found[-1] != f"event {number}":
                found.append(told.get(timeout=20))
        other.end_watch_event_logs(run.run_id, callback)


def test_a_file_that_was_removed_is_made_anew(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(idle)
    instance.report_engine_event("before", run)
    path = Path(record_of(instance).path_for_shard(run.run_id))
    for end in ("", "-wal", "-shm"):
        os.unlink(f"{path}{end}")  # noqa: PTH108
    instance.report_engine_event("after", run)
    assert said(instance, run.run_id) == ["after"]
    assert path.exists()
