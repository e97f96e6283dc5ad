"""Which days are closed, and when Dagster is told."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bike_assets.lake.replaced import take_out
from bike_assets.model.constants import EVENTS_GO
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_SYSTEM_INFORMATION,
    EVENTS_TABLES,
    EVENTS_VEHICLE_TOTALS,
)
from bike_assets.stream.closing import LOOK_S, Closed, ClosingDays, closed, closes_at, forget_days
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, poll, system_information

DAY = NOON.date()
CLOSES = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + timedelta(days=1, minutes=30)


def found(rows: Mapping[date, int], told: Mapping[str, int | None], at: datetime) -> list[tuple[date, int]]:
    """What is closed of `events.polls`, which has these rows."""
    every: dict[str, dict[date | None, int]] = {table.name: {} for table in EVENTS_TABLES}
    every[EVENTS_POLLS.name].update(rows.items())
    told_of = {EVENTS_POLLS.name: told}
    return [(each.day, each.rows) for each in closed(every, told_of, at) if each.table is EVENTS_POLLS]


def test_a_day_closes_half_an_hour_after_its_end() -> None:
    assert closes_at(DAY) == CLOSES
    assert found({DAY: 3}, {}, CLOSES - timedelta(milliseconds=1)) == []
    assert found({DAY: 3}, {}, CLOSES) == [(DAY, 3)]


def test_a_table_without_a_row_closes_with_the_polls_of_its_day() -> None:
    rows: dict[str, dict[date | None, int]] = {table.name: {} for table in EVENTS_TABLES}
    rows[EVENTS_POLLS.name][DAY] = 3
    assert {each.table.name: each.rows for each in closed(rows, {}, CLOSES)} == {
        table.name: 3 if table is EVENTS_POLLS else 0 for table in EVENTS_TABLES}  # fmt: skip


@pytest.mark.parametrize(("rows", "expected"), [(3, []), (4, [(DAY, 4)]), (2, [(DAY, 2)])])
def test_a_day_is_told_again_only_where_it_has_other_rows(rows: int, expected: list[tuple[date, int]]) -> None:
    assert found({DAY: rows}, {DAY.isoformat(): 3}, CLOSES) == expected


def test_a_day_that_retention_emptied_is_not_told_again_and_one_that_was_replaced_is() -> None:
    assert found({}, {DAY.isoformat(): 3}, CLOSES) == []
    assert found({}, {DAY.isoformat(): None}, CLOSES) == [(DAY, 0)]
    assert found({}, {DAY.isoformat(): 0}, CLOSES) == [], "it was told"


class Told:
    """Somebody who is told of the polls, and hears at once or not at all."""

    def __init__(self) -> None:
        self.days: list[Closed] = []
        self.others: list[Closed] = []
        self.is_deaf = False

    def __call__(self, each: Closed, heard: Callable[[], None]) -> None:
        (self.days if each.table is EVENTS_POLLS else self.others).append(each)
        if not self.is_deaf:
            heard()


ENDS = {"polls": {"0": 7}}
LATER = {"polls": {"0": 9}}


def test_a_day_waits_for_what_its_topics_held_and_not_for_what_came_after(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll())
    told = Told()
    days = ClosingDays(tmp_path, tmp_path / "note.json", told)
    days.look(CLOSES, {}, lambda: ENDS)
    assert told.days == []
    days.look(CLOSES + timedelta(minutes=5), ENDS, lambda: LATER)
    assert told.days == [Closed(EVENTS_POLLS, DAY, 1)]


def test_later_rows_of_a_past_day_are_told_at_the_next_look(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll())
    told = Told()
    days = ClosingDays(tmp_path, tmp_path / "note.json", told)
    days.look(CLOSES, ENDS, lambda: ENDS)
    write_messages(tmp_path, EVENTS_POLLS, poll(fetched_at=NOON + timedelta(minutes=1)))
    days.look(CLOSES + timedelta(seconds=LOOK_S - 1), ENDS, lambda: ENDS)
    assert len(told.days) == 1
    days.look(CLOSES + timedelta(seconds=LOOK_S), ENDS, lambda: ENDS)
    assert told.days[1:] == [Closed(EVENTS_POLLS, DAY, 2)]


def test_what_was_heard_is_not_told_again_after_a_restart_and_the_rest_is(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll())
    told, note = Told(), tmp_path / "note.json"
    told.is_deaf = True
    ClosingDays(tmp_path, note, told).look(CLOSES, ENDS, lambda: ENDS)
    told.is_deaf = False
    for _ in range(2):
        ClosingDays(tmp_path, note, told).look(CLOSES, ENDS, lambda: ENDS)
    assert told.days == [Closed(EVENTS_POLLS, DAY, 1)] * 2


def looked(lake: Path, told: Told, events_days: int | None = None, *, at: datetime = CLOSES) -> list[date]:
    """The days of polls that a stream which has just started tells of."""
    told.days, told.others = [], []
    ClosingDays(lake, lake / "note.json", told, events_days).look(at, ENDS, lambda: ENDS)
    return [each.day for each in told.days]


BEFORE = DAY - timedelta(days=1)


def polled(lake: Path) -> Path:
    """Oslo is polled on two days, Bergen on the second."""
    write_messages(lake, EVENTS_POLLS, poll(fetched_at=NOON - timedelta(days=1)), poll(), poll(system_id="bergen"))
    return lake


def test_days_are_told_again_where_a_zone_is_given_later(tmp_path: Path) -> None:
    lake, told = polled(tmp_path), Told()
    assert looked(lake, told) == [BEFORE, DAY]
    write_messages(lake, EVENTS_SYSTEM_INFORMATION, system_information(system_id="bergen", timezone="Europe/Oslo"))
    assert looked(lake, told) == [DAY], "Bergen's only"
    assert {each.table for each in told.others} >= {EVENTS_VEHICLE_TOTALS}
    assert looked(lake, told) == []
    later = NOON + timedelta(minutes=1)
    moved = system_information(system_id="bergen", timezone="Asia/Tokyo", observed_at=later)
    write_messages(lake, EVENTS_SYSTEM_INFORMATION, moved)
    told.is_deaf = True
    assert looked(lake, told) == looked(lake, told) == [DAY], "until it is heard"


def test_a_description_that_leaves_the_zone_as_it_was_tells_of_no_day(tmp_path: Path) -> None:
    lake, told = polled(tmp_path), Told()
    write_messages(lake, EVENTS_SYSTEM_INFORMATION, system_information(timezone="Europe/Oslo"))
    assert looked(lake, told) == [BEFORE, DAY]
    renamed = system_information(timezone="Europe/Oslo", name="New", observed_at=NOON + timedelta(minutes=1))
    write_messages(lake, EVENTS_SYSTEM_INFORMATION, renamed)
    assert looked(lake, told) == []
    assert told.others[0].table is EVENTS_SYSTEM_INFORMATION


def test_a_zone_that_is_given_later_tells_of_no_day_whose_events_go(tmp_path: Path) -> None:
    lake, told, kept = polled(tmp_path), Told(), 30
    at = CLOSES + timedelta(days=kept) - EVENTS_GO - timedelta(days=1)
    assert looked(lake, told, kept, at=at) == [BEFORE, DAY]
    write_messages(lake, EVENTS_SYSTEM_INFORMATION, system_information(timezone="Europe/Oslo"))
    assert looked(lake, told, kept, at=at) == [DAY]


def test_a_day_that_a_replacement_left_without_rows_is_told_with_none(tmp_path: Path) -> None:
    lake, told = polled(tmp_path), Told()
    looked(lake, told)
    for _ in range(2):  # killed in between, and done again
        forget_days(lake, lake / "note.json", BEFORE)
        take_out(lake, {"oslo": NOON - timedelta(days=1), "bergen": NOON})
    assert looked(lake, told) == [BEFORE, DAY]
    assert {each.rows for each in (*told.days, *told.others)} == {0}
    assert looked(lake, told) == []


def test_a_replacement_tells_nothing_of_days_that_retention_emptied(tmp_path: Path) -> None:
    lake, note = polled(tmp_path), tmp_path / "note.json"
    note.write_text(json.dumps({"events.polls": {"2026-01-01": 7}}))
    forget_days(lake, note, date(2026, 1, 1))
    days = {BEFORE.isoformat(): None, DAY.isoformat(): None}
    assert json.loads(note.read_text())["events.polls"] == {"2026-01-01": 7, **days}
