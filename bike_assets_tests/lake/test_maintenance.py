import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction, write_deltalake

from bike_assets.lake import maintenance
from bike_assets.lake.duck import connect
from bike_assets.lake.maintenance import Maintained, Size, compact, gather, ordered_by, retain, vacuum
from bike_assets.lake.tables import arrow_schema, ensure_table, open_table, row_count, rows_by_day, table_path
from bike_assets.lake.versions import versions
from bike_assets.model.errors import LakeBroken
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_STATION_STATUS,
    EVENTS_VEHICLE_STATUS,
    LIVE_SYSTEM_MINUTE,
    TABLES,
)
from bike_assets_tests.lake.rows import write, write_messages
from bike_assets_tests.model.builders import NOON, station_status

FIRST, SECOND = NOON.date(), NOON.date() + timedelta(days=1)
APPLICATION = "events.station_status/query"
NOTHING = Maintained(Size(0, 0), Size(0, 0))


def add(lake: Path, day: date = FIRST, station_id: str = "1") -> None:
    """One file more, of one event."""
    at = NOON + timedelta(days=(day - FIRST).days)
    write_messages(lake, EVENTS_STATION_STATUS, station_status(observed_at=at, station_id=station_id))


def scattered(lake: Path) -> Path:
    """A lake with two days of three files each."""
    for day in (FIRST, SECOND):
        for station_id in ("2", "1", "3"):
            add(lake, day, station_id)
    return lake


def files_of(lake: Path, day: date) -> int:
    files = pa.table(open_table(lake, EVENTS_STATION_STATUS).get_add_actions(flatten=True))
    days: list[date] = files["partition.utc_date"].to_pylist()
    return days.count(day)


def actions(lake: Path, table: Table, version: int) -> Iterator[tuple[str, Any]]:
    """What a commit did, from the log itself."""
    log = table_path(lake, table) / "_delta_log" / f"{version:020}.json"
    for line in log.read_text().splitlines():
        yield from json.loads(line).items()


def version(lake: Path, table: Table = EVENTS_STATION_STATUS) -> int:
    return open_table(lake, table).version()


def make_old(path: Path, days: float) -> None:
    """As if all files below had been written so long ago."""
    then = time.time() - days * 86_400
    for file in (path, *path.rglob("*")):
        os.utime(file, (then, then))


def remember(lake: Path, batch: int) -> None:
    """What Spark's `txnAppId` and `txnVersion` leave in the log."""
    delta = open_table(lake, EVENTS_STATION_STATUS)
    done = CommitProperties(app_transactions=[Transaction(APPLICATION, batch)])
    delta.create_write_transaction([], "append", delta.schema(), commit_properties=done)


def remembered(lake: Path) -> int | None:
    return open_table(lake, EVENTS_STATION_STATUS).transaction_version(APPLICATION)


def meanwhile(monkeypatch: pytest.MonkeyPatch, write_beside: Callable[[], None], times: int) -> None:
    """Another writer commits after the task opened the table for a commit of its own, so many times."""
    opened = 0

    def open_then_write(lake: Path, table: Table) -> DeltaTable:
        nonlocal opened
        delta = open_table(lake, table)
        if 1 <= opened <= times:  # the first is for a look at the sizes
            write_beside()
        opened += 1
        return delta

    monkeypatch.setattr(maintenance, "open_table", open_then_write)


def replace_first_day(lake: Path) -> None:
    """As a run of the warehouse does it; three files again."""
    path = str(table_path(lake, EVENTS_STATION_STATUS))
    row = {"system_id": "oslo", "station_id": "9", "observed_at": NOON, "utc_date": FIRST}
    rows = pa.Table.from_pylist([row], arrow_schema(EVENTS_STATION_STATUS))
    write_deltalake(path, rows, mode="overwrite", predicate=f"utc_date = '{FIRST}'")
    for _ in range(2):
        write_deltalake(path, rows, mode="append")


# Compaction


def test_a_day_is_brought_into_one_file_and_others_are_left(tmp_path: Path) -> None:
    scattered(tmp_path)
    found = compact(tmp_path, EVENTS_STATION_STATUS, [FIRST])
    assert (found.before.files, found.after.files) == (3, 1)
    assert found.before.bytes > found.after.bytes > 0
    assert (found.done, found.left) == ((FIRST,), ())
    assert (files_of(tmp_path, FIRST), files_of(tmp_path, SECOND)) == (1, 3)
    assert rows_by_day(tmp_path, EVENTS_STATION_STATUS) == {FIRST: 3, SECOND: 3}


