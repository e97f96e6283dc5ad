from datetime import timedelta
from pathlib import Path

from bike_assets.lake.duck import ask, connect
from bike_assets.model.tables import EVENTS_STATION_STATUS
from bike_assets.quality.keys import keys_are_unique
from bike_assets_tests.lake.rows import write_messages
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
