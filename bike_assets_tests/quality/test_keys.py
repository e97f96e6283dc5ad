from datetime import timedelta
from pathlib import Path

from bike_assets.lake.duck import ask, connect
from bike_assets.model.tables import EVENTS_STATION_STATUS, LIVE_SYSTEM_MINUTE
from bike_assets.quality.keys import keys_are_unique
from bike_assets_tests.lake.rows import write, write_messages
from bike_assets_tests.model.builders import NOON, station_status


def test_keys_that_differ_in_any_part_are_unique(tmp_path: Path) -> None:
    write_messages(
        tmp_path,
        EVENTS_STATION_STATUS,
        station_status(),
        station_status(station_id="2"),
        station_status(system_id="bergen"),
        station_status(observed_at=NOON + timedelta(milliseconds=1)),
    )
    found = keys_are_unique(connect(tmp_path), EVENTS_STATION_STATUS)
    assert (found.checked, found.bad) == (4, 0)


def test_an_event_written_twice_is_found_and_shown(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status(), station_status(station_id="2"))
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status())
    found = keys_are_unique(connect(tmp_path), EVENTS_STATION_STATUS)
    assert (found.checked, found.bad) == (3, 1)
    assert found.first_bad == [{"system_id": "oslo", "station_id": "1", "observed_at": str(NOON), "rows": 2}]
    assert ask(tmp_path, found.query).rows == [("oslo", "1", NOON, 2)]


def test_of_some_dates_only_these_are_looked_at(tmp_path: Path) -> None:
    monday, day = NOON.date(), timedelta(days=1)
    twice = station_status(observed_at=NOON + day)
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status(), twice, twice)
    con = connect(tmp_path)
    found = [keys_are_unique(con, EVENTS_STATION_STATUS, *dates)
             for dates in ((monday, monday), (monday, monday + day), (monday + 2 * day, monday + 2 * day))]  # fmt: skip
    assert [(each.checked, each.bad) for each in found] == [(1, 0), (3, 1), (0, 0)]
    assert len(ask(tmp_path, found[1].query).rows) == 1


def test_dates_pick_the_minutes_of_a_table_without_partitions(tmp_path: Path) -> None:
    monday = NOON.date()
    last_minute = NOON.replace(hour=23, minute=59)
    minutes = [last_minute - timedelta(days=1), NOON.replace(hour=0), last_minute, last_minute + timedelta(minutes=1)]
    write(tmp_path, LIVE_SYSTEM_MINUTE, ({"system_id": "oslo", "minute": minute} for minute in minutes))
    assert keys_are_unique(connect(tmp_path), LIVE_SYSTEM_MINUTE, monday, monday).checked == 2
