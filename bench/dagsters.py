"""A webserver and a daemon of Dagster over a project, and its runs, timed."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

import requests

from bench.demo import wait_for
from bike_assets_tests.faults.test_killed_runs import BIN
from bike_assets_tests.journeys.homes import Home, end

RUN_S = 900.0
_LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status creationTime endTime } } }"


class Dagster:
    """A code location as a webserver at `url` knows it."""

    def __init__(self, url: str, location: str) -> None:
        self.url = url
        self._location = location

    def ask(self, query: str, **variables: Any) -> Any:
        """What GraphQL answers."""
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def is_loaded(self) -> bool:
        """Whether the code location is there."""
        return "RepositoryLocation" in str(self.ask(_LOCATIONS))

    def run_s(
        self, job: str, config: Mapping[str, Any] | None = None, tags: Mapping[str, str] | None = None,
        **selection: Any,
    ) -> float:
        """Launch a job, or some assets, as the UI does; from creation to end, in s, by Dagster's own clock."""
        params = {
            "selector": {"repositoryLocationName": self._location, "repositoryName": "__repository__",
                         "jobName": job, **selection},
            "runConfigData": dict(config or {}),
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
        }  # fmt: skip
        launched = self.ask(_LAUNCH, params=params)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        ends = time.monotonic() + RUN_S
        while True:
            run = self.ask(_RUN, id=launched["run"]["runId"])["runOrError"]
            if run["endTime"] is not None:
                assert run["status"] == "SUCCESS", run
                return float(run["endTime"] - run["creationTime"])
            assert time.monotonic() < ends, run
            time.sleep(0.2)

    def median_s(self, repeats: int, job: str, **given: Any) -> float:
        """The same in the median, after a run that is not counted."""
        self.run_s(job, **given)
        return median(self.run_s(job, **given) for _ in range(repeats))


@contextmanager
def dagster(made: Home, location: str, *workspace: object) -> Iterator[Dagster]:
    """Webserver and daemon for as long as the block runs; `workspace` is how both are told of the project."""
    port = made.ports["DAGSTER_PORT"]
    with ExitStack() as last:
        for command, words in (("dagster-webserver", ("-h", "127.0.0.1", "-p", port)), ("dagster-daemon", ("run",))):
            last.callback(end, made.start(*words, *workspace, command=(str(BIN / command),), log=command))
        running = Dagster(made.url("DAGSTER_PORT"), location)
        wait_for("Dagster's code location", running.is_loaded)
        yield running
