"""Recordings through the whole path with nothing running, held against the oracle row for row."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bike_assets.model.warehouse import DIM_CUSTOMER, WAREHOUSE_TABLES
from bike_assets_tests.journeys.homes import Home, is_one_sentence
from bike_assets_tests.journeys.tables import TOLD, Row, Told, expected, first_difference, found
from bike_assets_tests.oracle.events import Line, read_lines
from bike_assets_tests.oracle.made import CITIES, MADE, Station, instant, write
from bike_assets_tests.oracle.warehouse import FIGURES, fact_station_hour

RECORDINGS = Path(__file__).parents[2] / "bike_assets" / "data" / "recordings"
REAL = sorted(RECORDINGS.glob("*.jsonl.xz"))
WARNINGS = {"levels_fit_capacity", "hole_in_the_day", "looks_like_last_weeks", "meets_service_level"}
every_table = pytest.mark.parametrize("table", TOLD, ids=lambda table: table.name)


def made_lines() -> list[Line]:
    """All hand-made recordings, each as a system of its own."""
    lines = []
    for number, (name, recording) in enumerate(MADE.items()):
        is_jcdecaux = "[jcdecaux]" in name
        system_id = f"jcdecaux:made{number}" if is_jcdecaux else f"made_{number}"
        lines += [{**line, "system_id": system_id} for line in recording]
    return lines


def shared_lines() -> list[Line]:
    """Answers with all contracts: two, then one of them is missing, then none can be read."""
    city = CITIES[0]

    def answer(at: str, *contracts: str) -> Line:
        line = city.poll(at, {"1": Station(3, 7), "2": Station(0, 10)})
        body = [{**row, "contract_name": name} for name in contracts for row in line["body"]]
        return {**line, "system_id": "jcdecaux", "body": body}

    both = "Besac", "Lutece"
    broken = {**city.line(instant("30 11:01:00"), body={"error": "Unauthorized"}), "system_id": "jcdecaux"}
    return [answer("30 10:58:00", *both), answer("30 10:59:00", both[0]), answer("30 11:00:00", *both), broken,
            answer("30 11:02:00", *both)]


@dataclass(frozen=True)
class Journey:
    """What was replayed into which home, what each command said, and who was left running after it."""

    home: Home
    lines: list[Line]
    replayed: dict[str, Any]
    drained: dict[str, Any]
    left: list[str]


@pytest.fixture(scope="module")
def journey(a_home: Home) -> Journey:
    """Both real recordings and all hand-made ones, replayed and drained with nothing running."""
    made = write(a_home.directory / "made.jsonl.zst", [*made_lines(), *shared_lines()])
    files = [*REAL, made]
    replayed = a_home.answer("replay", *files)
    left = [f"replay left {process.cmdline()}" for process in a_home.processes()]
    drained = a_home.answer("drain")
    left += [f"drain left {process.cmdline()}" for process in a_home.processes()]
    return Journey(a_home, [line for file in files for line in read_lines(file)], replayed, drained, left)


@every_table
def test_a_replay_leaves_the_rows_that_a_plain_reading_of_the_recordings_gives(journey: Journey, table: Told) -> None:
    assert first_difference(found(journey.home, table), expected(table, journey.lines)) is None


def test_a_poll_that_is_not_good_says_why_and_a_good_one_has_nothing_to_say(journey: Journey) -> None:
    rows = journey.home.rows("SELECT error IS NULL AS is_silent, outcome IN ('ok', 'not_modified') AS is_good, "
                             "http_status IS NOT NULL AND outcome = 'http_error' AS is_status FROM events.polls")
    assert [row for row in rows if row["is_silent"] != row["is_good"]] == []


def test_every_refused_row_and_body_is_kept_with_its_reason(journey: Journey) -> None:
    refused = journey.home.rows("""
        SELECT polls.system_id, polls.fetched_at, outcome, rows_rejected,
               count(*) FILTER (WHERE row_index >= 0) AS rows_kept,
               count(*) FILTER (WHERE row_index = -1) AS bodies_kept
        FROM events.polls LEFT JOIN events.rejections USING (system_id, feed, fetched_at)
        WHERE rows_rejected > 0 OR reason IS NOT NULL GROUP BY ALL""")
    assert refused
    assert [row for row in refused if row["rows_kept"] != row["rows_rejected"]] == []
    assert {row["outcome"] for row in refused if row["bodies_kept"]} == {"invalid"}
    assert journey.home.rows("FROM events.rejections WHERE coalesce(reason, '') = '' OR payload IS NULL") == []


def test_nothing_is_left_running_after_a_command(journey: Journey) -> None:
    assert journey.left == []


def test_a_second_replay_and_drain_add_nothing_and_say_so(journey: Journey) -> None:
    before = {table.name: found(journey.home, table) for table in TOLD}
    again = journey.home.answer("replay", *REAL, journey.home.directory / "made.jsonl.zst")
    assert (again["written"], again["events"]) == (0, 0)
    assert again["skipped"] == journey.replayed["written"] + journey.replayed["skipped"]
    drained = journey.home.answer("drain")
    assert drained["messages"] == 0
    after: dict[str, list[Row]] = {table.name: found(journey.home, table) for table in TOLD}
    assert after == before


def test_no_library_says_anything_beside_the_answer(journey: Journey) -> None:
    for words in (("replay", REAL[0]), ("sql", "FROM live.system_minute LIMIT 1")):
        done = journey.home.bike(*words)
        assert (done.returncode, done.stderr.strip()) == (0, ""), words


BUILT = "2024-03-27", "2024-11-30"
"""All that was made by hand, and Oslo's day: in one run."""


