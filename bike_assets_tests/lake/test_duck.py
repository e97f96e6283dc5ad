from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bike_assets.lake.duck import ask, connect
from bike_assets.lake.tables import ensure_table, table_path
from bike_assets.model.constants import MAX_GAP
from bike_assets.model.errors import LakeBroken, WrongQuery
from bike_assets.model.messages import EventKind, Outcome
from bike_assets.model.readings import State
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, TABLES
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, poll, station_status

TYPES = {"string": "VARCHAR", "timestamp": "TIMESTAMP WITH TIME ZONE", "date": "DATE", "int": "INTEGER",
         "bigint": "BIGINT", "double": "DOUBLE", "boolean": "BOOLEAN"}  # fmt: skip


def types_of(lake: Path, table: Table) -> list[tuple[str, str]]:
    return [(name, type_) for name, type_, *_ in ask(lake, f"DESCRIBE {table.name}").rows]


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_that_nobody_made_is_empty_and_typed(tmp_path: Path, table: Table) -> None:
    assert ask(tmp_path, f"FROM {table.name}").rows == []
    assert types_of(tmp_path, table) == [(column.name, TYPES[column.type]) for column in table.columns]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_without_rows_is_empty_and_typed(tmp_path: Path, table: Table) -> None:
    ensure_table(tmp_path, table)
    assert ask(tmp_path, f"FROM {table.name}").rows == []
    assert types_of(tmp_path, table) == [(column.name, TYPES[column.type]) for column in table.columns]


def test_a_table_with_rows_is_typed_alike_its_partition_included(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status())
    expected = [(column.name, TYPES[column.type]) for column in EVENTS_STATION_STATUS.columns]
    assert types_of(tmp_path, EVENTS_STATION_STATUS) == expected
    answer = ask(tmp_path, "SELECT observed_at, utc_date, bikes_available, bikes_before FROM events.station_status")
    assert answer.rows == [(NOON, NOON.date(), 5, None)]


def test_a_system_id_with_a_colon_is_text_as_any_other(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status(system_id="jcdecaux:lyon", station_id="0012"))
    answer = ask(tmp_path, "SELECT system_id, station_id FROM events.station_status")
    assert answer == (["system_id", "station_id"], [("jcdecaux:lyon", "0012")])


def test_times_are_utc_wherever_one_asks(tmp_path: Path) -> None:
    assert ask(tmp_path, "SELECT current_setting('TimeZone')").rows == [("UTC",)]


# live.station_status


def state_now(lake: Path, poll_age: timedelta, **given: Any) -> State:
    at = now() - poll_age
    write_messages(lake, EVENTS_STATION_STATUS, station_status(observed_at=now() - timedelta(hours=3)))
    write_messages(lake, EVENTS_POLLS, poll(**({"fetched_at": at} | given)))
    ((state,),) = ask(lake, "SELECT state FROM live.station_status").rows
    return State(state)


def test_a_station_keeps_its_state_while_its_system_is_watched(tmp_path: Path) -> None:
    assert state_now(tmp_path, MAX_GAP - timedelta(minutes=1)) == State.AVAILABLE


def test_a_station_is_unknown_once_nobody_has_looked_for_the_largest_gap(tmp_path: Path) -> None:
    assert state_now(tmp_path, MAX_GAP + timedelta(minutes=1)) == State.UNKNOWN


def test_a_304_is_a_look(tmp_path: Path) -> None:
    assert state_now(tmp_path, timedelta(), outcome=Outcome.NOT_MODIFIED) == State.AVAILABLE


def test_a_poll_that_failed_is_no_look(tmp_path: Path) -> None:
    assert state_now(tmp_path, timedelta(), outcome=Outcome.TIMEOUT) == State.UNKNOWN


def test_a_poll_of_another_feed_is_no_look(tmp_path: Path) -> None:
    assert state_now(tmp_path, timedelta(), feed="station_information") == State.UNKNOWN


def test_a_poll_of_another_system_is_no_look(tmp_path: Path) -> None:
    assert state_now(tmp_path, timedelta(), system_id="bergen") == State.UNKNOWN


def test_a_station_shows_its_latest_event_whatever_order_they_came_in(tmp_path: Path) -> None:
    late = station_status(observed_at=now(), kind=EventKind.KEYFRAME, bikes_available=9)
    early = station_status(observed_at=now() - timedelta(hours=1), bikes_available=2)
    write_messages(tmp_path, EVENTS_STATION_STATUS, late)
    write_messages(tmp_path, EVENTS_STATION_STATUS, early, station_status(station_id="2"))
    answer = ask(tmp_path, "SELECT station_id, bikes_available FROM live.station_status ORDER BY ALL")
    assert answer.rows == [("1", 9), ("2", 5)]


