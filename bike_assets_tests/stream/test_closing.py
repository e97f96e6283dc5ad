"""Which days are closed, and when Dagster is told."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bike_assets.model.tables import EVENTS_POLLS, EVENTS_TABLES
from bike_assets.stream.closing import LOOK_S, Closed, ClosingDays, closed, closes_at
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, poll

DAY = NOON.date()
CLOSES = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + timedelta(days=1, minutes=30)


def found(rows: Mapping[date, int], told: dict[str, int], at: datetime) -> list[tuple[date, int]]:
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


class Told:
    """Somebody who is told of the polls, and hears at once or not at all."""

    def __init__(self) -> None:
        self.days: list[Closed] = []
        self.is_deaf = False

    def __call__(self, each: Closed, heard: Callable[[], None]) -> None:
        if each.table is EVENTS_POLLS:
            self.days.append(each)
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