def test_its_rows_are_the_same_and_stations_lie_in_order(tmp_path: Path) -> None:
    scattered(tmp_path)
    before = connect(tmp_path).sql("FROM events.station_status ORDER BY ALL").fetchall()
    compact(tmp_path, EVENTS_STATION_STATUS, [FIRST, SECOND])
    assert connect(tmp_path).sql("FROM events.station_status ORDER BY ALL").fetchall() == before
    stations = connect(tmp_path).sql("SELECT station_id FROM events.station_status WHERE utc_date = '2026-06-01'")
    assert stations.fetchall() == [("1",), ("2",), ("3",)]


def test_a_day_that_is_compact_is_not_rewritten(tmp_path: Path) -> None:
    scattered(tmp_path)
    compact(tmp_path, EVENTS_STATION_STATUS, [FIRST])
    before = version(tmp_path)
    found = compact(tmp_path, EVENTS_STATION_STATUS, [FIRST])
    assert found.before == found.after
    assert found.done == ()
    assert version(tmp_path) == before


def test_large_files_are_left_beside_one_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scattered(tmp_path)
    monkeypatch.setattr(maintenance, "SMALL_BYTES", 1)
    assert compact(tmp_path, EVENTS_STATION_STATUS, [FIRST]).done == ()


def test_what_came_in_late_is_brought_in_the_next_time(tmp_path: Path) -> None:
    scattered(tmp_path)
    compact(tmp_path, EVENTS_STATION_STATUS, [FIRST])
    add(tmp_path, FIRST, "4")
    assert compact(tmp_path, EVENTS_STATION_STATUS, [FIRST]).after.files == 1
    assert rows_by_day(tmp_path, EVENTS_STATION_STATUS)[FIRST] == 4


def test_a_stream_over_the_table_is_told_that_no_data_is_new(tmp_path: Path) -> None:
    scattered(tmp_path)
    compact(tmp_path, EVENTS_STATION_STATUS, [FIRST])
    files = [(kind, action) for kind, action in actions(tmp_path, EVENTS_STATION_STATUS, version(tmp_path))
             if kind in ("add", "remove")]  # fmt: skip
    assert sorted(kind for kind, _ in files) == ["add", "remove", "remove", "remove"]
    assert all(action["dataChange"] is False for _, action in files)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_can_be_compacted(tmp_path: Path, table: Table) -> None:
    row: dict[str, Any] = dict.fromkeys(table.partitioned_by, FIRST)
    for _ in range(2):
        write(tmp_path, table, [row])
    found = compact(tmp_path, table, [FIRST])
    assert (found.before.files, found.after.files) == (2, 1)
    assert found.done == ((FIRST,) if table.partitioned_by else (None,))


def test_rows_lie_by_station_where_there_are_stations_else_by_what_a_row_is_of() -> None:
    assert ordered_by(EVENTS_STATION_STATUS) == ["system_id", "station_id"]
    assert ordered_by(EVENTS_VEHICLE_STATUS) == ["system_id", "vehicle_id"], "though it tells of a station too"
    assert ordered_by(EVENTS_POLLS) == ["system_id", "feed", "fetched_at"]
    assert all(set(ordered_by(table)).isdisjoint(table.partitioned_by) and ordered_by(table) for table in TABLES)


def test_a_writer_to_another_day_gets_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scattered(tmp_path)
    meanwhile(monkeypatch, lambda: add(tmp_path, SECOND, "4"), times=1)
    assert compact(tmp_path, EVENTS_STATION_STATUS, [FIRST]).done == (FIRST,)
    assert rows_by_day(tmp_path, EVENTS_STATION_STATUS) == {FIRST: 3, SECOND: 4}


def test_a_writer_to_the_same_day_gets_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scattered(tmp_path)
    meanwhile(monkeypatch, lambda: add(tmp_path, FIRST, "4"), times=1)
    assert compact(tmp_path, EVENTS_STATION_STATUS, [FIRST]).done == (FIRST,)
    assert rows_by_day(tmp_path, EVENTS_STATION_STATUS) == {FIRST: 4, SECOND: 3}


