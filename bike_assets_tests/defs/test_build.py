"""A job run from the command line: what it tells of each step, and of what it did not come to."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from bike_assets.defs.build import Broken, Built, Checked, run_to_the_end
from bike_assets_tests.conftest import CHECKOUT
from bike_assets_tests.defs import sleeping_build
from bike_assets_tests.waiting import wait_until

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
GOOD: dict[str, Any] = {"checked": 4}
BAD: dict[str, Any] = {"checked": 4, "bad": 1, "first_bad": dg.JsonMetadataValue([{"a": 1}]),
                       "see_all": dg.MetadataValue.md('`bike sql "x"`')}  # fmt: skip


def table(name: str, *deps: str, breaks: bool = False) -> dg.AssetsDefinition:
    @dg.asset(key=["made", name], deps=[["made", dep] for dep in deps])
    def build() -> dg.MaterializeResult[None]:
        if breaks:
            raise dg.Failure("no space left")
        return dg.MaterializeResult(metadata={"dagster/row_count": 4})

    return build


def check(
    of: str, name: str, *, passed: bool, blocking: bool = False, severity: dg.AssetCheckSeverity = ERROR
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=["made", of], name=name, blocking=blocking)
    def judge() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passed, severity=severity, metadata=GOOD if passed else BAD)

    return judge


def run(home: Path, *made: dg.AssetsDefinition | dg.AssetChecksDefinition) -> list[Built | Checked | Broken]:
    """The steps of a run over all of these, in an instance of its own."""
    shutil.copy(CHECKOUT / "dagster.yaml", home)
    checks = [each for each in made if isinstance(each, dg.AssetChecksDefinition)]
    defs = dg.Definitions(assets=[each for each in made if each not in checks], asset_checks=checks)
    return run_to_the_end(defs.resolve_implicit_global_asset_job_def(), None, home, lambda _: None)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run sets it; it is as it was after the test."""
    monkeypatch.setenv("DAGSTER_HOME", "elsewhere")


def test_each_table_is_told_with_its_rows_and_each_check_with_what_it_found(tmp_path: Path) -> None:
    steps = run(tmp_path, table("a"), check("a", "holds", passed=True), check("a", "fails", passed=False),
                check("a", "warns", passed=False, severity=WARN))  # fmt: skip
    failed = Checked("made.a", "fails", passed=False, checked=4, bad=1, first_bad=[{"a": 1}], see_all='bike sql "x"')
    assert sorted(steps, key=lambda step: step.what) == [
        Built("made.a", 4), failed, failed._replace(check="holds", passed=True, bad=0, first_bad=[], see_all=""),
        failed._replace(check="warns", is_error=False),
    ]  # fmt: skip


def test_what_a_blocking_check_ends_is_told_as_not_run_and_is_no_broken_step(tmp_path: Path) -> None:
    steps = run(tmp_path, table("a"), table("b", "a"), check("a", "blocks", passed=False, blocking=True),
                check("b", "holds", passed=True))  # fmt: skip
    passed = {step.what: step.passed for step in steps if isinstance(step, Checked)}
    assert passed == {"made.a: blocks": False, "made.b: holds": None}
    assert [step for step in steps if not isinstance(step, Checked)] == [Built("made.a", 4)]


def test_a_step_that_breaks_is_told_with_its_cause(tmp_path: Path) -> None:
    steps = run(tmp_path, table("a", breaks=True), check("a", "holds", passed=True))
    assert steps == [Broken("made__a", "no space left"), Checked("made.a", "holds")]


def test_a_command_whose_run_is_cancelled_in_dagster_ends_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(CHECKOUT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    words = (sys.executable, "-m", sleeping_build.__name__, str(tmp_path))
    with dg.DagsterInstance.get() as instance, subprocess.Popen(words, cwd=CHECKOUT, stderr=subprocess.PIPE) as command:
        try:
            wait_until(lambda: any(is_at_work(instance, run) for run in instance.get_runs()))
            [run] = instance.get_runs()
            assert instance.run_launcher.terminate(run.run_id)
            assert command.stderr is not None
            assert command.stderr.read().decode().splitlines()[-1] == "error: The run was cancelled in Dagster."
            assert command.wait() == 1
            [ended] = instance.get_runs()
        finally:
            command.kill()
    assert ended.status is dg.DagsterRunStatus.CANCELED


def is_at_work(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    return bool(instance.all_logs(run.run_id, dg.DagsterEventType.STEP_START))
