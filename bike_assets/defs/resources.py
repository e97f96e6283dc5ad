"""What assets and checks are handed: the command line for work, the lake for questions."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from bike_assets.model.errors import LakeBroken, WrongSettings
from bike_assets.settings import load_settings

if TYPE_CHECKING:
    import duckdb


class Bike(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The command line, as a process of its own.

    A command does its work by the services that are up, or starts what it needs and stops it after; its
    memory, and Spark's, goes with it.
    """

    command: list[str] = Field(default_factory=lambda: [sys.executable, "-m", "bike_assets"])
    """How it is called; the tests put a stand-in here."""

    def run(self, *arguments: str) -> Any:
        """What the command answers, from its JSON. Raises Failure with its one sentence."""
        command = [*self.command, *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise dg.Failure(_sentence(done.stderr), metadata={"said": done.stderr[-2000:]})
        return json.loads(done.stdout)


def _sentence(stderr: str) -> str:
    """What the command said was wrong: its last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "The command failed and said nothing."


class Lake(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The lake, to be read by DuckDB."""

    path: str

    def duckdb(self) -> "duckdb.DuckDBPyConnection":
        """A connection with all tables as views, as they are now. Raises Failure where one is broken."""
        from bike_assets.lake.duck import connect

        try:
            return connect(Path(self.path))
        except LakeBroken as err:
            raise dg.Failure(str(err)) from None


class Sources(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The systems that are polled."""

    path: str

    def system_ids(self) -> list[str]:
        """Every system of the sources file. Raises Failure where there is no such file, or it is wrong."""
        from bike_assets.sources.config import load_sources

        try:
            return [id_ for source in load_sources(Path(self.path)) for id_ in source.system_ids]
        except WrongSettings as err:
            raise dg.Failure(str(err)) from None


def resources() -> dict[str, dg.ConfigurableResource[Any]]:
    """The resources, from the settings."""
    settings = load_settings()
    return {
        "bike": Bike(),
        "lake": Lake(path=str(settings.lake)),
        "sources": Sources(path=str(settings.sources)),
    }