def test_a_day_that_was_replaced_meanwhile_is_taken_as_it_is_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scattered(tmp_path)
    meanwhile(monkeypatch, lambda: replace_first_day(tmp_path), times=1)
    assert compact(tmp_path, EVENTS_STATION_STATUS, [FIRST]).done == (FIRST,)
    assert files_of(tmp_path, FIRST) == 1
    stations = connect(tmp_path).sql("SELECT station_id FROM events.station_status WHERE utc_date = '2026-06-01'")
    assert stations.fetchall() == [("9",)] * 3


def test_a_day_that_is_replaced_each_time_is_left_for_the_next_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scattered(tmp_path)
    meanwhile(monkeypatch, lambda: replace_first_day(tmp_path), times=maintenance.TRIES)
    found = compact(tmp_path, EVENTS_STATION_STATUS, [FIRST, SECOND])
    assert (found.done, found.left) == ((SECOND,), (FIRST,))
    assert rows_by_day(tmp_path, EVENTS_STATION_STATUS) == {FIRST: 3, SECOND: 3}


@pytest.fixture
def every_fifth(monkeypatch: pytest.MonkeyPatch) -> int:
    """Small files are gathered where five are there, at each fifth version: as with more of them, in less time."""
    monkeypatch.setattr(maintenance, "GATHERED_AT", 5)
    return 5


def appended(lake: Path, batches: int) -> list[int]:
    """So many batches more, each followed by a gathering; how many files the day had at the end of each."""
    found = []
    for _ in range(batches):
        add(lake, FIRST, "1")
        gather(lake, open_table(lake, EVENTS_STATION_STATUS), EVENTS_STATION_STATUS)
        found.append(files_of(lake, FIRST))
    return found


def test_a_day_that_goes_on_has_few_files_and_each_row_once(tmp_path: Path, every_fifth: int) -> None:
    batches = 4 * every_fifth
    assert max(appended(tmp_path, batches)) <= every_fifth
    assert files_of(tmp_path, FIRST) < every_fifth
    assert rows_by_day(tmp_path, EVENTS_STATION_STATUS) == {FIRST: batches}
    assert connect(tmp_path).sql("SELECT count(*) FROM events.station_status").fetchall() == [(batches,)]


def test_what_is_gathered_is_new_to_nobody(tmp_path: Path, every_fifth: int) -> None:
    for _ in range(every_fifth):
        add(tmp_path, FIRST)
    before = versions(tmp_path, EVENTS_STATION_STATUS)
    gather(tmp_path, open_table(tmp_path, EVENTS_STATION_STATUS), EVENTS_STATION_STATUS)
    assert files_of(tmp_path, FIRST) == 1
    assert versions(tmp_path, EVENTS_STATION_STATUS) == before
    files = [action for kind, action in actions(tmp_path, EVENTS_STATION_STATUS, version(tmp_path))
             if kind in ("add", "remove")]  # fmt: skip
    assert [action["dataChange"] for action in files] == [False] * (every_fifth + 1)


def test_a_day_of_few_files_is_not_gathered(tmp_path: Path, every_fifth: int) -> None:
    for day in (FIRST, FIRST, FIRST, SECOND, SECOND):
        add(tmp_path, day)
    gather(tmp_path, open_table(tmp_path, EVENTS_STATION_STATUS), EVENTS_STATION_STATUS)
    assert version(tmp_path) == every_fifth, "nothing was committed"


def test_a_file_that_is_large_enough_is_gathered_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_fifth: int
) -> None:
    stations = (station_status(station_id=f"{each}") for each in range(20_000))
    write_messages(tmp_path, EVENTS_STATION_STATUS, *stations)
    (large,) = open_table(tmp_path, EVENTS_STATION_STATUS).file_uris()
    add(tmp_path, FIRST)
    sizes = pa.table(open_table(tmp_path, EVENTS_STATION_STATUS).get_add_actions())["size_bytes"].to_pylist()
    monkeypatch.setattr(maintenance, "GATHERED_BYTES", max(sizes))
    assert 10 * min(sizes) < max(sizes)
    for _ in range(every_fifth - 2):
        add(tmp_path, FIRST)
    gather(tmp_path, open_table(tmp_path, EVENTS_STATION_STATUS), EVENTS_STATION_STATUS)
    assert files_of(tmp_path, FIRST) == every_fifth, "four small ones: too few"
    for _ in range(every_fifth):
        add(tmp_path, FIRST)
    gather(tmp_path, open_table(tmp_path, EVENTS_STATION_STATUS), EVENTS_STATION_STATUS)
    assert large in open_table(tmp_path, EVENTS_STATION_STATUS).file_uris()
    assert files_of(tmp_path, FIRST) == 2