@pytest.fixture(scope="module")
def built(journey: Journey) -> list[dict[str, Any]]:
    """The warehouse of these days; what each step of the run said."""
    steps: list[dict[str, Any]] = journey.home.answer("build", *BUILT)
    return steps


def test_a_build_makes_every_table_and_its_checks_hold(built: list[dict[str, Any]]) -> None:
    rows = {step["what"]: step["rows"] for step in built if step["rows"] is not None}
    assert set(rows) == {table.name for table in (*WAREHOUSE_TABLES, DIM_CUSTOMER)}
    assert all(rows[table.name] for table in WAREHOUSE_TABLES if not table.may_be_empty)
    wrong = {step["what"].split(": ")[1] for step in built if step["passed"] is False}
    assert wrong <= WARNINGS, "these only warn"
    assert len([step for step in built if step["passed"]]) > 20


def test_the_hours_equal_an_independent_reading_of_the_recordings(
    journey: Journey, built: list[dict[str, Any]]
) -> None:
    grain = ("system_id", "station_id", "hour_start")
    zones = dict.fromkeys({line["system_id"] for line in journey.lines} | shared_systems(journey), "UTC")
    wanted = {tuple(row[name] for name in grain): row for row in fact_station_hour(journey.lines, zones)
              if BUILT[0] <= row["utc_date"].isoformat() <= BUILT[1]}
    found = {(row["system_id"], row["station_id"], datetime.fromisoformat(row["hour_start"])): row
             for row in journey.home.rows("FROM warehouse.fact_station_hour")}
    assert found.keys() == wanted.keys()
    assert len(wanted) > 8_000
    wrong = [key for key, row in wanted.items() for name in FIGURES
             if found[key][name] != (pytest.approx(row[name], abs=1e-6) if row[name] is not None else None)]
    assert wrong == []


def shared_systems(journey: Journey) -> set[str]:
    """The systems of answers with all contracts, which no line names."""
    return {row["system_id"] for row in journey.home.rows("SELECT DISTINCT system_id FROM events.polls")}


def test_a_day_can_be_built_again(journey: Journey, built: list[dict[str, Any]]) -> None:
    totals = """SELECT count(*) AS rows, sum(departures) AS departures, sum(hash(station_id, hour_start, polls)) AS all_
                FROM warehouse.fact_station_hour"""
    before = journey.home.rows(totals)
    again = {step["what"]: step["rows"] for step in journey.home.answer("build", "2024-11-30")}
    assert again["warehouse.fact_station_hour"] == 6120
    assert journey.home.rows(totals) == before


@pytest.mark.parametrize(("days", "said"), [
    (["1999-01-01"], "There is no day 1999-01-01: they are 2014-01-01 to "), (["monday"], "monday is no day"),
    (["2024-12-01", "2024-11-30"], "2024-11-30 lies before 2024-12-01"),
], ids=lambda value: value[0] if isinstance(value, list) else "")
def test_a_wrong_day_is_told_with_those_that_there_are(journey: Journey, days: list[str], said: str) -> None:
    done = journey.home.bike("build", *days)
    assert done.returncode == 1
    assert said in done.stderr
    assert is_one_sentence(done.stderr), done.stderr
