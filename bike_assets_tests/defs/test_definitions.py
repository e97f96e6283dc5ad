"""The definitions load, whatever runs or does not."""

from pathlib import Path

import dagster as dg
import pytest

from bike_assets.definitions import defs
from bike_assets.defs.resources import Lake, Sources, resources
from bike_assets.model.errors import WrongSettings


def test_the_definitions_are_loadable() -> None:
    dg.Definitions.validate_loadable(defs)


def test_the_resources_read_and_connect_nothing_when_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIKE_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("BIKE_SOURCES", "elsewhere.toml")
    made = resources()
    assert isinstance(made["lake"], Lake)
    assert isinstance(made["sources"], Sources)
    assert (made["lake"].path, made["sources"].path) == (str(tmp_path / "nowhere" / "lake"), "elsewhere.toml")
    assert not (tmp_path / "nowhere").exists()


def test_wrong_settings_are_said_when_dagster_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIKE_PAGE_PORT", "eighty")
    with pytest.raises(WrongSettings, match="BIKE_PAGE_PORT"):
        resources()
