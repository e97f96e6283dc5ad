"""Pools: of the runs that need one, a single one is under way. The queue sees to it; `bike build` asks here."""

import time
from collections.abc import Callable, Set

import dagster as dg
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

from bike_assets.defs.launcher import WatchedRunLauncher
from bike_assets.settings import load_settings

DRAIN = "drain"
"""Brings topics into tables; a second drain would be refused."""

WAREHOUSE = "warehouse"
"""Writes the warehouse or joins its files: each such run can hold a Spark driver, and they get in each other's way."""



LOOKS_S = 1.0
"""How often is looked whether a pool is free; the queue looks as often."""


def serving_pool(name: str) -> str:
    """The pool of a database that is served: one that is slow keeps no other waiting."""
    return f"serving_{name}"


def make_known(instance: dg.DagsterInstance) -> None:
    """Give each pool its limit: Dagster does so itself only after it has let the first runs pass without one."""
    for pool in (DRAIN, WAREHOUSE, *map(serving_pool, load_settings().databases)):
        instance.event_log_storage.initialize_concurrency_limit_to_default(pool)


def pools_of(job: dg.JobDefinition) -> set[str]:
    """The pools that a run of the job needs."""
    return {pool for node in job.graph.nodes for pool in node.definition.pools}


def wait_for(instance: dg.DagsterInstance, pools: Set[str], on_wait: Callable[[dg.DagsterRun], None]) -> None:
    """Wait until no run of these pools is under way; `on_wait` is told each that is waited for, once.

    For a run that does not queue. While it is under way the queue counts it, so that the next one waits for it.
    """
    told: set[str] = set()
    while (run := _under_way(instance, pools)) is not None:
        if run.run_id not in told:
            told.add(run.run_id)
            on_wait(run)
        time.sleep(LOOKS_S)


def _under_way(instance: dg.DagsterInstance, pools: Set[str]) -> dg.DagsterRun | None:
    """A run that has one of these pools. One whose process is gone has none, though nobody may have told so yet."""
    launcher = instance.run_launcher
    for run in instance.get_runs(dg.RunsFilter(statuses=list(IN_PROGRESS_RUN_STATUSES))):
        if run.run_op_concurrency and pools & set(run.run_op_concurrency.all_pools or ()):
            if isinstance(launcher, WatchedRunLauncher) and launcher.process_of(run) is not WorkerStatus.RUNNING:
                continue
            return run
    return None
