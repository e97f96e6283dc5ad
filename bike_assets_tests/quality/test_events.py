from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from bike_assets.lake.duck import ask, connect
from bike_assets.model.constants import ABSENCE_MEMORY
from bike_assets.model.messages import EventKind, Poll, Rejection, StationStatus
from bike_assets.model.readings import State
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_REJECTIONS, EVENTS_STATION_STATUS
from bike_assets.quality.events import chain_is_unbroken, rows_are_accounted_for
from bike_assets.quality.found import Found
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, poll, rejection, station_status

MONDAY, DAY = NOON.date(), timedelta(days=1)


# rows_are_accounted_for


def accounted(lake: Path, polls: list[Poll], rejections: list[Rejection]) -> Found:
    write_messages(lake, EVENTS_POLLS, *polls)
    write_messages(lake, EVENTS_REJECTIONS, *rejections)
    return rows_are_accounted_for(connect(lake))


def test_a_poll_whose_refused_rows_are_kept_is_accounted_for(tmp_path: Path) -> None:
    polls = [poll(rows_accepted=1, rows_rejected=2), poll(system_id="bergen")]
    found = accounted(tmp_path, polls, [rejection(), rejection(row_index=2)])
    assert (found.checked, found.bad) == (2, 0)


def test_a_refused_body_is_no_row(tmp_path: Path) -> None:
    nothing = poll(rows_in=0, rows_accepted=0)
    assert accounted(tmp_path, [nothing], [rejection(row_index=-1)]).bad == 0


@pytest.mark.parametrize(
    ("counts", "kept"),
    [({"rows_accepted": 2}, 0),
     ({"rows_accepted": 2, "rows_rejected": 1}, 0),
     ({"rows_accepted": 2, "rows_rejected": 1}, 2),
     ({}, 1)],
    ids=["a row vanished", "a refused row was not kept", "one was kept twice", "one was kept that was not refused"],
)  # fmt: skip
def test_a_poll_whose_rows_do_not_add_up_is_found(tmp_path: Path, counts: dict[str, int], kept: int) -> None:
    rejections = [rejection(row_index=row) for row in range(kept)]
    found = accounted(tmp_path, [poll(**counts), poll(system_id="bergen")], rejections)
    assert (found.checked, found.bad) == (2, 1)
    shown = found.first_bad[0]
    assert (shown["system_id"], shown["rows_in"], shown["rows_kept"]) == ("oslo", 3, kept)
    assert [row[0] for row in ask(tmp_path, found.query).rows] == ["oslo"]


def test_of_some_dates_only_their_polls_are_looked_at(tmp_path: Path) -> None:
    bad = {"rows_accepted": 2, "rows_rejected": 1}
    write_messages(tmp_path, EVENTS_POLLS, poll(), poll(fetched_at=NOON + DAY, **bad), poll(fetched_at=NOON + 2 * DAY))
    write_messages(tmp_path, EVENTS_REJECTIONS, rejection(fetched_at=NOON + 2 * DAY))
    found = [rows_are_accounted_for(connect(tmp_path), MONDAY + n * DAY, MONDAY + n * DAY) for n in range(4)]
    assert [(each.checked, each.bad) for each in found] == [(1, 0), (1, 1), (1, 1), (0, 0)]
    assert len(ask(tmp_path, found[1].query).rows) == 1


# chain_is_unbroken


def after(minutes: int, **given: Any) -> StationStatus:
    return station_status(observed_at=NOON + timedelta(minutes=minutes), **given)


def gone(minutes: int, **given: Any) -> StationStatus:
    return after(
        minutes, kind=EventKind.ABSENT, bikes_available=None, docks_available=None, state=State.UNKNOWN, **given
    )


SAID = {"bikes_before": 5, "docks_before": 10, "state_before": State.AVAILABLE}


def counts(found: Found) -> tuple[int, int]:
    return found.checked, found.bad


def chain(lake: Path, *events: StationStatus) -> Found:
    write_messages(lake, EVENTS_STATION_STATUS, *events)
    return chain_is_unbroken(connect(lake))


def test_events_that_say_what_was_before_them_are_a_chain(tmp_path: Path) -> None:
    changed = after(1, bikes_available=0, docks_available=15, state=State.EMPTY, **SAID)
    keyframe = after(2, kind=EventKind.KEYFRAME, bikes_available=0, docks_available=15, state=State.EMPTY,
                     bikes_before=0, docks_before=15, state_before=State.EMPTY)  # fmt: skip
    found = chain(tmp_path, station_status(), changed, keyframe, station_status(station_id="2"))
    assert (found.checked, found.bad) == (4, 0)


def test_before_an_absence_stands_the_last_reading_and_after_it_nothing(tmp_path: Path) -> None:
    assert chain(tmp_path, station_status(), gone(1, **SAID), gone(60), after(61)).bad == 0