def test_only_the_newest_days_are_gathered(tmp_path: Path, every_fifth: int) -> None:
    days = [FIRST + timedelta(days=each) for each in range(3)]
    for day in days:
        for _ in range(every_fifth):
            add(tmp_path, day)
    gather(tmp_path, open_table(tmp_path, EVENTS_STATION_STATUS), EVENTS_STATION_STATUS)
    assert [files_of(tmp_path, day) for day in days] == [every_fifth, 1, 1]


# Exactly once hangs on it


def test_the_log_still_knows_the_streams_last_batch(tmp_path: Path) -> None:
    scattered(tmp_path)
    remember(tmp_path, 41)
    compact(tmp_path, EVENTS_STATION_STATUS, [FIRST, SECOND])
    assert remembered(tmp_path) == 41
    checkpointed(tmp_path)
    vacuum(tmp_path, EVENTS_STATION_STATUS)
    assert not (table_path(tmp_path, EVENTS_STATION_STATUS) / "_delta_log" / f"{6:020}.json").exists()
    assert remembered(tmp_path) == 41
    retain(tmp_path, EVENTS_STATION_STATUS, 0, SECOND)
    assert remembered(tmp_path) == 41


def checkpointed(lake: Path) -> None:
    """As if the table's log were old and long: a checkpoint, and 9 days since."""
    open_table(lake, EVENTS_STATION_STATUS).create_checkpoint()
    make_old(table_path(lake, EVENTS_STATION_STATUS) / "_delta_log", 9)


# Vacuum


def test_files_that_were_compacted_are_gone_once_they_are_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scattered(tmp_path)
    made_before(tmp_path, monkeypatch, 8)
    found = vacuum(tmp_path, EVENTS_STATION_STATUS)
    assert len(list(table_path(tmp_path, EVENTS_STATION_STATUS).rglob("*.parquet"))) == 4
    assert found.after.bytes < found.before.bytes
    assert row_count(tmp_path, EVENTS_STATION_STATUS) == 6


def made_before(lake: Path, monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    """The first day is compacted, as if so many days ago: the log says when a file was let go."""
    compact(lake, EVENTS_STATION_STATUS, [FIRST])
    log = table_path(lake, EVENTS_STATION_STATUS) / "_delta_log" / f"{version(lake):020}.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "remove" in line:
            line["remove"]["deletionTimestamp"] -= round(days * 86_400_000)
    log.write_text("\n".join(json.dumps(line) for line in lines))
    make_old(table_path(lake, EVENTS_STATION_STATUS), days)


@pytest.mark.parametrize("older_than", [timedelta(0), timedelta(days=1), timedelta(days=7)])
def test_files_are_kept_while_the_log_lets_readers_see_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older_than: timedelta
) -> None:
    scattered(tmp_path)
    made_before(tmp_path, monkeypatch, 6.9)
    vacuum(tmp_path, EVENTS_STATION_STATUS, older_than)
    assert len(list(table_path(tmp_path, EVENTS_STATION_STATUS).rglob("*.parquet"))) == 7


def test_a_file_let_go_just_now_is_kept_however_long_ago_it_was_written(tmp_path: Path) -> None:
    scattered(tmp_path)
    make_old(table_path(tmp_path, EVENTS_STATION_STATUS), 30)
    compact(tmp_path, EVENTS_STATION_STATUS, [FIRST])
    vacuum(tmp_path, EVENTS_STATION_STATUS)
    assert len(list(table_path(tmp_path, EVENTS_STATION_STATUS).rglob("*.parquet"))) == 7


def test_what_a_killed_writer_left_is_removed_and_what_one_writes_now_is_not(tmp_path: Path) -> None:
    scattered(tmp_path)
    folder = table_path(tmp_path, EVENTS_STATION_STATUS) / f"utc_date={FIRST}"
    dead, live = folder / "part-00000-dead.snappy.parquet", folder / "part-00000-live.snappy.parquet"
    for file in (dead, live):
        file.write_bytes(b"half")
    make_old(dead, 8)
    vacuum(tmp_path, EVENTS_STATION_STATUS)
    assert (dead.exists(), live.exists()) == (False, True)


