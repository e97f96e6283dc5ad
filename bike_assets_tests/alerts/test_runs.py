"""Runs that failed and checks that did not hold, until the same goes well."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import Severity, read_book
from bike_assets.alerts.runs import RETRIED_WITHIN, Days, Ended, look_again, one_line, take
from bike_assets.sources.redaction import Secrets
from bike_assets_tests.alerts.builders import checked, ended
from bike_assets_tests.model.builders import NOON

FIRST, SECOND, THIRD = date(2024, 3, 28), date(2024, 3, 29), date(2024, 3, 30)
CHECK = "check/warehouse.fact:hours_add_up"
NOTHING = Secrets([])


def after(path: Path, *runs: Ended) -> list[str]:
    """What is wrong after these runs, each looked at by itself."""
    for run in runs:
        desk = Desk(path / "book.json", {}, NOON)
        take(desk, run)
        desk.close()
    return sorted(read_book(path / "book.json").open)


def test_a_failed_run_is_an_incident_until_the_same_succeeds(tmp_path: Path) -> None:
    assert after(tmp_path, ended(cause="no space left")) == ["run/build_days"]
    assert read_book(tmp_path / "book.json").open["run/build_days"].says == "build_days failed: no space left"
    assert after(tmp_path, ended("2", what="maintain", succeeded=True)) == ["run/build_days"]
    assert after(tmp_path, ended("3", succeeded=True)) == []


def test_a_run_of_days_is_over_when_a_run_with_all_of_these_days_succeeds(tmp_path: Path) -> None:
    assert after(tmp_path, ended(days=Days(FIRST, SECOND))) == ["run/build_days@2024-03-28..2024-03-29"]
    assert len(after(tmp_path, ended("2", days=Days(SECOND, THIRD), succeeded=True))) == 1
    assert len(after(tmp_path, ended("3", succeeded=True))) == 1, "a run of no days"
    assert after(tmp_path, ended("4", days=Days(FIRST, THIRD), succeeded=True)) == []


def test_a_run_of_one_day_is_named_by_it(tmp_path: Path) -> None:
    assert after(tmp_path, ended(days=Days(FIRST, FIRST))) == ["run/build_days@2024-03-28"]


def test_a_run_that_is_tried_again_is_no_incident_yet(tmp_path: Path) -> None:
    assert after(tmp_path, ended(will_retry=True)) == []
    assert after(tmp_path, ended("2")) == ["run/build_days"]


@pytest.mark.parametrize(("found", "later", "is_told"), [
    (None, timedelta(0), False),
    (ended(will_retry=True), timedelta(0), False),
    (ended(will_retry=False), timedelta(0), True),
    (ended(will_retry=True), RETRIED_WITHIN + timedelta(seconds=1), True),
], ids=["started again", "still to be", "given up", "forgotten"])  # fmt: skip
def test_a_run_that_was_to_be_tried_again_is_told_where_it_was_not(
    tmp_path: Path, found: Ended | None, later: timedelta, is_told: bool
) -> None:
    after(tmp_path, ended(will_retry=True))
    desk = Desk(tmp_path / "book.json", {}, NOON)
    look_again(desk, lambda run_id: found, NOON + later)
    desk.close()
    assert desk.keys == (["run/build_days"] if is_told else [])
    is_settled = found is None or is_told
    assert (not desk.hoped) is is_settled


def test_a_check_that_blocked_is_part_of_the_run_that_failed_by_it(tmp_path: Path) -> None:
    assert after(tmp_path, ended(checks=[checked(False, is_blocking=True)])) == ["run/build_days"]


def test_a_check_that_blocks_nothing_is_an_incident_of_its_own(tmp_path: Path) -> None:
    assert after(tmp_path, ended(succeeded=True, checks=[checked(False)])) == [CHECK]
    assert after(tmp_path, ended("2", succeeded=True, checks=[checked(True)])) == []


def test_a_check_that_only_warns_is_told_as_a_warning(tmp_path: Path) -> None:
    warned = checked(False, Severity.WARNING, is_blocking=True)
    assert after(tmp_path, ended(succeeded=True, checks=[warned])) == [CHECK]
    assert read_book(tmp_path / "book.json").open[CHECK].severity is Severity.WARNING


def test_a_check_of_another_day_says_nothing_of_this_one(tmp_path: Path) -> None:
    first, second = Days(FIRST, FIRST), Days(SECOND, SECOND)
    assert after(tmp_path, ended(days=first, succeeded=True, checks=[checked(False)])) == [f"{CHECK}@2024-03-28"]
    assert len(after(tmp_path, ended("2", days=second, succeeded=True, checks=[checked(True)]))) == 1
    assert after(tmp_path, ended("3", days=first, succeeded=True, checks=[checked(True)])) == []


@pytest.mark.parametrize(("message", "line"), [
    ("bike_assets.model.errors.LakeBroken: events.polls cannot be read.\n\nmore\n", "events.polls cannot be read."),
    ("dagster._core.definitions.events.Failure: Wait, or end it (pid 12)\n", "Wait, or end it (pid 12)"),
    ("ValueError: no such thing\n", "ValueError: no such thing"),
    ("OSError: http://u:hidden-0123@x.org/a?key=hidden-0123 is gone", "OSError: http://x.org/a?[removed] is gone"),
    ("It said sesame-0123.", "It said [removed]."),
    ("", ""),
    ("x" * 1000, "x" * 300),
])  # fmt: skip
def test_a_cause_is_one_line_without_what_must_not_be_told(message: str, line: str) -> None:
    assert one_line(message, Secrets(["sesame-0123"])) == line
