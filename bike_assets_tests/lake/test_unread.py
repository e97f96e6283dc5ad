"""What a query has still to read, by a checkpoint in the words in which Spark writes it."""

import json
from datetime import date, timedelta
from pathlib import Path

from bike_assets.lake.maintenance import compact
from bike_assets.lake.replaced import take_out
from bike_assets.lake.tables import open_table
from bike_assets.lake.unread import days_unread
from bike_assets.model.tables import EVENTS_POLLS
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, poll

DAY = NOON.date()
NEXT = DAY + timedelta(days=1)


def polled(lake: Path, *days: int, minute: int = 0) -> None:
    for day in days:
        write_messages(lake, EVENTS_POLLS, poll(fetched_at=NOON + timedelta(days=day, minutes=minute)))


def read_to(lake: Path, version: int, batch: int = 0, *, is_done: bool = True) -> None:
    """A batch that ends before this version."""
    checkpoint = lake / "_checkpoints" / "live"
    offset = {"sourceVersion": 1, "reservoirId": open_table(lake, EVENTS_POLLS).metadata().id,
              "reservoirVersion": version, "index": -1, "isStartingVersion": False}  # fmt: skip
    for folder, text in (("offsets", f"v1\n{{}}\n{json.dumps(offset)}"), ("commits", "v1\n{}")):
        (checkpoint / folder).mkdir(parents=True, exist_ok=True)
        if is_done or folder == "offsets":
            (checkpoint / folder / str(batch)).write_text(text)


def unread(lake: Path) -> set[date]:
    return days_unread(lake, [EVENTS_POLLS])


def test_all_is_unread_that_no_query_has_read(tmp_path: Path) -> None:
    assert unread(tmp_path) == set()
    polled(tmp_path, 0, 1)
    assert unread(tmp_path) == {DAY, NEXT}


def test_days_are_unread_whose_rows_came_after_the_last_batch_that_is_done(tmp_path: Path) -> None:
    polled(tmp_path, 0)
    read_to(tmp_path, open_table(tmp_path, EVENTS_POLLS).version() + 1)
    assert unread(tmp_path) == set()
    polled(tmp_path, 1)
    ends = open_table(tmp_path, EVENTS_POLLS).version() + 1
    read_to(tmp_path, ends, batch=10, is_done=False)
    assert unread(tmp_path) == {NEXT}
    read_to(tmp_path, ends, batch=10)
    assert unread(tmp_path) == set()


def test_what_moves_rows_or_takes_some_out_is_nothing_to_read(tmp_path: Path) -> None:
    polled(tmp_path, 0, 0)
    polled(tmp_path, 0, minute=5)
    read_to(tmp_path, open_table(tmp_path, EVENTS_POLLS).version() + 1)
    assert compact(tmp_path, EVENTS_POLLS, [DAY]).done == (DAY,)
    take_out(tmp_path, {"oslo": NOON + timedelta(minutes=1)})
    assert open_table(tmp_path, EVENTS_POLLS).to_pyarrow_table().num_rows == 2
    assert unread(tmp_path) == set()