@pytest.mark.parametrize("wrong", [{"bikes_before": 4}, {"docks_before": None}, {"state_before": State.FULL}])
def test_an_event_that_says_something_else_is_found(tmp_path: Path, wrong: dict[str, Any]) -> None:
    found = chain(tmp_path, station_status(), after(1, **(SAID | wrong)), station_status(station_id="2"))
    assert (found.checked, found.bad) == (3, 1)
    shown = found.first_bad[0]
    assert (shown["station_id"], shown["bikes_said"], shown["state_said"]) == ("1", 5, "available")
    assert len(ask(tmp_path, found.query).rows) == 1


def test_a_lost_event_is_found(tmp_path: Path) -> None:
    lost = after(1, bikes_available=3, docks_available=12, **SAID)
    following = after(2, bikes_before=3, docks_before=12, state_before=State.AVAILABLE)
    assert chain(tmp_path / "whole", station_status(), lost, following).bad == 0
    assert chain(tmp_path / "torn", station_status(), following).bad == 1


def test_a_first_event_that_knows_of_one_before_is_found(tmp_path: Path) -> None:
    assert chain(tmp_path, station_status(**SAID)).bad == 1


def test_an_event_after_an_absence_that_remembers_is_found(tmp_path: Path) -> None:
    assert chain(tmp_path, station_status(), gone(1, **SAID), after(2, **SAID)).bad == 1


@pytest.mark.parametrize(("apart", "bad"), [(ABSENCE_MEMORY, 1), (ABSENCE_MEMORY + timedelta(milliseconds=1), 0)])
def test_a_station_may_be_new_again_only_after_a_day_without_it(tmp_path: Path, apart: timedelta, bad: int) -> None:
    again = station_status(observed_at=NOON + apart, kind=EventKind.CHANGE,
                           bikes_before=None, docks_before=None, state_before=None)
    first = after(0, bikes_before=None, docks_before=None, state_before=None)
    assert chain(tmp_path, first, again).bad == bad


# chain_is_unbroken, of some dates


def chain_of_day(lake: Path, day: date, *events: StationStatus) -> Found:
    """What is found in one day, which by its query is found as well."""
    write_messages(lake, EVENTS_STATION_STATUS, *events)
    found = chain_is_unbroken(connect(lake), day, day)
    assert len(ask(lake, found.query).rows) == found.bad
    return found


def minutes(days: int) -> int:
    return days * 24 * 60


@pytest.mark.parametrize("days", [1, 2, 300])
def test_a_days_first_event_follows_the_last_before_it_however_long_ago(tmp_path: Path, days: int) -> None:
    following = after(minutes(days), **SAID), after(minutes(days) + 1, **SAID)
    earlier = after(-1, bikes_available=4, docks_available=11), station_status(**SAID | {"bikes_before": 4})
    assert counts(chain_of_day(tmp_path, MONDAY + days * DAY, *earlier, *following)) == (2, 0)


@pytest.mark.parametrize("days", [1, 2, 300])
@pytest.mark.parametrize("wrong", [{"bikes_before": 4}, {"state_before": None}])
def test_a_days_first_event_that_says_something_else_is_found(
    tmp_path: Path, days: int, wrong: dict[str, Any]
) -> None:
    following = after(minutes(days), **SAID | wrong), after(minutes(days) + 1, **SAID)
    found = chain_of_day(tmp_path, MONDAY + days * DAY, station_status(), *following, station_status(station_id="2"))
    assert counts(found) == (2, 1)
    assert found.first_bad[0]["bikes_said"] == 5


def test_a_days_first_event_that_knows_of_one_that_never_was_is_found(tmp_path: Path) -> None:
    assert counts(chain_of_day(tmp_path, MONDAY, station_status(**SAID))) == (1, 1)


def test_a_station_that_is_new_in_the_day_is_no_break(tmp_path: Path) -> None:
    other = station_status(station_id="2", observed_at=NOON - DAY)
    assert counts(chain_of_day(tmp_path, MONDAY, other, station_status())) == (1, 0)


@pytest.mark.parametrize("days", [1, 2])
def test_an_absence_over_midnight_is_no_break_and_no_memory(tmp_path: Path, days: int) -> None:
    day, absent = MONDAY + days * DAY, (station_status(), gone(1, **SAID))
    back = after(minutes(days) - 60)
    assert counts(chain_of_day(tmp_path / "back", day, *absent, back)) == (1, 0)
    assert counts(chain_of_day(tmp_path / "gone", day, *absent, gone(minutes(days) - 60), back)) == (2, 0)
    remembers = after(minutes(days) - 60, **SAID)
    assert counts(chain_of_day(tmp_path / "remembers", day, *absent, remembers)) == (1, 1)


def test_a_station_that_is_new_again_within_24_hours_over_midnight_is_found(tmp_path: Path) -> None:
    assert chain_of_day(tmp_path / "day", MONDAY + DAY, station_status(), after(minutes(1))).bad == 1
    assert chain_of_day(tmp_path / "more", MONDAY + DAY, station_status(), after(minutes(1) + 1)).bad == 0


def test_the_breaks_of_other_days_are_not_looked_at(tmp_path: Path) -> None:
    broken = station_status(), after(1), after(minutes(1), **SAID), after(minutes(2), bikes_before=9)
    assert counts(chain_of_day(tmp_path, MONDAY + DAY, *broken)) == (1, 0)
