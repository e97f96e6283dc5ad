"""The definitions load, whatever runs or does not."""

from pathlib import Path

import dagster as dg
import pytest

from bike_assets.definitions import defs
from bike_assets.defs.resources import Lake, Sources, resources
from bike_assets.model.errors import WrongSettings
from bike_assets.model.schema import Table
from bike_assets.model.tables import VIEWS


def test_the_definitions_are_loadable() -> None:
    dg.Definitions.validate_loadable(defs)


REPOSITORY = defs.get_repository_def()
GRAPH = defs.resolve_asset_graph()
NAMED: list[dg.JobDefinition | dg.ScheduleDefinition | dg.SensorDefinition] = [
    *(job for job in REPOSITORY.get_all_jobs() if not job.name.startswith("__")),
    *REPOSITORY.schedule_defs, *REPOSITORY.sensor_defs,
]  # fmt: skip
ASSETS = sorted(GRAPH.get_all_asset_keys())
HOLD_NO_ROWS = {"raw", "topics", "serving", "databases", "maintenance"}
"""Layers whose assets are answers, messages, a page, files and whole schemas; of the others each is a table."""


@pytest.mark.parametrize("each", NAMED, ids=lambda each: f"{type(each).__name__} {each.name}")
def test_every_job_schedule_and_sensor_says_what_it_is_for(
    each: dg.JobDefinition | dg.ScheduleDefinition | dg.SensorDefinition,
) -> None:
    assert each.description
    assert each.description[0].isupper()


def test_every_schedule_and_sensor_runs_by_itself() -> None:
    assert {each.default_status.value for each in REPOSITORY.schedule_defs} == {"RUNNING"}
    assert {each.default_status.value for each in REPOSITORY.sensor_defs} == {"RUNNING"}


@pytest.mark.parametrize("key", ASSETS, ids=lambda key: key.to_user_string())
def test_every_asset_says_what_it_is_whose_and_of_which_kind_and_every_table_its_columns(key: dg.AssetKey) -> None:
    asset = GRAPH.get(key)
    assert asset.description
    assert (asset.owners, bool(asset.kinds)) == (["team:bikes"], True)
    is_table = key.path[0] not in HOLD_NO_ROWS
    assert ("dagster/column_schema" in asset.metadata) is is_table
    if is_table:
        columns = asset.metadata["dagster/column_schema"].columns
        assert columns
        assert [column.name for column in columns if not column.description] == []


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_view_of_the_lake_is_an_asset_with_its_columns_and_what_they_are_made_of(view: Table) -> None:
    asset = GRAPH.get(dg.AssetKey(list(view.path)))
    lineage = asset.metadata["dagster/column_lineage"].deps_by_column
    assert set(lineage) == {column.name for column in view.columns}
    made_of = {dep.asset_key: dep for deps in lineage.values() for dep in deps}
    assert set(made_of) == asset.parent_keys
    for dep in (each for deps in lineage.values() for each in deps):
        columns = GRAPH.get(dep.asset_key).metadata["dagster/column_schema"].columns
        assert dep.column_name in {column.name for column in columns}


@pytest.mark.parametrize(("name", "of"), [
    ("sales", "live/orders_by_source_state"), ("orders", "events/orders"), ("members", "events/users"),
])  # fmt: skip
def test_what_is_carried_into_databases_is_an_asset_of_what_it_is_carried_from(name: str, of: str) -> None:
    asset = GRAPH.get(dg.AssetKey(["sinks", name]))
    assert {key.to_user_string() for key in asset.parent_keys} == {of}
    assert not asset.is_materializable, "a service does it, and no run"


def test_every_check_says_what_it_promises_of_an_asset_that_is_there() -> None:
    for key in GRAPH.asset_check_keys:
        assert GRAPH.get_check_spec(key).description, key
        assert key.asset_key in GRAPH.materializable_asset_keys


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
