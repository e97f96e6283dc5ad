"""A running webserver of Dagster, asked over GraphQL as its UI asks it."""

from collections.abc import Mapping
from typing import Any

import requests

from bike_assets_tests.journeys.homes import wait_until

_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status creationTime startTime endTime } } }"
_STEPS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { stepStats { status } } } }"


class Dagster:
    """The webserver at `url`, and a code location of it."""

    def __init__(self, url: str, location: str = "bike_assets.definitions") -> None:
        self.url = url
        self._location = location

    def ask(self, query: str, **variables: Any) -> Any:
        """What GraphQL answers."""
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def launch(
        self, job: str, config: Mapping[str, Any] | None = None, tags: Mapping[str, str] | None = None,
        **selection: Any,
    ) -> str:
        """Launch a run of a job, or of some of its assets, as the UI does; its id."""
        params = {
            "selector": {"repositoryLocationName": self._location, "repositoryName": "__repository__",
                         "jobName": job, **selection},
            "runConfigData": dict(config or {}),
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
        }  # fmt: skip
        launched = self.ask(_LAUNCH, params=params)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def ended(self, run_id: str, within_s: float = 240) -> dict[str, Any]:
        """A run at its end: its status, and when it was created, began and ended."""
        wait_until(lambda: self._run(run_id)["endTime"] is not None, within_s, f"run {run_id} ends", every_s=0.2)
        return self._run(run_id)

    def steps(self, run_id: str) -> list[str | None]:
        """The states of a run's steps that began."""
        steps = self.ask(_STEPS, id=run_id)["runOrError"]["stepStats"]
        return [step["status"] for step in steps]

    def _run(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self.ask(_RUN, id=run_id)["runOrError"]
        return run
