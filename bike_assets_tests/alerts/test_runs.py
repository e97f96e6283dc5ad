"""Runs that failed and checks that did not hold, until the same goes well."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import Severity, read_book
from bike_assets.alerts.runs import RETRIED_WITHIN, Days, Ended, forget_gone, look_again, one_line, take
from bike_assets.sources.redaction import Secrets
from bike_assets_tests.alerts.builders import checked, ended
from bike_assets_tests.model.builders import NOON

FIRST, SECOND, THIRD = date(2024, 3, 28), date(2024, 3, 29), date(2024, 3, 30)
CHECK = "check/warehouse.fact:hours_add_up"
EARLIER, LATER = NOON - timedelta(minutes=30), NOON + timedelta(minutes=30)
REPAIRED: dict[str, Any] = {"succeeded": True, "is_whole": False}


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


def test_a_run_of_days_is_over_when_each_of_these_days_succeeded(tmp_path: Path) -> None:
    assert after(tmp_path, ended(days=Days(FIRST, SECOND))) == ["run/build_days@2024-03-28..2024-03-29"]
    assert len(after(tmp_path, ended("2", days=Days(SECOND, THIRD), succeeded=True))) == 1
    assert after(tmp_path, ended("3", days=Days(FIRST, FIRST), succeeded=True)) == []
    later = NOON + timedelta(hours=1)
    assert len(after(tmp_path, ended("4", days=Days(FIRST, SECOND), ended_at=later))) == 1
    assert after(tmp_path, ended("5", succeeded=True)) == [], "a run without days is of all"


def test_a_day_that_failed_again_has_to_succeed_again(tmp_path: Path) -> None:
    after(tmp_path, ended(days=Days(FIRST, SECOND)), ended("2", days=Days(FIRST, FIRST), succeeded=True))
    after(tmp_path, ended("3", days=Days(FIRST, SECOND)))
    assert len(after(tmp_path, ended("4", days=Days(SECOND, SECOND), succeeded=True))) == 1
    assert after(tmp_path, ended("5", days=Days(FIRST, FIRST), succeeded=True)) == []


def test_a_day_that_fails_each_morning_is_one_incident(tmp_path: Path) -> None:
    first = ended(days=Days(FIRST, SECOND), succeeded=True, checks=[checked(False)])
    second = ended("2", days=Days(SECOND, THIRD), succeeded=True, checks=[checked(False)])
    assert after(tmp_path, first, second) == [f"{CHECK}@2024-03-28..2024-03-29"]
    holds = ended("3", days=Days(FIRST, SECOND), succeeded=True, checks=[checked(True)])
    assert len(after(tmp_path, holds)) == 1, "the third day has not held yet"
    third = ended("4", days=Days(THIRD, THIRD), succeeded=True, checks=[checked(True)])
    assert after(tmp_path, third) == []


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


def looked_at_again(path: Path, found: Ended) -> list[str]:
    """What is wrong once a run that was to be tried again was given up."""
    desk = Desk(path / "book.json", {}, NOON)
    look_again(desk, lambda run_id: found, NOON)
    desk.close()
    return desk.keys


def test_what_others_did_before_a_run_was_given_up_is_not_waited_for(tmp_path: Path) -> None:
    undone: dict[str, Any] = {"unbuilt": {"warehouse.hours": set(), "warehouse.days": set()}}
    after(tmp_path, ended(will_retry=True, **undone), ended("2", built={"warehouse.hours": set()}, **REPAIRED))
    assert looked_at_again(tmp_path, ended(**undone)) == ["run/build_days"]
    assert after(tmp_path, ended("3", built={"warehouse.days": set()}, **REPAIRED)) == []


@pytest.mark.parametrize(("built_at", "left"), [
    (EARLIER, ["run/build_days"]), (NOON, []),
], ids=["before it failed", "since"])  # fmt: skip
def test_a_run_is_not_told_where_all_of_it_was_done_since_before_it_was_given_up(
    tmp_path: Path, built_at: datetime, left: list[str]
) -> None:
    failed: dict[str, Any] = {"unbuilt": {"warehouse.hours": set()}}
    repair = ended("2", what="rebuild", ended_at=LATER, built={"warehouse.hours": set()}, built_at=built_at, **REPAIRED)
    after(tmp_path, ended(will_retry=True, **failed), repair)
    assert looked_at_again(tmp_path, ended(**failed)) == left


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


def test_a_failed_run_is_over_once_others_have_built_what_it_did_not(tmp_path: Path) -> None:
    days = {FIRST, SECOND}
    failed = ended(days=Days(FIRST, SECOND), unbuilt={"warehouse.hours": days, "warehouse.systems": set()})
    assert after(tmp_path, failed) == ["run/build_days@2024-03-28..2024-03-29"]
    repairs = [{"warehouse.systems": set[date]()}, {"warehouse.hours": {SECOND, THIRD}}, {"warehouse.others": days}]
    for built in repairs:
        assert len(after(tmp_path, ended("2", what="rebuild", built=built, **REPAIRED))) == 1, built
    assert after(tmp_path, ended("3", what="warehouse.hours", built={"warehouse.hours": {FIRST}}, **REPAIRED)) == []


def test_a_repair_that_fails_its_own_check_repairs_nothing(tmp_path: Path) -> None:
    after(tmp_path, ended(unbuilt={"warehouse.fact": set()}))
    bad = ended("2", what="by hand", built={"warehouse.fact": set()}, checks=[checked(False, is_blocking=True)])
    assert after(tmp_path, bad) == ["run/build_days", "run/by hand"]
    holds = [checked(True, is_blocking=True)]
    good = ended("3", what="again", built={"warehouse.fact": set()}, checks=holds, **REPAIRED)
    assert after(tmp_path, good) == [], "both are over"


def test_a_run_that_failed_by_a_check_is_over_when_that_holds_and_not_when_the_asset_is_only_built(
    tmp_path: Path,
) -> None:
    days = Days(FIRST, FIRST)
    after(tmp_path, ended(days=days, checks=[checked(False, is_blocking=True)]))
    assert len(after(tmp_path, ended("2", what="rebuild", built={"warehouse.fact": {FIRST}}, **REPAIRED))) == 1
    other = ended("3", what="checks", days=Days(SECOND, SECOND), checks=[checked(True)], **REPAIRED)
    assert len(after(tmp_path, other)) == 1
    assert after(tmp_path, ended("4", what="checks", days=days, checks=[checked(True)], **REPAIRED)) == []


def test_a_blocking_check_that_was_not_come_to_is_to_be_made_and_a_warning_of_it_is_enough(tmp_path: Path) -> None:
    days = Days(FIRST, FIRST)
    check = "warehouse.fact:hours_add_up"
    after(tmp_path, ended(days=days, unbuilt={"warehouse.days": {FIRST}}, unchecked=[check]))
    repair = ended("2", what="rebuild", built={"warehouse.days": {FIRST}, "warehouse.fact": {FIRST}}, **REPAIRED)
    assert len(after(tmp_path, repair)) == 1
    warned = checked(False, Severity.WARNING, is_blocking=True)
    assert after(tmp_path, ended("3", what="checks", days=days, checks=[warned], **REPAIRED)) == [f"{CHECK}@{FIRST}"]


def test_a_part_of_a_job_that_went_well_does_not_end_what_the_job_failed_to_do(tmp_path: Path) -> None:
    after(tmp_path, ended(unbuilt={"warehouse.hours": set(), "warehouse.days": set()}))
    part = ended("2", built={"warehouse.hours": set()}, **REPAIRED)
    assert after(tmp_path, part) == ["run/build_days"]
    assert after(tmp_path, ended("3", built={"warehouse.days": set()}, **REPAIRED)) == []


def test_days_that_the_job_and_days_that_others_made_good_come_together(tmp_path: Path) -> None:
    failed = ended(days=Days(FIRST, SECOND), unbuilt={"warehouse.hours": {FIRST, SECOND}})
    same = ended("2", days=Days(FIRST, FIRST), succeeded=True)
    other = ended("3", what="rebuild", built={"warehouse.hours": {SECOND}}, **REPAIRED)
    for n, repairs in enumerate(((same, other), (other, same))):
        assert len(after(tmp_path / str(n), failed, repairs[0])) == 1
        assert after(tmp_path / str(n), repairs[1]) == []


def test_what_failed_again_meanwhile_is_to_be_done_again(tmp_path: Path) -> None:
    failed = ended(days=Days(FIRST, FIRST), unbuilt={"warehouse.hours": {FIRST}, "warehouse.days": {FIRST}})
    hours = ended("2", what="rebuild", built={"warehouse.hours": {FIRST}}, **REPAIRED)
    days = ended("3", what="rebuild", built={"warehouse.days": {FIRST}}, **REPAIRED)
    assert len(after(tmp_path, failed, hours, failed, days)) == 1
    assert after(tmp_path, hours) == []


def test_the_end_says_who_did_the_last_of_it(tmp_path: Path) -> None:
    after(tmp_path, ended(days=Days(FIRST, SECOND), unbuilt={"warehouse.hours": {FIRST}}))
    desk = Desk(tmp_path / "book.json", {}, NOON)
    take(desk, ended("2", what="rebuild", built={"warehouse.hours": {FIRST}}, **REPAIRED))
    assert desk.says("") == (
        "What build_days of 2024-03-28 to 2024-03-29 failed to do has been done: the last of it by rebuild.")


@pytest.mark.parametrize("is_whole", [True, False], ids=["the same job", "another"])
def test_what_was_built_before_a_run_failed_is_no_repair_though_its_run_ended_after(
    tmp_path: Path, is_whole: bool
) -> None:
    days = Days(FIRST, SECOND)
    after(tmp_path, ended(days=days, unbuilt={"warehouse.hours": {FIRST, SECOND}}))
    repair: dict[str, Any] = {"what": "build_days" if is_whole else "rebuild", "is_whole": is_whole, "days": days,
                              "built": {"warehouse.hours": {FIRST, SECOND}}, "succeeded": True}  # fmt: skip
    assert len(after(tmp_path, ended("2", ended_at=LATER, built_at=EARLIER, **repair))) == 1
    assert after(tmp_path, ended("3", ended_at=LATER, built_at=NOON, **repair)) == []


def test_what_failed_once_more_is_to_be_built_after_that(tmp_path: Path) -> None:
    unbuilt: dict[str, Any] = {"unbuilt": {"warehouse.hours": set()}}
    after(tmp_path, ended(ended_at=EARLIER, **unbuilt), ended("2", ended_at=LATER, **unbuilt))
    repair: dict[str, Any] = {"what": "rebuild", "built": {"warehouse.hours": set()}, **REPAIRED}
    assert len(after(tmp_path, ended("3", ended_at=LATER, built_at=NOON, **repair))) == 1
    assert after(tmp_path, ended("4", ended_at=LATER, **repair)) == []


@pytest.mark.parametrize("is_blocking", [True, False], ids=["blocks", "blocks nothing"])
def test_a_check_that_held_before_it_did_not_holds_no_more(tmp_path: Path, is_blocking: bool) -> None:
    failed = checked(False, is_blocking=is_blocking)
    assert len(after(tmp_path, ended(succeeded=not is_blocking, checks=[failed]))) == 1
    held = checked(True, is_blocking=is_blocking, at=EARLIER)
    assert len(after(tmp_path, ended("2", what="checks", ended_at=LATER, checks=[held], **REPAIRED))) == 1
    assert after(tmp_path, ended("3", what="checks", checks=[checked(True)], **REPAIRED)) == []


def test_a_failure_that_is_taken_twice_leaves_nothing_to_be_done_for_the_next(tmp_path: Path) -> None:
    failed = ended(unbuilt={"warehouse.hours": set()})
    hours, days = (ended(what="rebuild", ended_at=LATER, built={f"warehouse.{each}": set()}, **REPAIRED)
                   for each in ("hours", "days"))  # fmt: skip
    assert after(tmp_path, failed, hours, failed) == []
    assert len(after(tmp_path, ended("2", ended_at=LATER, unbuilt={"warehouse.days": set()}))) == 1
    assert after(tmp_path, days) == []


def left_with(path: Path, *names: str) -> tuple[list[str], str]:
    """What is wrong still once only assets and checks of these names are defined, and what is said of it."""
    desk = Desk(path / "book.json", {}, NOON)
    forget_gone(desk, names.__contains__)
    desk.close()
    return sorted(desk.keys), desk.says("")


def test_a_run_that_waits_only_for_what_is_no_more_is_over_and_says_so(tmp_path: Path) -> None:
    check = "databases.postgres:is_there"
    after(tmp_path, ended(what="by hand", unbuilt={"databases.postgres": {FIRST}}, unchecked=[check]))
    assert left_with(tmp_path, "databases.postgres", check)[0] == ["run/by hand"]
    assert left_with(tmp_path, check)[0] == ["run/by hand"], "the check can be made still"
    assert left_with(tmp_path, "databases.others") == (
        [], "The definitions have databases.postgres:is_there no more: nothing is left to be done.")


def test_what_is_no_more_is_not_waited_for_beside_what_is(tmp_path: Path) -> None:
    after(tmp_path, ended(unbuilt={"databases.postgres": {FIRST}, "warehouse.days": {FIRST}}))
    assert left_with(tmp_path, "warehouse.days")[0] == ["run/build_days"]
    assert after(tmp_path, ended("2", what="by hand", built={"warehouse.days": {FIRST}}, **REPAIRED)) == []


def test_a_check_that_is_no_more_is_over_and_a_run_that_was_to_build_nothing_is_not(tmp_path: Path) -> None:
    looked = ended(succeeded=True, days=Days(FIRST, FIRST), checks=[checked(False)])
    after(tmp_path, looked, ended("2", what="maintain"))
    assert left_with(tmp_path, "warehouse.fact:hours_add_up")[0] == [f"{CHECK}@{FIRST}", "run/maintain"]
    assert left_with(tmp_path, "warehouse.fact")[0] == ["run/maintain"]


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
