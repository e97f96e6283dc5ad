"""Runs whose process is gone: `bike up` fails them at once, before Dagster's daemon is there, and names the pools.

Run as a process of its own, so that `bike up` need not hold Dagster in its memory.
"""

import sys

import dagster as dg
from dagster._core.launcher import WorkerStatus

from bike_assets.defs.launcher import WatchedRunLauncher
from bike_assets.defs.pools import make_known

GONE = "The process of this run is gone: it was killed, or the machine was."
_STATUSES = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_orphans(instance: dg.DagsterInstance) -> list[str]:
    """End each run whose process is gone, as failed or, where that was wanted, as canceled; their ids.

    What failed so is retried by the daemon, a limited number of times. Queued runs are left: the daemon starts them.
    """
    launcher = instance.run_launcher
    if not isinstance(launcher, WatchedRunLauncher):
        return []  # an instance of the user's own, whose launcher knows its runs
    ended = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_STATUSES)):
        if launcher.process_of(run) is WorkerStatus.RUNNING:
            continue
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, GONE)
        else:
            instance.report_run_failed(run, GONE)
        ended.append(run.run_id)
    return ended


if __name__ == "__main__":
    with dg.DagsterInstance.get() as here:
        make_known(here)
        for run_id in end_orphans(here):
            sys.stderr.write(f"run {run_id} was ended: its process is gone\n")
