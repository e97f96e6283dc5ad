"""Dagster's record is pruned, and still knows all that was built."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from bike_assets.defs.event_log import prune
from bike_assets.defs.maintenance.event_log import event_log
from bike_assets.defs.resources import Record
from bike_assets_tests.postgres import Postgres

DAYS = dg.DailyPartitionsDefinition("2024-03-01", end_date="2024-03-04")
FACT, LIVE = dg.AssetKey("fact"), dg.AssetKey("live")


@dg.asset(partitions_def=DAYS)
def fact() -> None:
    """A table of days."""


@dg.op
def nothing() -> None:
    """A run that builds nothing."""


@dg.job
def idle() -> None:
    nothing()


@pytest.fixture(params=["Dagster's own", "ours"])
def instance(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[dg.DagsterInstance]:
    ours = {"module": "bike_assets.defs.storage", "class": "Storage", "config": {"base_dir": str(tmp_path)}}
    overrides = {"storage": {"custom": ours}} if request.param == "ours" else {}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as made:
        yield made


def built(instance: dg.DagsterInstance, day: str) -> str:
    return dg.materialize([fact], instance=instance, partition_key=day).run_id


def later() -> datetime:
    """A moment before which all that was done so far is old."""
    return datetime.now(UTC) + timedelta(seconds=1)


def runs(instance: dg.DagsterInstance) -> set[str]:
    return {run.run_id for run in instance.get_runs()}


def test_a_run_goes_once_all_that_it_built_was_built_again(instance: dg.DagsterInstance) -> None:
    first, second, other = (built(instance, day) for day in ("2024-03-01", "2024-03-01", "2024-03-02"))
    assert prune(instance, later()).runs == 1
    assert runs(instance) == {second, other}
    assert first not in runs(instance)


def test_what_is_built_stays_built(instance: dg.DagsterInstance) -> None:
    for day in ("2024-03-01", "2024-03-01", "2024-03-02"):
        built(instance, day)
    before = instance.event_log_storage.get_latest_storage_id_by_partition(
        FACT, dg.DagsterEventType.ASSET_MATERIALIZATION)
    prune(instance, later())
    assert instance.get_materialized_partitions(FACT) == {"2024-03-01", "2024-03-02"}
    assert instance.event_log_storage.get_latest_storage_id_by_partition(
        FACT, dg.DagsterEventType.ASSET_MATERIALIZATION) == before
    event = instance.get_latest_materialization_event(FACT)
    assert event is not None
    assert event.run_id in runs(instance)


def test_runs_that_built_nothing_go_with_their_files(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run_id = idle.execute_in_process(instance=instance).run_id
    assert list(tmp_path.rglob(f"*{run_id}*"))
    assert prune(instance, later()).runs == 1
    assert list(tmp_path.rglob(f"*{run_id}*")) == []
    assert runs(instance) == set()


def test_what_is_young_or_goes_on_stays(instance: dg.DagsterInstance) -> None:
    idle.execute_in_process(instance=instance)
    going = instance.create_run_for_job(idle, status=dg.DagsterRunStatus.STARTED).run_id
    assert prune(instance, datetime.now(UTC) - timedelta(days=1)).runs == 0
    assert prune(instance, later()).runs == 1
    assert runs(instance) == {going}


def test_of_what_the_services_report_the_newest_stays(instance: dg.DagsterInstance) -> None:
    for _ in range(3):
        instance.report_runless_asset_event(dg.AssetMaterialization(LIVE, metadata={"rows": 1}))
        instance.report_runless_asset_event(dg.AssetObservation(LIVE))
        for day in ("2024-03-01", "2024-03-02"):
            instance.report_runless_asset_event(dg.AssetMaterialization(FACT, partition=day))
    newest = instance.get_latest_materialization_event(LIVE)
    assert prune(instance, later()).events == 8
    assert instance.get_latest_materialization_event(LIVE) == newest
    assert instance.get_materialized_partitions(FACT) == {"2024-03-01", "2024-03-02"}
    assert len(instance.fetch_observations(LIVE, limit=10).records) == 1
    assert prune(instance, later()).events == 0, "a second time there is nothing to remove"


def test_of_what_a_check_said_the_newest_stays(instance: dg.DagsterInstance) -> None:
    for holds in (True, False):
        @dg.asset_check(asset=fact)
        def adds_up() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=holds)  # noqa: B023

        for day in ("2024-03-01", "2024-03-02"):
            assert dg.materialize([fact, adds_up], instance=instance, partition_key=day, raise_on_error=False)
    key, storage = dg.AssetCheckKey(FACT, "adds_up"), instance.event_log_storage

    def told() -> list[int]:
        return [record.id for record in storage.get_asset_check_execution_history(key, limit=100)]

    before, newest = told(), storage.get_latest_asset_check_execution_by_key([key])
    assert newest[key].status is AssetCheckExecutionRecordStatus.FAILED
    assert prune(instance, datetime.now(UTC) - timedelta(days=1)).checks == 0
    assert prune(instance, later()).checks == len(before) - len(told()) > 0
    assert storage.get_latest_asset_check_execution_by_key([key]) == newest
    assert prune(instance, later()).checks == 0


def test_the_room_is_given_back(instance: dg.DagsterInstance) -> None:
    said = {"said": "x" * 20_000}
    for _ in range(50):
        instance.report_runless_asset_event(dg.AssetObservation(LIVE, metadata=said))
    storage: Any = instance.event_log_storage
    with type(storage)(storage._base_dir).index_connection() as other:  # who has the file open, and looks at nothing
        assert other.execute(sa.text("SELECT count(*) FROM event_logs")).scalar_one() == 50
        other.commit()
        done = prune(instance, later())
    assert done.events == 49
    assert done.bytes_after < done.bytes_before / 2


def test_in_postgresql_it_is_the_same(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.url.replace("postgresql:", "postgresql+psycopg2:")
    overrides = {"storage": {"postgres": {"postgres_url": url}}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        first, second = (built(instance, "2024-03-01") for _ in range(2))
        done = prune(instance, later())
        assert (done.runs, runs(instance)) == (1, {second})
        assert first not in runs(instance)
        assert done.bytes_after > 0


def test_the_asset_says_what_went_and_how_large_the_record_is(instance: dg.DagsterInstance) -> None:
    idle.execute_in_process(instance=instance)
    result = dg.materialize([event_log], instance=instance, resources={"record": Record(days=30)})
    (event,) = result.get_asset_materialization_events()
    said = {name: value.value for name, value in event.materialization.metadata.items()}
    assert (said["runs_removed"], said["events_removed"]) == (0, 0)
    assert isinstance(said["bytes_after"], int)
    assert said["bytes_after"] > 0
