"""Runs are forked from a warm process, one that dies is made anew, and without it they start as Dagster starts them."""

import json
import logging
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from dagster._grpc.server import DagsterApiServer

from bike_assets.defs import warm
from bike_assets.defs.warm import CONTEXT, fork_runs
from bike_assets_tests.conftest import CHECKOUT

SERVER = CHECKOUT / "bike_assets_tests" / "defs" / "code_server.py"
KILLED_BY_SERVERS_DEATH = 255
"""What Python says of a process whose server is gone."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux only")


def served(case: str, *through: str | Path) -> tuple[list[Any], str]:
    """What a code server sees in a case, and what it says."""
    command = (sys.executable, *through, SERVER, "api", "grpc", case)
    done = subprocess.run(
        list(map(str, command)), cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=200,
        start_new_session=True,
    )  # fmt: skip
    return json.loads(done.stdout), done.stderr


def is_forked(run: dict[str, Any]) -> bool:
    """Whether a run's process came from the warm one, and found all loaded."""
    assert run["exit"] == 0
    return bool(run["parent"] == run["warm"] == run["loaded_by"] != run["server"] and not run["cold"])


def test_each_run_is_forked_from_one_process_that_has_loaded_all() -> None:
    (first, second, threads), _ = served("two_runs")
    assert is_forked(first)
    assert is_forked(second)
    assert first["warm"] == second["warm"]
    assert first["pid"] != second["pid"]
    # A fork has none of its parent's threads; the allocator knows that, and OpenBLAS has ended its own before it.
    assert set(threads) <= {"jemalloc_bg_thd"}


def test_a_warm_process_that_was_killed_is_made_anew() -> None:
    (first, second), said = served("killed_between")
    assert is_forked(first)
    assert is_forked(second)
    assert first["warm"] != second["warm"]
    assert said == ""


def test_a_run_at_work_ends_with_the_warm_process_and_the_next_is_forked_again() -> None:
    (exit_code, is_there, following), _ = served("killed_at_work")
    assert exit_code == KILLED_BY_SERVERS_DEATH, "the code server takes the run for dead"
    assert not is_there, "so it may not go on"
    assert is_forked(following)


def test_a_run_that_is_told_to_end_with_all_of_its_group_ends_in_order() -> None:
    assert served("told_to_end")[0] == [0, "ended in order"]


def test_where_the_warm_process_cannot_be_had_runs_start_as_dagster_starts_them() -> None:
    runs, said = served("never_warm")
    for run in runs:
        assert run["exit"] == 0
        assert run["parent"] == run["server"]
        assert run["loaded_by"] == run["pid"]
    assert said.count("A run is started without the warm process") == len(runs)


def test_a_webservers_code_server_which_launches_no_run_has_no_warm_process(tmp_path: Path) -> None:
    webserver = tmp_path / "dagster-webserver"
    webserver.write_text("import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]], check=True)")
    assert served("before_a_run", webserver)[0] == [None]
    (alone,), _ = served("before_a_run")
    assert alone is not None


def test_who_only_loads_the_definitions_changes_nothing_of_dagsters() -> None:
    import bike_assets.definitions

    assert bike_assets.definitions.defs
    assert CONTEXT not in vars(DagsterApiServer)


def test_with_a_dagster_that_starts_runs_in_another_way_they_start_as_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def start_run(self: DagsterApiServer) -> None:
        self._context.Process()  # type: ignore[attr-defined]

    monkeypatch.setattr(sys, "argv", ["dagster", "api", "grpc"])
    monkeypatch.setattr(DagsterApiServer, "StartRun", start_run)
    monkeypatch.setattr(forkserver, "ensure_running", lambda: pytest.fail("nothing is started"))
    with caplog.at_level(logging.WARNING, warm.log.name):
        fork_runs()
    assert [each.message for each in caplog.records] == [
        "This version of Dagster starts runs in a way that is not known here: they start cold."
    ]
    assert CONTEXT not in vars(DagsterApiServer)
    monkeypatch.delattr(DagsterApiServer, "StartRun")
    fork_runs()
    assert CONTEXT not in vars(DagsterApiServer)
    monkeypatch.setitem(sys.modules, DagsterApiServer.__module__, None)
    fork_runs()
    assert len(caplog.records) == 3
