"""A webserver and a daemon of Dagster over a project, and its runs, timed."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

from bench.demo import wait_for
from bike_assets_tests.journeys.dagsters import Dagster
from bike_assets_tests.journeys.homes import BIN, Home, end

RUN_S = 900.0
_LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"


def is_loaded(dagster: Dagster) -> bool:
    """Whether the code location is there."""
    return "RepositoryLocation" in str(dagster.ask(_LOCATIONS))


def run_s(dagster: Dagster, job: str, **given: Any) -> float:
    """From a run's creation to its end, in s, by Dagster's own clock."""
    run = dagster.ended(dagster.launch(job, **given), RUN_S)
    assert run["status"] == "SUCCESS", run
    return float(run["endTime"] - run["creationTime"])


def median_s(dagster: Dagster, repeats: int, job: str, **given: Any) -> float:
    """The same in the median, after a run that is not counted."""
    run_s(dagster, job, **given)
    return median(run_s(dagster, job, **given) for _ in range(repeats))


@contextmanager
def running_dagster(made: Home, location: str, *workspace: object) -> Iterator[Dagster]:
    """Webserver and daemon for as long as the block runs; `workspace` is how both are told of the project."""
    port = made.ports["DAGSTER_PORT"]
    running = Dagster(made.url("DAGSTER_PORT"), location)

    def start(command: str, *words: str) -> None:
        last.callback(end, made.start(*words, *workspace, command=(str(BIN / command),), log=command))

    with ExitStack() as last:
        start("dagster-webserver", "-h", "127.0.0.1", "-p", f"{port}")
        wait_for("Dagster's code location", lambda: is_loaded(running))
        start("dagster-daemon", "run")  # after it: two that make an instance's storage at once break it
        yield running