# What people may ask


@pytest.mark.parametrize(
    "query",
    ["SELECT 1", "SELECT 1;", "SELECT 1 -- a remark", "FROM events.polls", "VALUES (1)", "SHOW ALL TABLES",
     "DESCRIBE events.polls", "SUMMARIZE events.polls", "SELECT 1 UNION SELECT 2", "WITH a AS (SELECT 1) FROM a",
     "WITH RECURSIVE a AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM a WHERE i < 3) FROM a",
     "SELECT 'COPY a TO b; DROP TABLE c'"],
)  # fmt: skip
def test_a_question_is_answered(tmp_path: Path, query: str) -> None:
    ask(tmp_path, query)


@pytest.mark.parametrize(
    "query",
    ["COPY (SELECT 1) TO '{file}'", "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
     "WITH a AS (COPY (SELECT 1) TO '{file}') FROM a",
     "WITH a AS (WITH b AS (COPY (SELECT 1) TO '{file}') FROM b) FROM a",
     "(WITH a AS (COPY (SELECT 1) TO '{file}') FROM a) UNION ALL SELECT 1", "SELECT 1; COPY (SELECT 1) TO '{file}'",
     "ATTACH '{file}' AS other", "EXPORT DATABASE '{file}'"],
)  # fmt: skip
def test_nothing_writes_a_file_not_even_into_the_lake(tmp_path: Path, query: str) -> None:
    file = tmp_path / "written"
    with pytest.raises(WrongQuery):
        ask(tmp_path, query.format(file=file))
    assert not file.exists()


@pytest.mark.parametrize(
    "query",
    ["CREATE TABLE a (b INT)", "CREATE VIEW a AS SELECT 1", "INSERT INTO events.polls FROM events.polls",
     "WITH a AS (DELETE FROM events.polls RETURNING *) FROM a", "UPDATE events.polls SET feed = ''",
     "DELETE FROM events.polls",
     "DROP VIEW live.station_status", "INSTALL httpfs", "LOAD httpfs", "SET threads = 1", "RESET threads",
     "PRAGMA database_list", "CALL pragma_version()", "BEGIN", "USE live", "PREPARE a AS SELECT 1", "VACUUM"],
)  # fmt: skip
def test_nothing_changes_the_tables_or_the_database(tmp_path: Path, query: str) -> None:
    with pytest.raises(WrongQuery, match="can only be read here"):
        ask(tmp_path, query)


@pytest.mark.parametrize("query", ["SELECT 1; SELECT 2", "", ";", "-- nothing"])
def test_one_question_is_asked_at_a_time(tmp_path: Path, query: str) -> None:
    with pytest.raises(WrongQuery, match="one question"):
        ask(tmp_path, query)


@pytest.mark.parametrize(
    "query",
    ["FROM read_text('{file}')", "FROM read_csv('{file}')", "FROM '{file}'", "FROM glob('{folder}/*')",
     "FROM read_text('{lake}/../outside/secret.csv')"],
)  # fmt: skip
def test_no_file_outside_the_lake_is_read(tmp_path: Path, query: str) -> None:
    lake, outside = tmp_path / "lake", tmp_path / "outside"
    ensure_table(lake, EVENTS_POLLS)
    outside.mkdir()
    (outside / "secret.csv").write_text("canary")
    with pytest.raises(WrongQuery) as refused:
        ask(lake, query.format(file=outside / "secret.csv", folder=outside, lake=lake))
    assert "canary" not in str(refused.value)


def test_a_question_that_duckdb_does_not_understand_is_answered_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(WrongQuery, match=r'DuckDB cannot answer this: .*"bikes"'):
        ask(tmp_path, "SELECT bikes FROM events.polls")


# What is broken


def test_a_broken_log_names_its_table(tmp_path: Path) -> None:
    ensure_table(tmp_path, EVENTS_POLLS)
    next((table_path(tmp_path, EVENTS_POLLS) / "_delta_log").glob("*.json")).write_text("{")
    with pytest.raises(LakeBroken, match=r"^events\.polls cannot be read: "):
        connect(tmp_path)


@pytest.mark.parametrize("broken", [None, b"no parquet"])
def test_a_broken_file_names_its_table(tmp_path: Path, broken: bytes | None) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll())
    file = next(table_path(tmp_path, EVENTS_POLLS).rglob("*.parquet"))
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken)
    with pytest.raises(LakeBroken, match=r"^events\.polls cannot be read: [^\n]+$"):
        ask(tmp_path, "FROM events.polls")
