"""The databases as assets: there where the settings name them, and caught up with by themselves."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from unittest.mock import ANY

import dagster as dg
import pytest
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor

from bike_assets.definitions import defs
from bike_assets.defs.freshness import BY_MORNING, with_freshness
from bike_assets.defs.partitions import tags_of
from bike_assets.defs.pools import make_known, serving_pool
from bike_assets.defs.serving.databases import KINDS, database_assets, databases
from bike_assets.model.schema import Table
from bike_assets.model.star import DIMENSIONS, FACTS
from bike_assets.model.warehouse import DIM_CUSTOMER
from bike_assets.settings import DATABASES, load_settings
from bike_assets_tests.conftest import CHECKOUT
from bike_assets_tests.defs.conftest import Home, failure

NOW = datetime.fromisoformat("2024-03-31T12:01:00+00:00")
DAY = "2024-03-29"
POSTGRES = dg.AssetKey(["databases", "postgres"])
WITH_ALL = dg.Definitions.merge(defs, dg.Definitions(assets=database_assets(DATABASES)))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """One in which the dimensions are built, and a day."""
    with dg.DagsterInstance.ephemeral() as made:
        for table in (*DIMENSIONS, *FACTS):
            built(made, table)
        yield made


def built(instance: dg.DagsterInstance, table: Table, day: str = DAY) -> None:
    of_day = day if table.partitioned_by else None
    instance.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey(list(table.path)), partition=of_day))


class Watch:
    """Looks at the conditions, a minute later each time, as the sensor does."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.now = instance, NOW
        self.cursor: AssetDaemonCursor | None = None

    def look(self, minutes: int = 1) -> set[str | None]:
        self.now += timedelta(minutes=minutes)
        done = dg.evaluate_automation_conditions(
            WITH_ALL, self.instance, dg.AssetSelection.assets(POSTGRES), evaluation_time=self.now, cursor=self.cursor
        )
        self.cursor = done.cursor
        return set(done.get_requested_partitions(POSTGRES))


def test_without_a_setting_there_is_no_asset_of_a_database() -> None:
    assert load_settings().databases == []
    assert not {key for key in defs.resolve_asset_graph().get_all_asset_keys() if key.path[0] == "databases"}


def test_the_databases_are_those_that_the_settings_name_when_they_are_asked_for(
    bare_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert databases() == []
    monkeypatch.setenv("BIKE_POSTGRES", "postgresql://user@127.0.0.1:1/bikes")
    assert [each.key for each in databases()] == [POSTGRES]


@pytest.mark.parametrize("name", DATABASES)
def test_every_database_is_an_asset_that_says_what_it_is(name: str) -> None:
    asset = WITH_ALL.resolve_asset_graph().get(dg.AssetKey(["databases", name]))
    assert asset.owners
    assert asset.kinds == {KINDS[name]}
    assert asset.group_name == "serving"
    assert f"BIKE_{name.upper()}" in (asset.description or "")
    assert {"live_page", "dictionary"} <= set(asset.metadata)
    assert asset.parent_keys == {dg.AssetKey(list(table.path)) for table in (*DIMENSIONS, *FACTS)}
    (spec,) = database_assets([name])[0].specs
    assert with_freshness(spec, has_members=False).freshness_policy == BY_MORNING


def test_a_day_that_was_built_before_the_database_was_named_is_brought_there(instance: dg.DagsterInstance) -> None:
    assert Watch(instance).look() == {DAY}


def test_a_day_does_not_wait_for_the_list_of_customers() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for table in (*DIMENSIONS, *FACTS):
            if table is not DIM_CUSTOMER:
                built(instance, table)
        assert Watch(instance).look() == {DAY}


def test_a_day_is_brought_once_all_its_facts_are_built(instance: dg.DagsterInstance) -> None:
    watch = Watch(instance)
    watch.look()
    instance.report_runless_asset_event(dg.AssetMaterialization(POSTGRES, partition=DAY))
    for table in FACTS[:-1]:
        built(instance, table, "2024-03-30")
    assert watch.look() == set()
    built(instance, FACTS[-1], "2024-03-30")
    assert watch.look() == {"2024-03-30"}


def test_a_day_that_is_built_again_is_brought_again_and_a_dimension_alone_brings_none(
    instance: dg.DagsterInstance,
) -> None:
    watch = Watch(instance)
    watch.look()
    instance.report_runless_asset_event(dg.AssetMaterialization(POSTGRES, partition=DAY))
    built(instance, DIMENSIONS[0])
    assert watch.look() == set()
    built(instance, FACTS[0])
    assert watch.look() == {DAY}


def test_a_day_that_is_built_again_while_it_is_brought_is_brought_again_after_that(
    instance: dg.DagsterInstance,
) -> None:
    watch = Watch(instance)
    assert watch.look() == {DAY}
    job = WITH_ALL.resolve_implicit_global_asset_job_def()
    run = instance.create_run_for_job(job, tags={"dagster/partition": DAY}, asset_selection=frozenset([POSTGRES]))
    instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", run.job_name, message=""), run.run_id)
    assert watch.look() == set()
    built(instance, FACTS[0])
    assert watch.look() == set()
    instance.report_runless_asset_event(dg.AssetMaterialization(POSTGRES, partition=DAY))
    instance.report_dagster_event(dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name, message=""), run.run_id)
    assert [watch.look() for _ in range(2)] == [{DAY}, set()]


