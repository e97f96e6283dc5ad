from datetime import timedelta
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


# chain_is_unbroken


def after(minutes: int, **given: Any) -> StationStatus:
    return station_status(observed_at=NOON + timedelta(minutes=minutes), **given)


def gone(minutes: int, **given: Any) -> StationStatus:
    return after(
        minutes, kind=EventKind.ABSENT, bikes_available=None, docks_available=None, state=State.UNKNOWN, **given
    )


SAID = {"bikes_before": 5, "docks_before": 10, "state_before": State.AVAILABLE}


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
