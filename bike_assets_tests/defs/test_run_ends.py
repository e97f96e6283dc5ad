"""How runs of a real instance ended: what they failed to build, and who built it since."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.runs import take
from bike_assets.defs.partitions import DAYS, tags_of
from bike_assets.defs.run_ends import defined_in, ended_after
from bike_assets.sources.redaction import Secrets

FIRST, LAST = date(2024, 3, 30), date(2024, 3, 31)
KEY = f"run/build@{FIRST}..{LAST}"


class Warehouse:
    """Two dimensions and two facts of days in a row; what is in `broken` cannot be built, or does not hold."""

    def __init__(self, instance: dg.DagsterInstance, directory: Path) -> None:
        self.instance, self.directory = instance, directory
        self.broken: set[str] = set()
        self.meanwhile: Callable[[], object] = list
        """What happens before a run of `rebuild` ends."""
        self._cursor: int | None = None
        assets = [self._asset("system", None), self._asset("hours", DAYS), self._asset("days", DAYS)]
        look = dg.define_asset_job("look", dg.AssetSelection.checks_for_assets("hours"))
        self.defs = dg.Definitions(
            assets=assets, asset_checks=[self._check()], jobs=[dg.define_asset_job("build"), self._rebuild(), look]
        )

    def _asset(self, name: str, days: dg.PartitionsDefinition[str] | None) -> dg.AssetsDefinition:
        @dg.asset(name=name, partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run() if days else None,
                  deps={"system": [], "hours": ["system"], "days": ["hours"]}[name])  # fmt: skip
        def built() -> None:
            if name in self.broken:
                raise dg.Failure(f"{name} cannot be written.")

        return built

    def _check(self) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset="hours", blocking=True)
        def add_up() -> dg.AssetCheckResult:
            if "lake" in self.broken:
                raise dg.Failure("The lake cannot be read.")
            return dg.AssetCheckResult(passed="add_up" not in self.broken)

        return add_up

    def _rebuild(self) -> dg.JobDefinition:
        @dg.op
        def rebuild_hours(context: dg.OpExecutionContext) -> None:
            for day in (FIRST, LAST):
                context.log_event(dg.AssetMaterialization("hours", partition=day.isoformat()))
            self.meanwhile()

        @dg.job
        def rebuild() -> None:
            rebuild_hours()

        return rebuild

    def run(self, first: date = FIRST, last: date = LAST, job: str = "build") -> None:
        self._done(self.defs.resolve_job_def(job), tags_of(first, last) if job == "build" else {}, None)

    def materialize(self, *names: str, first: date = FIRST, last: date = LAST) -> None:
        """As by the button of the UI: no job's name, and these assets."""
        keys = [dg.AssetKey(name) for name in names]
        self._done(self.defs.resolve_implicit_global_asset_job_def(), tags_of(first, last), keys)

    def _done(self, job: dg.JobDefinition, tags: dict[str, str], keys: list[dg.AssetKey] | None) -> None:
        job.execute_in_process(instance=self.instance, raise_on_error=False, tags=tags, asset_selection=keys)

    @property
    def wrong(self) -> list[str]:
        """The incidents that are open, once all that ended was looked at."""
        desk = Desk(self.directory / "runs.json", {}, datetime.now(UTC))
        since = datetime.now(UTC) - timedelta(hours=1)
        defined = defined_in(self.defs.get_repository_def())
        for number, run in ended_after(self.instance, self._cursor, since, Secrets([]), defined):
            self._cursor = number
            if run is not None:
                take(desk, run)
        desk.close()
        return sorted(desk.keys)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Warehouse(instance, tmp_path)


def test_a_failed_run_is_over_once_what_it_did_not_build_was_materialised_by_hand(warehouse: Warehouse) -> None:
    warehouse.broken = {"hours"}
    warehouse.run()
    assert warehouse.wrong == [KEY]
    warehouse.broken = set()
    warehouse.materialize("system")
    warehouse.materialize("hours")
    assert warehouse.wrong == [KEY], "nobody built the days that wait for the hours"
    warehouse.materialize("days", first=LAST)
    assert warehouse.wrong == [KEY], "the first day is not built yet"
    warehouse.materialize("days", last=FIRST)
    assert warehouse.wrong == []


def test_another_jobs_repair_counts_in_a_storage_of_files_too(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp() as instance:
        repair_by_another_job(Warehouse(instance, tmp_path))


def repair_by_another_job(warehouse: Warehouse) -> None:
    warehouse.broken = {"hours"}
    warehouse.materialize("hours")
    assert warehouse.wrong == [f"run/hours@{FIRST}..{LAST}"]
    warehouse.run(job="rebuild")
    assert warehouse.wrong == [f"run/hours@{FIRST}..{LAST}"], "nobody looked whether the hours add up"
    warehouse.run(job="look")
    assert warehouse.wrong == []


def test_what_was_built_before_a_run_failed_is_no_repair_though_its_run_ended_after(warehouse: Warehouse) -> None:
    warehouse.broken = {"hours"}
    warehouse.meanwhile = lambda: warehouse.materialize("hours")
    warehouse.run(job="rebuild")
    warehouse.run(job="look")
    assert warehouse.wrong == [f"run/hours@{FIRST}..{LAST}"], "they are not built again yet"
    warehouse.meanwhile = list
    warehouse.run(job="rebuild")
    assert warehouse.wrong == []


def test_the_whole_job_ends_what_was_materialised_by_hand_and_failed(warehouse: Warehouse) -> None:
    warehouse.broken = {"days"}
    warehouse.materialize("days")
    warehouse.broken = set()
    warehouse.run()
    assert warehouse.wrong == []


def test_what_was_built_of_a_failed_run_need_not_be_built_again(warehouse: Warehouse) -> None:
    warehouse.broken = {"days"}
    warehouse.run()
    warehouse.broken = set()
    warehouse.materialize("days")
    assert warehouse.wrong == []


def test_a_run_that_failed_by_a_check_is_over_when_that_holds_and_the_rest_is_built(warehouse: Warehouse) -> None:
    warehouse.broken = {"add_up"}
    warehouse.run()
    assert warehouse.wrong == [KEY]
    warehouse.run(job="rebuild")
    warehouse.broken = set()
    warehouse.materialize("days")
    assert warehouse.wrong == [KEY], "nobody knows whether the hours add up"
    warehouse.materialize("hours")
    assert warehouse.wrong == []


def test_a_run_whose_blocking_check_raised_is_over_when_the_check_was_made_and_held(warehouse: Warehouse) -> None:
    warehouse.broken = {"lake"}
    warehouse.run()
    assert warehouse.wrong == [KEY]
    warehouse.broken = set()
    warehouse.materialize("days")
    assert warehouse.wrong == [KEY], "nobody looked whether the hours add up"
    warehouse.materialize("hours")
    assert warehouse.wrong == []
