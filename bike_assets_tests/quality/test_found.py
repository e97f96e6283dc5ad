from pathlib import Path

from bike_assets.lake.duck import connect
from bike_assets.model.tables import EVENTS_POLLS
from bike_assets.quality.found import FIRST, look
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, poll

ALL_BAD = "SELECT request_id, fetched_at, seconds FROM events.polls ORDER BY request_id"


def test_only_the_first_bad_rows_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, *(poll(request_id=f"r{number:02}") for number in range(FIRST + 5)))
    found = look(connect(tmp_path), "events.polls", ALL_BAD)
    assert (found.checked, found.bad, len(found.first_bad)) == (FIRST + 5, FIRST + 5, FIRST)
    assert found.first_bad[0] == {"request_id": "r00", "fetched_at": str(NOON), "seconds": 0.2}


def test_an_empty_table_was_not_checked(tmp_path: Path) -> None:
    found = look(connect(tmp_path), "events.polls", ALL_BAD)
    assert (found.checked, found.bad, found.first_bad) == (0, 0, [])


def test_the_query_stands_in_one_line_to_be_asked_again(tmp_path: Path) -> None:
    assert look(connect(tmp_path), "events.polls", "SELECT 1\n   WHERE false").query == "SELECT 1 WHERE false"