def test_a_table_whose_log_is_short_lets_files_go_sooner(tmp_path: Path) -> None:
    write(tmp_path, LIVE_SYSTEM_MINUTE, [{"system_id": "oslo", "minute": NOON}])
    dead = table_path(tmp_path, LIVE_SYSTEM_MINUTE) / "part-00000-dead.snappy.parquet"
    dead.write_bytes(b"half")
    make_old(dead, 2)
    vacuum(tmp_path, LIVE_SYSTEM_MINUTE)
    assert dead.exists()
    vacuum(tmp_path, LIVE_SYSTEM_MINUTE, timedelta(days=1))
    assert not dead.exists()


def test_old_log_entries_go_once_a_checkpoint_holds_them(tmp_path: Path) -> None:
    scattered(tmp_path)
    checkpointed(tmp_path)
    vacuum(tmp_path, EVENTS_STATION_STATUS)
    log = table_path(tmp_path, EVENTS_STATION_STATUS) / "_delta_log"
    assert [file.name for file in log.glob("*.json")] == [f"{6:020}.json"]
    assert row_count(tmp_path, EVENTS_STATION_STATUS) == 6


def test_no_log_entry_goes_while_it_is_young_or_without_a_checkpoint(tmp_path: Path) -> None:
    scattered(tmp_path)
    make_old(table_path(tmp_path, EVENTS_STATION_STATUS) / "_delta_log", 9)
    vacuum(tmp_path, EVENTS_STATION_STATUS)
    assert len(list((table_path(tmp_path, EVENTS_STATION_STATUS) / "_delta_log").glob("*.json"))) == 7
    open_table(tmp_path, EVENTS_STATION_STATUS).create_checkpoint()
    make_old(table_path(tmp_path, EVENTS_STATION_STATUS) / "_delta_log", 6)
    vacuum(tmp_path, EVENTS_STATION_STATUS)
    assert len(list((table_path(tmp_path, EVENTS_STATION_STATUS) / "_delta_log").glob("*.json"))) == 7


def test_a_checkpoint_is_made_where_a_hundred_commits_have_none(tmp_path: Path) -> None:
    ensure_table(tmp_path, EVENTS_STATION_STATUS)
    delta = open_table(tmp_path, EVENTS_STATION_STATUS)
    without = PostCommitHookProperties(create_checkpoint=False)
    for _ in range(100):
        delta.create_write_transaction([], "append", delta.schema(), post_commithook_properties=without)
        delta.update_incremental()
    log = table_path(tmp_path, EVENTS_STATION_STATUS) / "_delta_log"
    assert not list(log.glob("*.checkpoint.parquet"))
    vacuum(tmp_path, EVENTS_STATION_STATUS)
    assert [file.name for file in log.glob("*.checkpoint.parquet")] == [f"{100:020}.checkpoint.parquet"]


def test_checksums_that_spark_and_hadoop_wrote_go_with_the_log_entries(tmp_path: Path) -> None:
    scattered(tmp_path)
    log = table_path(tmp_path, EVENTS_STATION_STATUS) / "_delta_log"
    for commit in (0, 6):
        for name in (f".{commit:020}.json.crc", f"{commit:020}.crc", f".{commit:020}.crc.crc"):
            (log / name).write_bytes(b"crc")
    checkpointed(tmp_path)
    add(tmp_path)
    vacuum(tmp_path, EVENTS_STATION_STATUS)
    left = sorted(file.name for file in log.glob("*.crc"))
    assert left == [f".{6:020}.crc.crc", f".{6:020}.json.crc", f"{6:020}.crc"]


def test_the_checksum_of_a_commit_that_spark_makes_now_is_left(tmp_path: Path) -> None:
    scattered(tmp_path)
    young = table_path(tmp_path, EVENTS_STATION_STATUS) / "_delta_log" / f".{7:020}.json.crc"
    young.write_bytes(b"crc")
    vacuum(tmp_path, EVENTS_STATION_STATUS)
    assert young.exists()


def test_sparks_checksum_of_a_checkpoint_that_it_did_not_write_goes(tmp_path: Path) -> None:
    scattered(tmp_path)
    wrong = table_path(tmp_path, EVENTS_STATION_STATUS) / "_delta_log" / "._last_checkpoint.crc"
    wrong.write_bytes(b"crc")
    vacuum(tmp_path, EVENTS_STATION_STATUS)
    assert not wrong.exists()


