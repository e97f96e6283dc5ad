"""The command line of the assets is a stand-in; Dagster, the lake and the sources file are real."""

import json
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from bike_assets.defs.resources import Bike, Exports, Lake, Sources, Spark
from bike_assets_tests.defs import stand_in

SOURCES = """
[[systems]]
kind = "gbfs"
system_id = "oslo"
url = "http://127.0.0.1:9/gbfs.json"

[[systems]]
kind = "jcdecaux"
contracts = ["lyon", "nantes"]
"""


class Home:
    """A home with a lake, a sources file, and a stand-in for the command line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lake = path / "lake"
        self.sources = path / "sources.toml"
        self.sources.write_text(SOURCES)

    def answers(self, answer: Any) -> None:
        """The command does its work, and answers so."""
        self._says(0, json.dumps(answer), "")

    def fails(self, stderr: str, status: int = 1) -> None:
        self._says(status, "", stderr)

    def _says(self, status: int, out: str, err: str) -> None:
        (self.path / "answer.json").write_text(json.dumps({"status": status, "out": out, "err": err}))

    @property
    def called(self) -> list[str] | None:
        """The command's arguments; None where it was not called."""
        note = self.path / "called.json"
        return json.loads(note.read_text()) if note.exists() else None

    @property
    def resources(self) -> dict[str, dg.ConfigurableResource[Any]]:
        bike = Bike(command=[sys.executable, str(stand_in.__file__), str(self.path)])
        return {
            "bike": bike,
            "spark": Spark(bike=bike, run_directory=str(self.path), port=1, master="local[1]", memory="1g"),
            "exports": Exports(path=str(self.path / "exports")),
            "lake": Lake(path=str(self.lake)),
            "sources": Sources(path=str(self.sources)),
        }

    def materialize(
        self, *assets: dg.AssetsDefinition | dg.AssetChecksDefinition, **given: Any
    ) -> dg.ExecuteInProcessResult:
        """A run over these, in an instance of its own."""
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                list(assets), instance=instance, resources=self.resources, raise_on_error=False, **given
            )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def failure(result: dg.ExecuteInProcessResult) -> str:
    """Why the run's only step failed."""
    assert not result.success
    (event,) = result.filter_events(lambda event: event.is_step_failure)
    error = event.step_failure_data.error
    assert error is not None
    return error.message
