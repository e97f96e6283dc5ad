"""A version changes as rows do, and with no other files: told by real compactions."""

from datetime import timedelta
from pathlib import Path

import pytest

from bike_assets.lake.maintenance import compact
from bike_assets.lake.versions import versions
from bike_assets.model.tables import EVENTS_POLLS
from bike_assets.model.warehouse import DIM_SYSTEM
from bike_assets_tests.lake.rows import write, write_messages
from bike_assets_tests.model.builders import NOON, poll

DAY = NOON.date()
NEXT = DAY + timedelta(days=1)


def polled(lake: Path, *minutes: int, day: int = 0) -> None:
    """A file each."""
    for minute in minutes:
        write_messages(lake, EVENTS_POLLS, poll(fetched_at=NOON + timedelta(days=day, minutes=minute)))


def compacted(lake: Path) -> int:
    return len(compact(lake, EVENTS_POLLS, [DAY, NEXT]).done)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Two days of two files each."""
    polled(tmp_path, 0, 1)
    polled(tmp_path, 0, 1, day=1)
    return tmp_path


def test_each_day_has_a_version_of_its_own_that_later_rows_change(lake: Path) -> None:
    before = versions(lake, EVENTS_POLLS)
    assert len(set(before.values())) == 2
    polled(lake, 2)
    after = versions(lake, EVENTS_POLLS)
    assert (after[DAY] != before[DAY], after[NEXT] == before[NEXT]) == (True, True)


def test_a_compaction_changes_no_version_and_rows_after_it_do(lake: Path) -> None:
    before = versions(lake, EVENTS_POLLS)
    assert compacted(lake) == 2
    assert versions(lake, EVENTS_POLLS) == before
    polled(lake, 2)
    after = versions(lake, EVENTS_POLLS)
    assert (after[DAY] != before[DAY], after[NEXT] == before[NEXT]) == (True, True)
    assert compacted(lake) == 1, "the second time of the first day"
    assert versions(lake, EVENTS_POLLS) == after


def test_a_compaction_whose_note_was_lost_makes_the_day_seem_newer_and_no_more(lake: Path) -> None:
    before = versions(lake, EVENTS_POLLS)
    compacted(lake)
    for note in (lake / "_versions").iterdir():
        note.unlink()
    lost = versions(lake, EVENTS_POLLS)
    assert set(lost.values()).isdisjoint(before.values())
    assert compacted(lake) == 0
    assert versions(lake, EVENTS_POLLS) == lost


def test_a_table_without_days_has_one_version(tmp_path: Path) -> None:
    for name in ("oslo", "bergen"):
        write(tmp_path, DIM_SYSTEM, [{"system_id": name, "timezone": "UTC"}])
    before = versions(tmp_path, DIM_SYSTEM)
    assert compact(tmp_path, DIM_SYSTEM, []).done == (None,)
    assert versions(tmp_path, DIM_SYSTEM) == before
    assert list(before) == [None]


def test_a_table_that_nobody_has_made_has_no_version(tmp_path: Path) -> None:
    assert versions(tmp_path, DIM_SYSTEM) == {}


@pytest.mark.parametrize("torn", [b"", b"{"], ids=["empty", "cut"])
def test_a_note_that_a_power_cut_tore_is_written_anew(lake: Path, torn: bytes) -> None:
    compacted(lake)
    (note,) = (lake / "_versions").iterdir()
    note.write_bytes(torn)
    polled(lake, 2)
    before = versions(lake, EVENTS_POLLS)
    assert compacted(lake) == 1
    assert versions(lake, EVENTS_POLLS)[DAY] == before[DAY]