# Retention


def test_days_before_the_kept_ones_are_deleted(tmp_path: Path) -> None:
    scattered(tmp_path)
    found = retain(tmp_path, EVENTS_STATION_STATUS, 1, SECOND + timedelta(days=1))
    assert rows_by_day(tmp_path, EVENTS_STATION_STATUS) == {SECOND: 3}
    assert (found.before.files, found.after.files, found.done) == (6, 3, (FIRST,))
    kinds = [kind for kind, _ in actions(tmp_path, EVENTS_STATION_STATUS, version(tmp_path))]
    assert sorted(kinds) == ["commitInfo", "remove", "remove", "remove"]


def test_a_deleted_day_can_be_read_again_at_an_older_version(tmp_path: Path) -> None:
    scattered(tmp_path)
    before = version(tmp_path)
    retain(tmp_path, EVENTS_STATION_STATUS, 0, SECOND)
    vacuum(tmp_path, EVENTS_STATION_STATUS)
    older = DeltaTable(str(table_path(tmp_path, EVENTS_STATION_STATUS)), version=before)
    assert older.to_pyarrow_table().num_rows == 6


@pytest.mark.parametrize("keep_days", [None, 1, 400])
def test_nothing_is_deleted_where_nothing_is_too_old(tmp_path: Path, keep_days: int | None) -> None:
    scattered(tmp_path)
    before = version(tmp_path)
    found = retain(tmp_path, EVENTS_STATION_STATUS, keep_days, SECOND)
    assert found.before == found.after == Size(6, found.before.bytes)
    assert found.done == ()
    assert version(tmp_path) == before


def test_a_table_without_days_keeps_its_rows(tmp_path: Path) -> None:
    write(tmp_path, LIVE_SYSTEM_MINUTE, [{"system_id": "oslo", "minute": NOON}])
    assert retain(tmp_path, LIVE_SYSTEM_MINUTE, 0, date(2030, 1, 1)).after.files == 1


def test_a_writer_of_today_does_not_hold_retention_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scattered(tmp_path)
    meanwhile(monkeypatch, lambda: add(tmp_path, SECOND, "4"), times=1)
    assert retain(tmp_path, EVENTS_STATION_STATUS, 0, SECOND).done == (FIRST,)
    assert rows_by_day(tmp_path, EVENTS_STATION_STATUS) == {SECOND: 4}


def test_a_day_that_is_written_each_time_is_left_for_the_next_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scattered(tmp_path)
    meanwhile(monkeypatch, lambda: replace_first_day(tmp_path), times=maintenance.TRIES)
    found = retain(tmp_path, EVENTS_STATION_STATUS, 0, SECOND)
    assert (found.done, found.left) == ((), (FIRST,))
    assert rows_by_day(tmp_path, EVENTS_STATION_STATUS)[FIRST] == 3


# What is not there, and what is broken


def test_a_table_that_nobody_made_needs_nothing(tmp_path: Path) -> None:
    assert compact(tmp_path, EVENTS_POLLS, [FIRST]) == NOTHING
    assert vacuum(tmp_path, EVENTS_POLLS) == NOTHING
    assert retain(tmp_path, EVENTS_POLLS, 0, SECOND) == NOTHING


def test_a_table_without_rows_needs_nothing(tmp_path: Path) -> None:
    ensure_table(tmp_path, EVENTS_POLLS)
    assert compact(tmp_path, EVENTS_POLLS, [FIRST]) == NOTHING
    assert retain(tmp_path, EVENTS_POLLS, 0, SECOND) == NOTHING
    assert vacuum(tmp_path, EVENTS_POLLS).after.files == 1


@pytest.mark.parametrize("broken", [None, b"no parquet"])
def test_a_broken_file_is_one_sentence_and_the_table_stays_as_it_was(tmp_path: Path, broken: bytes | None) -> None:
    scattered(tmp_path)
    before = version(tmp_path)
    file = next(table_path(tmp_path, EVENTS_STATION_STATUS).rglob(f"utc_date={FIRST}/*.parquet"))
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken)
    with pytest.raises(LakeBroken, match=r"^events\.station_status could not be maintained: [^\n]+$"):
        compact(tmp_path, EVENTS_STATION_STATUS, [FIRST])
    assert version(tmp_path) == before
    assert compact(tmp_path, EVENTS_STATION_STATUS, [SECOND]).done == (SECOND,)
