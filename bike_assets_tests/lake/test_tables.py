from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from bike_assets.lake.tables import (
    OpenTables,
    arrow_schema,
    ensure_table,
    open_table,
    row_count,
    rows_by_day,
    table_path,
)
from bike_assets.model.errors import LakeBroken
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, LIVE_SYSTEM_MINUTE, TABLES
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, poll, station_status


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_made_as_the_model_describes_it(tmp_path: Path, table: Table) -> None:
    ensure_table(tmp_path, table)
    made = open_table(tmp_path, table)
    assert made.metadata().name == table.name
    assert made.metadata().description == table.description
    assert made.metadata().partition_columns == list(table.partitioned_by)
    assert made.metadata().configuration == table.properties


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_its_columns_carry_their_types_and_descriptions(tmp_path: Path, table: Table) -> None:
    ensure_table(tmp_path, table)
    fields = open_table(tmp_path, table).schema().fields
    assert {field.name: field.metadata["comment"] for field in fields} == {
        column.name: column.description for column in table.columns
    }
    assert pa.schema(open_table(tmp_path, table).schema().to_arrow()).types == arrow_schema(table).types


def test_no_column_is_not_null_for_spark_could_not_write_it_then(tmp_path: Path) -> None:
    ensure_table(tmp_path, EVENTS_POLLS)
    assert all(field.nullable for field in open_table(tmp_path, EVENTS_POLLS).schema().fields)


def test_a_table_that_is_there_is_left_alone(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll())
    before = open_table(tmp_path, EVENTS_POLLS).version()
    ensure_table(tmp_path, EVENTS_POLLS)
    assert open_table(tmp_path, EVENTS_POLLS).version() == before


def test_a_table_that_stays_open_is_told_where_it_breaks_and_goes_on_where_it_is_mended(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll())
    tables = OpenTables(tmp_path)
    version = tables.newest(EVENTS_POLLS).version()
    torn = table_path(tmp_path, EVENTS_POLLS) / "_delta_log" / f"{version + 1:020}.json"
    torn.write_text('{"add": {"pa')
    for _ in range(2):  # by the table that was open, and by one that is opened
        with pytest.raises(LakeBroken, match=r"^events\.polls cannot be read: "):
            tables.newest(EVENTS_POLLS)
    torn.unlink()
    assert tables.newest(EVENTS_POLLS).version() == version


def test_a_table_lies_at_its_name(tmp_path: Path) -> None:
    assert table_path(tmp_path, LIVE_SYSTEM_MINUTE) == tmp_path / "live" / "system_minute"


def test_rows_are_counted_by_the_log(tmp_path: Path) -> None:
    assert row_count(tmp_path, EVENTS_STATION_STATUS) == 0
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status(), station_status(station_id="2"))
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status(station_id="3"))
    assert row_count(tmp_path, EVENTS_STATION_STATUS) == 3


def test_bytes_are_those_of_the_files_of_the_days(tmp_path: Path) -> None:
    tables = OpenTables(tmp_path)
    assert tables.bytes_by_day(EVENTS_POLLS) == {}
    write_messages(tmp_path, EVENTS_POLLS, poll(), poll(fetched_at=NOON + timedelta(days=1)))
    sizes = {file.parent.name: file.stat().st_size for file in tmp_path.rglob("*.parquet")}
    days = (NOON.date(), NOON.date() + timedelta(days=1))
    assert tables.bytes_by_day(EVENTS_POLLS) == {day: sizes[f"utc_date={day}"] for day in days}
    assert tables.rows_by_day(EVENTS_POLLS) == rows_by_day(tmp_path, EVENTS_POLLS) == dict.fromkeys(days, 1)


def test_a_table_that_nobody_made_is_named_with_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(LakeBroken, match=r"^events\.polls does not exist yet; `bike drain` makes it\.$"):
        open_table(tmp_path, EVENTS_POLLS)


def test_a_broken_log_is_one_sentence_that_names_the_table(tmp_path: Path) -> None:
    ensure_table(tmp_path, EVENTS_POLLS)
    next((table_path(tmp_path, EVENTS_POLLS) / "_delta_log").glob("*.json")).write_text("{")
    with pytest.raises(LakeBroken, match=r"^events\.polls cannot be read: [^\n]+\.$"):
        open_table(tmp_path, EVENTS_POLLS)


def test_an_open_table_is_followed_over_a_log_whose_old_entries_were_removed(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll())
    tables = OpenTables(tmp_path)
    assert sum(tables.rows_by_day(EVENTS_POLLS).values()) == 1
    for _ in range(2):
        write_messages(tmp_path, EVENTS_POLLS, poll())
    newest = open_table(tmp_path, EVENTS_POLLS)
    newest.create_checkpoint()
    for entry in (table_path(tmp_path, EVENTS_POLLS) / "_delta_log").glob("*.json"):
        entry.unlink()
    assert tables.newest(EVENTS_POLLS).version() == newest.version()
    assert sum(tables.rows_by_day(EVENTS_POLLS).values()) == 3
