from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from bike_assets.lake import duck
from bike_assets.lake.duck import Views, ask, connect
from bike_assets.lake.tables import OpenTables, ensure_table, open_table, table_path
from bike_assets.model.constants import MAX_GAP
from bike_assets.model.errors import LakeBroken, WrongQuery
from bike_assets.model.messages import EventKind, Outcome
from bike_assets.model.readings import State
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_STATION_STATUS,
    EVENTS_VEHICLE_STATUS,
    EVENTS_VEHICLE_TOTALS,
    TABLES,
    VIEWS,
)
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, poll, station_status, vehicle_status, vehicle_totals

TYPES = {"string": "VARCHAR", "timestamp": "TIMESTAMP WITH TIME ZONE", "date": "DATE", "int": "INTEGER",
         "bigint": "BIGINT", "double": "DOUBLE", "boolean": "BOOLEAN",
         "decimal(12,2)": "DECIMAL(12,2)", "decimal(28,2)": "DECIMAL(28,2)"}  # fmt: skip


def types_of(lake: Path, table: Table) -> list[tuple[str, str]]:
    return [(name, type_) for name, type_, *_ in ask(lake, f"DESCRIBE {table.name}").rows]


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_that_nobody_made_is_empty_and_typed(tmp_path: Path, table: Table) -> None:
    assert ask(tmp_path, f"FROM {table.name}").rows == []
    assert types_of(tmp_path, table) == [(column.name, TYPES[column.type]) for column in table.columns]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_has_the_columns_that_are_told_of_it(tmp_path: Path, view: Table) -> None:
    assert types_of(tmp_path, view) == [(column.name, TYPES[column.type]) for column in view.columns]


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


# live.vehicle_status


def test_the_vehicles_of_now_are_those_of_the_last_good_poll_with_how_long_they_have_stood(tmp_path: Path) -> None:
    at = NOON + timedelta(minutes=10)
    long_ago = NOON - timedelta(hours=30)
    write_messages(
        tmp_path, EVENTS_VEHICLE_STATUS,
        vehicle_status(vehicle_id="before", observed_at=NOON - timedelta(minutes=1)),
        vehicle_status(vehicle_id="old", kind=EventKind.KEYFRAME, stands_since=long_ago),
        vehicle_status(vehicle_id="gone"),
        vehicle_status(vehicle_id="gone", observed_at=at, kind=EventKind.ABSENT, stands_since=None),
        vehicle_status(vehicle_id="moved", stands_since=long_ago),
        vehicle_status(vehicle_id="moved", observed_at=at, stands_since=at, lat=60.0),
        vehicle_status(system_id="bergen", vehicle_id="other", observed_at=NOON - timedelta(days=1)),
    )  # fmt: skip
    write_messages(
        tmp_path, EVENTS_VEHICLE_TOTALS, vehicle_totals(), vehicle_totals(observed_at=at),
        vehicle_totals(system_id="bergen", observed_at=NOON - timedelta(days=1)),
    )  # fmt: skip
    columns = "system_id, vehicle_id, lat, round(stands_hours, 1), is_abandoned, last_good_poll_at"
    assert ask(tmp_path, f"SELECT {columns} FROM live.vehicle_status ORDER BY ALL").rows == [  # noqa: S608
        ("bergen", "other", 59.91, -24.0, False, NOON - timedelta(days=1)),
        ("oslo", "moved", 60.0, 0.0, False, at),
        ("oslo", "old", 59.91, 30.2, True, at),
    ]


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


@pytest.mark.parametrize("query", ["show tables", " SHOW TABLES;\n"])
def test_the_tables_are_shown_under_their_names(tmp_path: Path, query: str) -> None:
    answer = ask(tmp_path, query)
    assert answer.columns == ["table", "columns"]
    assert {table.name: len(table.columns) for table in TABLES}.items() <= dict(answer.rows).items()
    assert dict(answer.rows).keys() - {table.name for table in TABLES} == {"live.station_status", "live.vehicle_status"}


def test_a_table_whose_name_is_put_together_is_refused_and_not_taken_for_empty(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status())
    assert ask(tmp_path, "FROM query('FROM Events.Station_STATUS')").rows
    with pytest.raises(WrongQuery, match=r"Name events\.station_status in the question"):
        ask(tmp_path, "FROM query('FROM events.station' || '_status')")


def test_a_question_opens_no_other_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status())
    write_messages(tmp_path, EVENTS_POLLS, poll())
    opened: list[Table] = []

    def seen(lake: Path, table: Table) -> DeltaTable:
        opened.append(table)
        return open_table(lake, table)

    monkeypatch.setattr("bike_assets.lake.tables.open_table", seen)
    assert ask(tmp_path, "SELECT count(*) FROM events.polls").rows == [(1,)]
    assert opened == [EVENTS_POLLS]


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


def test_who_asks_of_a_table_that_there_is_not_is_told_how_to_see_the_tables(tmp_path: Path) -> None:
    with pytest.raises(WrongQuery, match=r"nosuch does not exist! `bike sql \"show tables\"` lists the tables\.$"):
        ask(tmp_path, "FROM nosuch")


