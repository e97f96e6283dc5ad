"""A member taken out of the table, and out of every file of it, while others write."""

import os
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from bike_assets.lake import forgotten, maintenance
from bike_assets.lake.forgotten import TakenOut, forgettings, has_member, ids_by_email, take_out_members
from bike_assets.lake.maintenance import Maintained, compact
from bike_assets.lake.rows import append_rows, read_rows, replace_days
from bike_assets.lake.tables import arrow_schema, ensure_table, open_table, table_path
from bike_assets.model.errors import NotForgotten
from bike_assets.model.tables import EVENTS_USERS
from bike_assets_tests.journeys.traces import files_with
from bike_assets_tests.model.builders import NOON, user


def id_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def add(lake: Path, *numbers: int, days: int = 0, batch: int | None = None) -> None:
    """Members with these numbers, taken so many days after NOON."""
    at = NOON + timedelta(days=days)
    rows: list[dict[str, Any]] = [
        msgspec.structs.asdict(user(member_id=id_of(each), taken_at=at, email_hash=f"{each:064}"))
        | {"utc_date": at.date(), "kafka_partition": 0, "kafka_offset": each}
        for each in numbers
    ]
    ensure_table(lake, EVENTS_USERS)
    table = pa.Table.from_pylist(rows, arrow_schema(EVENTS_USERS))
    append_rows(open_table(lake, EVENTS_USERS), EVENTS_USERS, table, "tests", batch or numbers[0])


def members(lake: Path) -> list[str]:
    found: list[str] = read_rows(open_table(lake, EVENTS_USERS), EVENTS_USERS)["member_id"].to_pylist()
    return sorted(found)


def test_a_member_is_gone_from_rows_and_files_old_ones_too_and_the_others_stay(tmp_path: Path) -> None:
    add(tmp_path, 1, 2)
    add(tmp_path, 3)
    compact(tmp_path, EVENTS_USERS, [NOON.date()])  # whose former files stay for a week
    add(tmp_path, 4, days=1)
    assert len(files_with(tmp_path, [id_of(1)])[id_of(1)]) == 2
    assert take_out_members(tmp_path, [id_of(1)]) == TakenOut(rows=1, files=2)
    assert members(tmp_path) == [id_of(2), id_of(3), id_of(4)]
    gone = files_with(tmp_path, [id_of(1), f"{1:064}"])
    assert not any(gone.values()), gone
    assert files_with(tmp_path, [id_of(3)])[id_of(3)], "a file that never held the member is left alone"
    assert take_out_members(tmp_path, [id_of(1)]) == TakenOut(0, 0)
    assert forgettings(open_table(tmp_path, EVENTS_USERS)) == 1


def test_the_tables_log_has_no_value_of_a_member(tmp_path: Path) -> None:
    for number in range(1, 110):  # beyond a checkpoint
        add(tmp_path, number)
    take_out_members(tmp_path, [id_of(7)])
    log = table_path(tmp_path, EVENTS_USERS) / "_delta_log"
    assert list(log.glob("*.checkpoint.parquet"))
    found = files_with(log, [id_of(7), id_of(8), f"{7:064}", "Oslo", "female"])
    assert not any(found.values()), found


def test_what_a_killed_writer_left_is_removed_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    add(tmp_path, 1)
    add(tmp_path, 2)
    root = table_path(tmp_path, EVENTS_USERS)
    named = {Path(uri.removeprefix("file://")) for uri in open_table(tmp_path, EVENTS_USERS).file_uris()}
    for path in named:
        shutil.copy(path, path.with_name(f"part-of-a-killed-{path.name}"))
    assert take_out_members(tmp_path, [id_of(1)]) == TakenOut(rows=1, files=2)
    assert len(list(root.rglob("part-of-a-killed-*"))) == 1, "of the other member: it may be about to be committed"


def test_a_torn_file_is_nobodys_after_an_hour_and_until_then_nobody_can_say(tmp_path: Path) -> None:
    add(tmp_path, 1)
    torn = table_path(tmp_path, EVENTS_USERS) / "utc_date=2026-06-01" / "torn.parquet"
    torn.write_bytes(b"PAR1 and no end")
    with pytest.raises(NotForgotten, match=r"^torn\.parquet of events"):
        take_out_members(tmp_path, [id_of(1)])
    os.utime(torn, (time.time() - 3_700,) * 2)
    assert take_out_members(tmp_path, [id_of(1)]) == TakenOut(rows=0, files=1)
    assert not torn.exists()


def test_rows_that_come_meanwhile_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, 1, 2)
    tries: list[int] = []

    def and_another_writes(*given: Any) -> None:
        if not tries:
            add(tmp_path, 3)
        tries.append(1)
        replace_days(*given)

    monkeypatch.setattr(forgotten, "replace_days", and_another_writes)
    assert take_out_members(tmp_path, [id_of(1)]).rows == 1
    assert (members(tmp_path), len(tries)) == ([id_of(2), id_of(3)], 2)


def test_no_compaction_moves_a_member_while_files_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would write the member into one more file, though its commit came too late."""
    add(tmp_path, 1, 2)
    later = NOON.date() + timedelta(days=1)
    for number in (3, 4):
        add(tmp_path, number, days=1)
    compacted: list[Maintained] = []
    remove = forgotten._remove_files

    def and_a_compaction_begins(*given: Any) -> int:
        compacted.append(compact(tmp_path, EVENTS_USERS, [later]))
        return remove(*given)

    monkeypatch.setattr(forgotten, "_remove_files", and_a_compaction_begins)
    take_out_members(tmp_path, [id_of(1)])
    assert [(each.done, each.left) for each in compacted] == [((), (later,))]
    assert compact(tmp_path, EVENTS_USERS, [later]).done == (later,), "it is done the next time"


def test_a_compaction_that_is_under_way_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, 1, 2)
    add(tmp_path, 3)
    order = maintenance._order

    def and_somebody_is_to_be_forgotten(*given: Any) -> None:
        with pytest.raises(NotForgotten, match=r"^events\.users is being compacted"):
            take_out_members(tmp_path, [id_of(1)], wait_s=0.1)
        order(*given)

    monkeypatch.setattr(maintenance, "_order", and_somebody_is_to_be_forgotten)
    assert compact(tmp_path, EVENTS_USERS, [NOON.date()]).done == (NOON.date(),)
    assert take_out_members(tmp_path, [id_of(1)]) == TakenOut(rows=1, files=2)


def test_a_member_is_found_by_id_and_by_the_hash_of_the_address(tmp_path: Path) -> None:
    assert ids_by_email(tmp_path, "x") == set()
    assert not has_member(tmp_path, id_of(1))
    add(tmp_path, 1, 2)
    assert has_member(tmp_path, id_of(1))
    assert ids_by_email(tmp_path, f"{2:064}") == {id_of(2)}
