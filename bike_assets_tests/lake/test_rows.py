"""Rows read and replaced without Spark."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake.exceptions import CommitFailedError

from bike_assets.lake.rows import append_rows, read_rows, read_spans, replace_rows, replace_spans
from bike_assets.lake.tables import OpenTables, arrow_schema, ensure_table, open_table, row_count, table_path
from bike_assets.model.errors import LakeBroken
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS
from bike_assets.model.warehouse import DIM_DATE, DIM_SYSTEM, STATION_QUALITY
from bike_assets_tests.lake.rows import write, write_messages
from bike_assets_tests.model.builders import NOON, poll

DAY = NOON.date()
NEXT = DAY + timedelta(days=1)
MINUTE = timedelta(minutes=1)


def findings(*days: date) -> pa.Table:
    rows = [{"system_id": "oslo", "station_id": "1", "local_date": day} for day in days]
    return pa.Table.from_pylist(rows, arrow_schema(STATION_QUALITY))


def days_of(lake: Path) -> list[date]:
    rows = read_rows(open_table(lake, STATION_QUALITY), STATION_QUALITY)
    return sorted(rows["local_date"].to_pylist())


def test_rows_are_read_as_they_were_written_the_day_from_their_path(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll(), poll(fetched_at=NOON + timedelta(days=1)))
    delta = open_table(tmp_path, EVENTS_POLLS)
    assert read_rows(delta, EVENTS_POLLS).schema == arrow_schema(EVENTS_POLLS).remove_metadata()
    (found,) = read_rows(delta, EVENTS_POLLS, (NEXT, NEXT)).select(["fetched_at", "utc_date"]).to_pylist()
    assert found == {"fetched_at": NOON + timedelta(days=1), "utc_date": NEXT}


def test_rows_are_those_of_the_version_that_was_opened(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll())
    delta = open_table(tmp_path, EVENTS_POLLS)
    write_messages(tmp_path, EVENTS_POLLS, poll(fetched_at=NOON + timedelta(minutes=1)))
    assert len(read_rows(delta, EVENTS_POLLS)) == 1


def test_a_column_that_a_file_lacks_is_null(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll(http_status=200))
    file = next(table_path(tmp_path, EVENTS_POLLS).rglob("*.parquet"))
    pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["http_status"]), file)
    assert read_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS)["http_status"].to_pylist() == [None]


@pytest.mark.parametrize("broken", [None, b"no parquet"])
def test_a_broken_file_is_named(tmp_path: Path, broken: bytes | None) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll())
    file = next(table_path(tmp_path, EVENTS_POLLS).rglob("*.parquet"))
    file.unlink() if broken is None else file.write_bytes(broken)
    with pytest.raises(LakeBroken, match=rf"^events\.polls cannot be read: .*{file.name}"):
        read_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS)


def test_days_are_replaced_and_the_others_stay(tmp_path: Path) -> None:
    write(tmp_path, STATION_QUALITY, findings(DAY, DAY, NEXT).to_pylist())
    replace_rows(open_table(tmp_path, STATION_QUALITY), STATION_QUALITY, findings(DAY), (DAY, DAY))
    assert days_of(tmp_path) == [DAY, NEXT]


def test_a_day_that_has_no_rows_any_more_is_emptied(tmp_path: Path) -> None:
    write(tmp_path, STATION_QUALITY, findings(DAY, NEXT).to_pylist())
    replace_rows(open_table(tmp_path, STATION_QUALITY), STATION_QUALITY, findings(), (DAY, DAY))
    assert days_of(tmp_path) == [NEXT]


def test_who_replaces_a_day_that_another_has_written_since_is_told(tmp_path: Path) -> None:
    ensure_table(tmp_path, STATION_QUALITY)
    early, late = (open_table(tmp_path, STATION_QUALITY) for _ in range(2))
    replace_rows(early, STATION_QUALITY, findings(DAY), (DAY, DAY))
    with pytest.raises(CommitFailedError):
        replace_rows(late, STATION_QUALITY, findings(DAY), (DAY, DAY))
    assert days_of(tmp_path) == [DAY]


def test_other_days_are_no_conflict(tmp_path: Path) -> None:
    ensure_table(tmp_path, STATION_QUALITY)
    early, late = (open_table(tmp_path, STATION_QUALITY) for _ in range(2))
    replace_rows(early, STATION_QUALITY, findings(DAY), (DAY, DAY))
    replace_rows(late, STATION_QUALITY, findings(NEXT), (NEXT, NEXT))
    assert days_of(tmp_path) == [DAY, NEXT]


@pytest.mark.parametrize("table", [DIM_SYSTEM, STATION_QUALITY], ids=lambda table: table.name)
def test_a_whole_table_is_replaced_by_one_of_two(tmp_path: Path, table: Table) -> None:
    ensure_table(tmp_path, table)
    early, late = (open_table(tmp_path, table) for _ in range(2))
    rows = pa.Table.from_pylist([{"system_id": "oslo"}], arrow_schema(table))
    replace_rows(early, table, rows, None)
    with pytest.raises(CommitFailedError):
        replace_rows(late, table, rows, None)
    assert row_count(tmp_path, table) == 1


APPLICATION = "events.polls/the query"


def test_a_table_made_when_its_columns_were_described_otherwise_takes_rows_as_before(tmp_path: Path) -> None:
    """As one of a home that was made before an upgrade."""
    before = replace(EVENTS_POLLS, columns=tuple(replace(each, description="?") for each in EVENTS_POLLS.columns))
    ensure_table(tmp_path, before)
    append_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS, polls(1, 2), APPLICATION, 0)
    replace_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS, polls(3), (DAY, DAY))
    spans = [(NOON, NOON + 9 * MINUTE)]
    replace_spans(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS, polls(4, 5), "fetched_at", spans)
    found = read_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS)["fetched_at"].to_pylist()
    assert sorted(found) == [NOON + 4 * MINUTE, NOON + 5 * MINUTE]


def polls(*minutes: int) -> pa.Table:
    rows = [{"fetched_at": NOON + minute * MINUTE, "utc_date": DAY} for minute in minutes]
    return pa.Table.from_pylist(rows, arrow_schema(EVENTS_POLLS))


def minutes_of(rows: pa.Table) -> list[int]:
    return sorted((at - NOON) // MINUTE for at in rows["fetched_at"].to_pylist())


def test_what_an_application_wrote_already_is_not_written_again(tmp_path: Path) -> None:
    ensure_table(tmp_path, EVENTS_POLLS)
    for version in (0, 0, 1, 0, 1):
        append_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS, polls(version), APPLICATION, version)
    append_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS, polls(7), "another", 0)
    assert minutes_of(read_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS)) == [0, 1, 7]


def test_a_day_written_again_and_again_leaves_few_commits_to_be_read(tmp_path: Path) -> None:
    ensure_table(tmp_path, DIM_DATE)
    delta = open_table(tmp_path, DIM_DATE)
    for _ in range(25):
        replace_rows(delta, DIM_DATE, arrow_schema(DIM_DATE).empty_table(), None)
    log = table_path(tmp_path, DIM_DATE) / "_delta_log"
    assert [int(file.name.partition(".")[0]) for file in sorted(log.glob("*.checkpoint.parquet"))] == [9, 19]


def test_a_checkpoint_is_made_in_time_and_remembers_what_was_written(tmp_path: Path) -> None:
    ensure_table(tmp_path, EVENTS_POLLS)
    log = table_path(tmp_path, EVENTS_POLLS) / "_delta_log"
    (log / "._last_checkpoint.crc").write_text("of an older one")
    delta = open_table(tmp_path, EVENTS_POLLS)
    for version in range(99):
        assert not (log / "_last_checkpoint").exists()
        delta.update_incremental()
        append_rows(delta, EVENTS_POLLS, polls(version), APPLICATION, version)
    assert (log / "_last_checkpoint").exists()
    assert not (log / "._last_checkpoint.crc").exists()
    for commit in log.glob("*.json"):
        commit.unlink()
    assert open_table(tmp_path, EVENTS_POLLS).transaction_version(APPLICATION) == 98


def test_a_torn_note_of_the_last_checkpoint_holds_up_no_write(tmp_path: Path) -> None:
    ensure_table(tmp_path, EVENTS_POLLS)
    (table_path(tmp_path, EVENTS_POLLS) / "_delta_log" / "_last_checkpoint").touch()
    append_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS, polls(0), APPLICATION, 0)
    assert row_count(tmp_path, EVENTS_POLLS) == 1


def test_a_table_that_stays_open_shows_what_was_written_since(tmp_path: Path) -> None:
    ensure_table(tmp_path, EVENTS_POLLS)
    tables = OpenTables(tmp_path)
    assert len(read_rows(tables.newest(EVENTS_POLLS), EVENTS_POLLS)) == 0
    append_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS, polls(0), APPLICATION, 0)
    append_rows(tables.newest(EVENTS_POLLS), EVENTS_POLLS, polls(0), APPLICATION, 0)
    append_rows(tables.newest(EVENTS_POLLS), EVENTS_POLLS, polls(1), APPLICATION, 1)
    assert minutes_of(read_rows(tables.newest(EVENTS_POLLS), EVENTS_POLLS)) == [0, 1]


def test_rows_of_stretches_are_read_from_the_files_that_may_hold_them(tmp_path: Path) -> None:
    for minutes in ([0, 1, 2], [10, 11], [20]):
        write_messages(tmp_path, EVENTS_POLLS, *(poll(fetched_at=NOON + minute * MINUTE) for minute in minutes))
    delta = open_table(tmp_path, EVENTS_POLLS)
    spans = [(NOON + MINUTE, NOON + 2 * MINUTE), (NOON + 11 * MINUTE, NOON + 20 * MINUTE)]
    found = read_spans(delta, EVENTS_POLLS, "fetched_at", spans, at_most=5)
    assert found is not None
    assert minutes_of(found) == [1, 11]
    assert read_spans(delta, EVENTS_POLLS, "fetched_at", spans, at_most=4) is None
    beside = read_spans(delta, EVENTS_POLLS, "fetched_at", [(NOON - MINUTE, NOON)], at_most=0)
    assert beside is not None
    assert minutes_of(beside) == []


def test_stretches_are_replaced_and_what_lies_beside_them_stays(tmp_path: Path) -> None:
    ensure_table(tmp_path, EVENTS_POLLS)
    append_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS, polls(0, 1, 2, 3, 4), APPLICATION, 0)
    spans = [(NOON + MINUTE, NOON + 2 * MINUTE), (NOON + 3 * MINUTE, NOON + 4 * MINUTE)]
    replace_spans(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS, polls(3), "fetched_at", spans)
    assert minutes_of(read_rows(open_table(tmp_path, EVENTS_POLLS), EVENTS_POLLS)) == [0, 2, 3, 4]


def test_a_home_may_have_any_name(tmp_path: Path) -> None:
    lake = tmp_path / "a home, é and 100%"
    write_messages(lake, EVENTS_POLLS, poll())
    assert len(read_rows(open_table(lake, EVENTS_POLLS), EVENTS_POLLS)) == 1