# What is broken


def is_answered(lake: Path, *queries: str) -> bool:
    return all(ask(lake, query) for query in queries)


def test_a_broken_log_names_its_table_and_leaves_the_others_readable(tmp_path: Path) -> None:
    ensure_table(tmp_path, EVENTS_POLLS)
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status())
    next((table_path(tmp_path, EVENTS_POLLS) / "_delta_log").glob("*.json")).write_text("{")
    for query in ("FROM events.polls", "SELECT count(*) FROM events.polls", "FROM live.station_status"):
        with pytest.raises(LakeBroken, match=r"^events\.polls cannot be read: "):
            ask(tmp_path, query)
    assert is_answered(tmp_path, "FROM events.station_status", "DESCRIBE events.polls", "SHOW ALL TABLES")


@pytest.mark.parametrize("broken", [None, b"no parquet", b"PAR1, and no more of it than its first bytes"])
def test_a_broken_file_is_named_and_leaves_the_other_tables_readable(tmp_path: Path, broken: bytes | None) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll())
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status())
    file = next(table_path(tmp_path, EVENTS_POLLS).rglob("*.parquet"))
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken)
    with pytest.raises(LakeBroken, match=rf"^events\.polls cannot be read: [^\n]*{file.name}[^\n]*$"):
        ask(tmp_path, "FROM events.polls")
    assert is_answered(tmp_path, "FROM events.station_status")


def test_a_question_about_other_days_does_not_meet_the_broken_file(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll())
    next(table_path(tmp_path, EVENTS_POLLS).rglob("*.parquet")).write_bytes(b"no parquet")
    later = NOON + timedelta(days=1)
    write_messages(tmp_path, EVENTS_POLLS, poll(fetched_at=later))
    answer = ask(tmp_path, f"SELECT fetched_at FROM events.polls WHERE utc_date = DATE '{later.date()}'")  # noqa: S608
    assert answer.rows == [(later,)]


def test_a_file_from_before_a_column_was_there_has_nulls_in_it(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_POLLS, poll(http_status=200))
    file = next(table_path(tmp_path, EVENTS_POLLS).rglob("*.parquet"))
    pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["http_status"]), file)
    write_messages(tmp_path, EVENTS_POLLS, poll(fetched_at=NOON + timedelta(days=1), http_status=200))
    answer = ask(tmp_path, "SELECT http_status, feed FROM events.polls ORDER BY fetched_at")
    assert answer.rows == [(None, "station_status"), (200, "station_status")]


def test_of_a_year_only_the_days_asked_for_are_opened(tmp_path: Path) -> None:
    for number in range(5):
        write_messages(tmp_path, EVENTS_POLLS, poll(fetched_at=NOON + timedelta(days=number)))
    con = connect(tmp_path)
    first, last = NOON.date(), NOON.date() + timedelta(days=1)
    days = f"utc_date BETWEEN DATE '{first}' AND DATE '{last}'"
    asked = f"SELECT count(error) FROM events.polls WHERE {days}"  # noqa: S608
    plan = con.execute(f"EXPLAIN ANALYZE {asked}").fetchall()[0][1]
    assert "Total Files Read: 2" in plan


def test_a_connection_that_stays_open_shows_what_was_made_and_written_since(tmp_path: Path) -> None:
    views = Views(OpenTables(tmp_path))
    assert stations(views) == []
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status(station_id="1"))
    assert stations(views) == ["1"]
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status(station_id="2"))
    write_messages(tmp_path, EVENTS_POLLS, poll())
    assert stations(views) == ["1", "2"]
    assert views.newest().sql("SELECT count(*) FROM live.station_status").fetchall() == [(2,)]
    views.close()
    assert stations(views) == ["1", "2"]


def test_what_was_not_written_since_is_not_looked_into_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status())
    write_messages(tmp_path, EVENTS_POLLS, poll())
    views = Views(OpenTables(tmp_path))
    views.newest()
    looked: list[Table] = []
    monkeypatch.setattr(duck, "_show_files", lambda _, table, __: looked.append(table))
    write_messages(tmp_path, EVENTS_POLLS, poll())
    views.newest()
    assert looked == [EVENTS_POLLS]


def test_a_table_that_was_broken_and_is_mended_is_shown_again(tmp_path: Path) -> None:
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status(station_id="1"))
    views = Views(OpenTables(tmp_path))
    assert stations(views) == ["1"]
    newest = open_table(tmp_path, EVENTS_STATION_STATUS).version()
    torn = table_path(tmp_path, EVENTS_STATION_STATUS) / "_delta_log" / f"{newest + 1:020}.json"
    torn.write_text("{")
    with pytest.raises(duckdb.Error, match=r"events\.station_status cannot be read"):
        stations(views)
    torn.unlink()
    assert stations(views) == ["1"]


def stations(views: Views) -> list[str]:
    rows = views.newest().table(EVENTS_STATION_STATUS.name).select("station_id").order("station_id").fetchall()
    return [station_id for (station_id,) in rows]
