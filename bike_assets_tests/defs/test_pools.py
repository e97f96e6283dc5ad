"""Which runs wait for each other."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter

from bike_assets.definitions import defs
from bike_assets.defs.launcher import HOST_TAG, place
from bike_assets.defs.pools import DRAIN, WAREHOUSE, make_known, pools_of, wait_for

CHECKOUT = Path(__file__).parents[2]
JOBS = {
    "drain": {DRAIN},
    "close_day": {DRAIN, WAREHOUSE},
    "build_days": {WAREHOUSE},
    "rebuild": {DRAIN, WAREHOUSE},
    "maintain": {WAREHOUSE},
    "poll": set(),
    "export": set(),
    "check_stream": set(),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_takes_the_pools_of_what_it_writes(name: str) -> None:
    assert pools_of(defs.resolve_job_def(name)) == JOBS[name]


def test_the_first_runs_of_an_instance_find_the_pools_limited(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((CHECKOUT / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        make_known(instance)
        limits = {each.name: each.limit for each in instance.event_log_storage.get_pool_limits()}
        assert limits == {DRAIN: 1, WAREHOUSE: 1}
        assert instance.event_log_storage.get_concurrency_keys() == {DRAIN, WAREHOUSE}


@pytest.mark.parametrize("file", ["dagster.yaml", "docker/dagster.yaml"])
def test_a_pool_is_had_by_one_run_at_a_time(file: str, tmp_path: Path) -> None:
    text = (CHECKOUT / file).read_text()
    text = text.partition("\nstorage:")[0] if file.startswith("docker") else text
    (tmp_path / "dagster.yaml").write_text(text)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        config = instance.get_concurrency_config()
    pools, queue = config.pool_config, config.run_queue_config
    assert (pools.default_pool_limit, str(pools.pool_granularity)) == (1, "PoolGranularity.RUN")
    assert queue is not None
    assert queue.max_concurrent_runs == 4


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text((CHECKOUT / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        make_known(made)
        yield made


def under_way(instance: dg.DagsterInstance, job: str, pid: int) -> dg.DagsterRun:
    """A run of the job by a process of this machine."""
    run = instance.create_run_for_job(
        defs.resolve_job_def(job), status=dg.DagsterRunStatus.STARTED, tags={HOST_TAG: place()}
    )
    instance.report_engine_event("begun", run, EngineEventData.in_process(pid))
    return run


def test_a_build_of_the_command_line_waits_for_who_has_its_pool(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = under_way(instance, "maintain", os.getpid())
    under_way(instance, "drain", os.getpid())
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            instance.report_run_failed(run, "over")

    monkeypatch.setattr(time, "sleep", sleep)
    waited: list[str] = []
    wait_for(instance, {WAREHOUSE}, lambda run: waited.append(run.run_id))
    assert (waited, len(looks)) == ([run.run_id], 3)


def test_a_build_waits_for_no_run_whose_process_is_gone(instance: dg.DagsterInstance) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    under_way(instance, "rebuild", process.pid)
    waited: list[dg.DagsterRun] = []
    wait_for(instance, {DRAIN, WAREHOUSE}, waited.append)
    assert waited == []


@pytest.mark.parametrize(("job", "waits"), [("rebuild", True), ("drain", False)])
def test_the_queue_waits_for_a_build_of_the_command_line(
    instance: dg.DagsterInstance, job: str, waits: bool
) -> None:
    run = under_way(instance, "build_days", os.getpid())
    queued = instance.create_run_for_job(defs.resolve_job_def(job))
    config, storage = instance.get_concurrency_config().pool_config, instance.event_log_storage
    counter = GlobalOpConcurrencyLimitsCounter(
        instance, [queued], instance.get_run_records(dg.RunsFilter([run.run_id])), storage.get_concurrency_keys(),
        storage.get_pool_limits(), pool_granularity=config.pool_granularity,
    )  # fmt: skip
    assert counter.is_blocked(queued) is waits
