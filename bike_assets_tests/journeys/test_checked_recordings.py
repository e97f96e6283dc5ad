"""A recording in a user's own CI: the exit status, and the files that say what holds."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from bike_assets.definitions import defs
from bike_assets.model.warehouse import DIM_CUSTOMER, WAREHOUSE_TABLES
from bike_assets_tests.journeys import broken_lake
from bike_assets_tests.journeys.homes import COMMAND_S, Home, is_one_sentence
from bike_assets_tests.oracle.made import CITIES, Station, write

CITY = CITIES[1]
FILES = "--junit", "said/ci.xml", "--summary", "said/ci.md", "--json"


def recording(directory: Path) -> Path:
    """Half an hour in which a bike is taken and one comes back."""
    bikes = 3, 3, 2, 2, 3, 3
    return write(directory / "monday.jsonl.xz", [
        CITY.information("30 11:00:00", {"1": "Besançon | Gare"}),
        *(CITY.poll(f"30 11:0{minute}:00", {"1": Station(count, 10 - count)}) for minute, count in enumerate(bikes)),
    ])  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """A command that was run to its end, and the files that it wrote."""

    status: int
    answer: dict[str, Any]
    junit: dict[tuple[str, str], str]
    """What became of each check, by table and name."""
    summary: str


def status_alone(directory: Path) -> Path:
    """A recording as a user has one who only ever kept station_status."""
    return write(directory / "status.jsonl", [
        CITY.poll(f"30 11:0{minute}:00", {"1": Station(3, 7)}) for minute in range(3)
    ])  # fmt: skip


def ended(home: Home, program: list[str], make: Callable[[Path], Path] = recording) -> Ended:
    words = ["ci", str(make(home.directory)), "--timezone", "Europe/Paris", *FILES]
    done = subprocess.run([sys.executable, *program, *words], env=home.environment, cwd=home.directory,
                          capture_output=True, text=True, timeout=COMMAND_S, check=False)  # fmt: skip
    assert done.stdout, done.stderr
    cases = {(case.classname, case.name): type(case.result[0]).__name__ if case.result else "passed"
             for suite in JUnitXml.fromfile(str(home.directory / "said" / "ci.xml")) for case in suite}  # fmt: skip
    return Ended(done.returncode, json.loads(done.stdout), cases, (home.directory / "said" / "ci.md").read_text())


@pytest.fixture(scope="module")
def good(a_home: Home) -> Ended:
    """A recording as it should be."""
    return ended(a_home, ["-m", "bike_assets"])


def test_a_recording_of_which_all_holds_ends_with_0(good: Ended) -> None:
    assert (good.status, good.answer["passed"]) == (0, True)
    assert [part["title"] for part in good.answer["parts"]] == ["the tables that the stream fills", "2024-03-30"]
    assert good.summary.startswith("# bike ci: all holds\n")


def test_every_check_of_the_streams_tables_and_of_the_warehouses_is_a_case(good: Ended) -> None:
    checks = {(".".join(key.asset_key.path), key.name) for key in defs.resolve_asset_graph().asset_check_keys}
    assert {case for case in checks if case[0].split(".")[0] in {"events", "live", "warehouse"}} == good.junit.keys()
    assert {good.junit["events.station_status", "chain_is_unbroken"],
            good.junit["warehouse.fact_station_hour", "hours_add_up"]} == {"passed"}  # fmt: skip
    assert good.junit["events.rejections", "keys_are_unique"] == "Skipped"
    assert "Failure" not in good.junit.values()


def test_the_days_of_the_recording_are_built(good: Ended) -> None:
    rows = {each["table"]: each["rows"] for part in good.answer["parts"] for each in part["tables"]}
    assert set(rows) == {table.name for table in (*WAREHOUSE_TABLES, DIM_CUSTOMER)}
    assert rows["warehouse.fact_station_hour"] == 13, "from the hour of the first poll to the end of the day"


def test_nothing_is_left_of_it_in_the_users_home_or_running(a_home: Home, good: Ended) -> None:
    assert [path.name for path in a_home.path.iterdir()] == ["jars"]
    assert a_home.processes() == []


def test_a_check_that_fails_ends_it_with_1_though_it_blocks_nothing_and_the_files_say_which(a_home: Home) -> None:
    broken = ended(a_home, [broken_lake.__file__])
    wrong = "warehouse.fact_station_hour", "stream_equals_batch"
    assert (broken.status, broken.answer["passed"]) == (1, False)
    failed = {case for case, result in broken.junit.items() if result == "Failure"}
    assert failed == {wrong, ("warehouse.fact_station_hour", "minutes_equal_events")}
    assert f"## {': '.join(wrong)} failed\n\n1 bad rows; " in broken.summary


def test_a_recording_of_station_status_alone_passes_and_says_what_was_missing(a_home: Home) -> None:
    found = ended(a_home, ["-m", "bike_assets"], status_alone)
    assert (found.status, found.answer["passed"]) == (0, True), found.summary
    assert "Failure" not in found.junit.values()
    assert found.junit["events.station_information", "keys_are_unique"] == "Skipped"
    assert "no recording has an answer of station_information" in found.summary


def test_a_recorder_that_writes_a_wrong_name_is_one_sentence(a_home: Home) -> None:
    line = CITY.poll("30 11:00:00", {"1": Station(3, 7)}) | {"feed": "gbfs.station_statuss"}
    done = a_home.bike("ci", write(a_home.directory / "misnamed.jsonl", [line]))
    assert done.returncode == 1
    assert "no parser reads 'gbfs.station_statuss'" in done.stderr
    assert is_one_sentence(done.stderr), done.stderr


def test_what_is_no_recording_is_one_sentence(a_home: Home) -> None:
    done = a_home.bike("ci", "nowhere.jsonl")
    assert done.returncode == 1
    assert is_one_sentence(done.stderr), done.stderr


def test_a_file_that_cannot_be_written_is_told_before_anything_is_done(a_home: Home) -> None:
    done = a_home.bike("ci", "nowhere.jsonl", "--junit", a_home.directory)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert is_one_sentence(done.stderr), done.stderr