def test_a_day_that_could_not_be_brought_is_tried_again_every_quarter_of_an_hour(
    instance: dg.DagsterInstance, home: Home
) -> None:
    watch = Watch(instance)
    assert watch.look() == {DAY}
    home.fails("error: PostgreSQL at db:5432/bikes: connection refused.\n")
    for _ in range(2):
        assert not run(instance, home).success
        assert watch.look() == set(), "not before the quarter is over"
        assert watch.look(15) == {DAY}
    home.answers({"parts": [], "days_behind": 0, "oldest_behind": None})
    assert run(instance, home).success
    assert watch.look(15) == set()


def run(instance: dg.DagsterInstance, home: Home) -> dg.ExecuteInProcessResult:
    """A run of the days that automation asks for: with a range's tags, as it is one run for all of them."""
    day = date.fromisoformat(DAY)
    return dg.materialize(
        database_assets(["postgres"]), instance=instance, resources=home.resources, tags=tags_of(day, day),
        raise_on_error=False,
    )  # fmt: skip


def test_a_run_exports_its_day_and_shows_how_far_the_database_is_behind(
    instance: dg.DagsterInstance, home: Home
) -> None:
    parts = [{"table": "fact_system_day", "part": DAY, "rows": 5}]
    home.answers({"parts": parts, "days_behind": 2, "oldest_behind": "2024-03-01"})
    result = run(instance, home)
    assert home.called == ["export", "postgres", DAY, DAY, "--json"]
    (event,) = result.get_asset_materialization_events()
    told = {name: each.value for name, each in event.step_materialization_data.materialization.metadata.items()}
    assert told == {"dagster/row_count": 5, "parts": 1, "days_behind": 2, "oldest_behind": "2024-03-01"} | {
        name: ANY for name in told if name.startswith("dagster/") and name != "dagster/row_count"
    }


def test_a_database_that_is_down_is_said_in_its_own_words(instance: dg.DagsterInstance, home: Home) -> None:
    home.fails("error: PostgreSQL at db:5432/bikes: connection refused.\n")
    assert "PostgreSQL at db:5432/bikes: connection refused." in failure(run(instance, home))


def test_each_database_has_a_pool_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BIKE_POSTGRES", "postgresql://h/bikes")
    (tmp_path / "dagster.yaml").write_text((CHECKOUT / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        make_known(instance)
        assert serving_pool("postgres") in instance.event_log_storage.get_concurrency_keys()
    assert database_assets(["postgres"])[0].node_def.pools == {serving_pool("postgres")}
