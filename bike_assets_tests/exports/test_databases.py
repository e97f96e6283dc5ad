"""What a database is served: the lake's rows, whole days, whatever happens meanwhile."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from bike_assets.exports.databases import database
from bike_assets.exports.serve import Lag, behind, lag, serve
from bike_assets.exports.star import BOOK
from bike_assets.lake.maintenance import compact
from bike_assets.lake.tables import open_table, table_path
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import (
    DatabaseDown,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseRefuses,
    LakeBroken,
    WrongSettings,
)
from bike_assets.model.star import DIMENSIONS, FACTS
from bike_assets.model.warehouse import DIM_CUSTOMER, DIM_STATION, FACT_STATION_HOUR, FACT_SYSTEM_DAY
from bike_assets_tests.disks import small_disk
from bike_assets_tests.exports import killed
from bike_assets_tests.exports.reading import TABLES, Rows, in_lake
from bike_assets_tests.exports.servers import Cassandras, DuckFileServer, MariaDbServer, PostgresServer, Server, of
from bike_assets_tests.exports.stars import DAYS, STATIONS, SYSTEMS, a_star, write_day, write_whole
from bike_assets_tests.exports.test_files import break_in_the_middle
from bike_assets_tests.mariadb import MariaDb, mariadb_server
from bike_assets_tests.postgres import Postgres

OLD, NEW = DAYS
WITH_KEYS = ["postgres", "mariadb", "duckdb"]


@pytest.fixture(params=["postgres", "mariadb", "duckdb", "cassandra"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Server:
    match request.param:
        case "postgres":
            return PostgresServer(request.getfixturevalue("postgres"))
        case "cassandra":
            running = request.getfixturevalue("cassandra_running")
            return Cassandras(replace(running, keyspace=f"test_{uuid.uuid4().hex}"))
        case "mariadb":
            return MariaDbServer(request.getfixturevalue("mariadb"))
        case _:
            return DuckFileServer(tmp_path / "served" / "bikes.duckdb")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    a_star(tmp_path / "lake")
    return tmp_path / "lake"


def everything(server: Server) -> dict[str, Rows]:
    return {table.name: server.rows(table) for table in TABLES}


def of_lake(lake: Path) -> dict[str, Rows]:
    return {table.name: in_lake(lake, table) for table in TABLES}


def test_a_database_has_the_lakes_rows_and_no_other_table(lake: Path, server: Server) -> None:
    done = serve(lake, of(server), None)
    assert everything(server) == of_lake(lake)
    assert all(everything(server).values())
    assert server.tables() == {table.path[1] for table in TABLES} | {BOOK}
    assert len(done) == len(DIMENSIONS) + len(FACTS) * len(DAYS)


def test_a_second_export_brings_nothing_and_changes_nothing(lake: Path, server: Server) -> None:
    serve(lake, of(server), None)
    before = everything(server)
    assert serve(lake, of(server), None) == []
    assert serve(lake, of(server), (OLD, NEW)) == []
    assert everything(server) == before
    assert lag(lake, of(server).book()) == Lag(0, None)


def test_a_day_that_was_asked_for_comes_alone_and_the_rest_is_told_as_lacking(lake: Path, server: Server) -> None:
    serve(lake, of(server), (NEW, NEW))
    hours = server.rows(FACT_STATION_HOUR)
    assert {row[4] for row in hours} == {NEW}
    assert hours == [row for row in in_lake(lake, FACT_STATION_HOUR) if row[4] == NEW]
    assert lag(lake, of(server).book()) == Lag(1, OLD)
    serve(lake, of(server), None)
    assert everything(server) == of_lake(lake)


def test_a_day_that_is_built_again_is_replaced_and_no_other(lake: Path, server: Server) -> None:
    serve(lake, of(server), None)
    write_day(lake, FACT_STATION_HOUR, NEW, STATIONS[:2], shift=5)
    write_day(lake, FACT_SYSTEM_DAY, OLD, (), shift=3)
    done = serve(lake, of(server), None)
    assert [(part.table, part.part) for part in done] == [
        ("fact_station_hour", str(NEW)), ("fact_system_day", str(OLD)),
    ]  # fmt: skip
    assert everything(server) == of_lake(lake)


@pytest.mark.parametrize("server", WITH_KEYS, indirect=True)
def test_descriptions_that_the_lake_has_no_more_go_once_no_fact_refers_to_them(lake: Path, server: Server) -> None:
    serve(lake, of(server), None)
    a_star(lake, days=[NEW], stations=STATIONS[:2], shift=1)
    serve(lake, of(server), None)
    left = [row for row in server.rows(DIM_STATION) if row not in in_lake(lake, DIM_STATION)]
    assert len(left) == 2 * len(STATIONS[2:]), "the older day refers to them"
    a_star(lake, stations=STATIONS[:2], shift=1)
    serve(lake, of(server), None)
    assert everything(server) == of_lake(lake)


def test_a_customer_is_there_with_all_versions_and_goes_with_the_list(lake: Path, server: Server) -> None:
    serve(lake, of(server), None)
    rows = open_table(lake, DIM_CUSTOMER).to_pyarrow_table().to_pylist()
    write_whole(lake, DIM_CUSTOMER, [row | {"state": "elsewhere"} for row in rows[1:]])
    assert [(part.table, part.rows) for part in serve(lake, of(server), None)] == [("dim_customer", len(rows) - 1)]
    assert server.rows(DIM_CUSTOMER) == in_lake(lake, DIM_CUSTOMER)


def test_a_database_that_a_version_without_customers_made_gets_them(lake: Path, server: Server) -> None:
    serve(lake, of(server), None)
    server.execute(f"DROP TABLE {server.called(DIM_CUSTOMER)}")
    book = server.called(DIM_CUSTOMER).replace("dim_customer", BOOK)
    server.execute(f"DELETE FROM {book} WHERE table_name = 'dim_customer' AND part = 'whole'")  # noqa: S608
    assert [part.table for part in serve(lake, of(server), None)] == ["dim_customer"]
    assert everything(server) == of_lake(lake)


def test_a_lake_without_customers_is_served_all_the_same(lake: Path, server: Server) -> None:
    shutil.rmtree(table_path(lake, DIM_CUSTOMER))
    serve(lake, of(server), None)
    assert everything(server) == of_lake(lake)
    assert serve(lake, of(server), None) == []


def test_a_day_that_the_lake_has_no_more_is_emptied(lake: Path, server: Server) -> None:
    serve(lake, of(server), None)
    for table in FACTS:
        write_day(lake, table, OLD, shift=0, systems=())
    serve(lake, of(server), None)
    assert {row[4] for row in server.rows(FACT_STATION_HOUR)} == {NEW}
    assert everything(server) == of_lake(lake)


@pytest.mark.parametrize("server", WITH_KEYS, indirect=True)
@pytest.mark.parametrize("place", ["loading", "replacing"])
def test_an_export_that_is_killed_leaves_the_day_as_it_was_and_the_next_one_brings_it(
    lake: Path, server: Server, place: str
) -> None:
    serve(lake, of(server), None)
    before = everything(server)
    for table in FACTS:
        write_day(lake, table, NEW, shift=4)
    command = [sys.executable, "-m", killed.__name__, server.name, str(lake), place]
    done = subprocess.run(command, input=server.address, text=True, capture_output=True, check=False)
    assert done.returncode == killed.KILLED, done.stderr
    assert everything(server) == before
    assert lag(lake, of(server).book()) == Lag(1, NEW)
    serve(lake, of(server), None)
    assert everything(server) == of_lake(lake)
    assert server.tables() == {table.path[1] for table in TABLES} | {BOOK}


@pytest.mark.parametrize("server", ["cassandra"], indirect=True)
def test_cassandra_has_old_rows_or_new_ones_when_an_export_is_killed_and_the_next_one_brings_all(
    lake: Path, server: Server
) -> None:
    serve(lake, of(server), None)
    before = everything(server)
    for table in FACTS:
        write_day(lake, table, NEW, STATIONS[:2], shift=4)
    command = [sys.executable, "-m", killed.__name__, server.name, str(lake), "loading"]
    done = subprocess.run(command, input=server.address, text=True, capture_output=True, check=False)
    assert done.returncode == killed.KILLED, done.stderr
    wanted = of_lake(lake)
    assert [row for name, rows in everything(server).items() for row in rows
            if row not in before[name] and row not in wanted[name]] == []  # fmt: skip
    assert everything(server) != before
    assert lag(lake, of(server).book()) == Lag(1, NEW)
    serve(lake, of(server), None)
    assert everything(server) == wanted


@pytest.mark.parametrize("server", WITH_KEYS, indirect=True)
def test_a_fact_without_its_dimension_is_refused_and_the_day_stays(lake: Path, server: Server) -> None:
    serve(lake, of(server), None)
    before = everything(server)
    write_day(lake, FACT_STATION_HOUR, NEW, ("nobody's",))
    with pytest.raises(DatabaseRefuses, match=rf"^Not brought: fact_station_hour {NEW}\. .*(?i:foreign key)"):
        serve(lake, of(server), None)
    assert everything(server) == before


@pytest.mark.parametrize("server", WITH_KEYS, indirect=True)
def test_a_part_that_is_refused_keeps_no_other_from_coming(lake: Path, server: Server) -> None:
    write_day(lake, FACT_STATION_HOUR, NEW, ("nobody's",))
    for _ in range(2):
        with pytest.raises(DatabaseRefuses, match=rf"^Not brought: fact_station_hour {NEW}\. "):
            serve(lake, of(server), None)
        wanted = of_lake(lake)
        old = [row for row in wanted[FACT_STATION_HOUR.name] if row[4] == OLD]
        assert everything(server) == wanted | {FACT_STATION_HOUR.name: old}
        assert lag(lake, of(server).book()) == Lag(1, NEW)
        assert server.tables() == {table.path[1] for table in TABLES} | {BOOK}
    write_day(lake, FACT_STATION_HOUR, NEW)
    assert [(part.table, part.part) for part in serve(lake, of(server), None)] == [("fact_station_hour", str(NEW))]
    assert everything(server) == of_lake(lake)


@pytest.mark.parametrize("server", ["postgres", "mariadb"], indirect=True)
def test_a_database_that_takes_no_writes_is_told_and_caught_up_with_after(lake: Path, server: Server) -> None:
    serve(lake, of(server), (OLD, OLD))
    server.set_read_only(on=True)
    try:
        with pytest.raises(DatabaseReadOnly) as told:
            serve(lake, of(server), None)
        assert told.value.retryable
        assert lag(lake, of(server).book()) == Lag(1, NEW)
    finally:
        server.set_read_only(on=False)
    serve(lake, of(server), None)
    assert everything(server) == of_lake(lake)


def test_a_lake_that_is_broken_is_told_as_such_and_the_day_stays(lake: Path, server: Server) -> None:
    serve(lake, of(server), None)
    before = everything(server)
    write_day(lake, FACT_STATION_HOUR, NEW, shift=4)
    break_in_the_middle(lake, FACT_STATION_HOUR)
    told = rf"^Not brought: fact_station_hour {NEW}\. warehouse\.fact_station_hour cannot be read: "
    with pytest.raises(LakeBroken, match=told):
        serve(lake, of(server), None)
    assert everything(server) == before


def test_tables_of_another_shape_are_refused_with_what_to_do(lake: Path, server: Server) -> None:
    serve(lake, of(server), (OLD, OLD))
    server.execute(f"ALTER TABLE {server.called(FACT_SYSTEM_DAY)} DROP COLUMN polls")
    told = r"fact_system_day has other columns than the warehouse \(polls\): (drop|remove) "
    with pytest.raises(DatabaseRefuses, match=told):
        serve(lake, of(server), None)


# What is MariaDB's and MySQL's alone


def test_a_server_that_says_it_is_mysql_is_spoken_to_as_mysql(lake: Path) -> None:
    """MariaDB under MySQL's name: it lacks MySQL's collation, which is how it can be seen that this was asked for."""
    with mariadb_server("--version=5.7.10") as server:
        server.as_root("CREATE DATABASE bikes")
        with pytest.raises(DatabaseRefuses, match=r"^MySQL at .*/bikes: Unknown collation: 'utf8mb4_0900_bin'\.$"):
            serve(lake, database("mysql", replace(server, database="bikes").url), None)


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_ids_that_do_not_fit_are_refused_and_none_is_cut(lake: Path, server: Server) -> None:
    serve(lake, of(server), None)
    before = everything(server)
    station_id = f"{'x' * 200}{SYSTEMS[0]}/{STATIONS[0]}"  # whose key is that of the station which it ends with
    write_day(lake, FACT_STATION_HOUR, NEW, [station_id], systems=SYSTEMS[:1])
    said = r"MariaDB at .*: fact_station_hour would not be as the lake has it: Data .* for column 'station_id' at"
    with pytest.raises(DatabaseRefuses, match=said):
        serve(lake, of(server), None)
    assert everything(server) == before


# What is PostgreSQL's alone


def refused(lake: Path, address: str, password: str) -> Exception:
    with pytest.raises((DatabaseDown, DatabaseRefuses)) as told:
        serve(lake, database("postgres", address), None)
    assert password not in str(told.value)
    assert told.value.__cause__ is None
    return told.value


def test_a_server_that_is_down_is_told_with_its_place_and_can_be_tried_again(lake: Path) -> None:
    (port,) = free_ports(1)
    told = refused(lake, f"postgresql://bike:canary-0123@127.0.0.1:{port}/bikes", "canary-0123")
    assert isinstance(told, DatabaseDown)
    assert str(told).startswith(f"PostgreSQL at 127.0.0.1:{port}/bikes: ")


def test_a_wrong_password_is_no_reason_to_try_again_and_is_in_no_message(lake: Path, postgres: Postgres) -> None:
    address = postgres.url.replace(postgres.password, "canary-0123")
    assert isinstance(refused(lake, address, "canary-0123"), DatabaseRefuses)


def test_a_table_that_somebody_holds_is_waited_for_a_while(
    lake: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bike_assets.exports import postgres as module

    serve(lake, database("postgres", postgres.url), None)
    write_day(lake, FACT_STATION_HOUR, OLD, shift=2)
    monkeypatch.setattr(module, "LOCK_MS", 200)
    with psycopg.connect(postgres.url) as other:
        other.execute("LOCK TABLE warehouse.fact_station_hour IN ACCESS SHARE MODE")
        with pytest.raises(DatabaseDown, match="lock timeout"):
            serve(lake, database("postgres", postgres.url), None)
    serve(lake, database("postgres", postgres.url), None)
    assert everything(PostgresServer(postgres)) == of_lake(lake)


def test_a_server_that_goes_away_at_work_is_told_and_the_next_export_goes_on(lake: Path, postgres: Postgres) -> None:
    target: Any = database("postgres", postgres.url)
    load = target.load

    def end_all() -> None:
        postgres.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bike_export'")

    def losing(stage: Any, rows: pa.RecordBatchReader) -> int:
        def batches() -> Iterator[pa.RecordBatch]:
            yield from rows
            end_all()
            yield pa.RecordBatch.from_pylist([], rows.schema)

        return int(load(stage, pa.RecordBatchReader.from_batches(rows.schema, batches())))

    target.load = losing
    with pytest.raises(DatabaseDown, match=r"^Not brought: dim_\w+ whole, dim_\w+ whole; \d+ more were not tried\. "):
        serve(lake, target, None)
    serve(lake, database("postgres", postgres.url), None)
    assert everything(PostgresServer(postgres)) == of_lake(lake)
    assert PostgresServer(postgres).tables() == {table.path[1] for table in TABLES} | {BOOK}


def test_a_disk_that_is_full_is_told_as_such_and_caught_up_with_once_it_has_room(
    lake: Path, postgres: Postgres
) -> None:
    server = PostgresServer(postgres)
    with small_disk("postgres") as disk:
        serve(lake, of(server), (OLD, OLD))
        before = everything(server)
        postgres.psql(f"CREATE TABLESPACE {postgres.database} LOCATION '{disk.path}'")
        postgres.psql(f"ALTER DATABASE {postgres.database} SET default_tablespace = {postgres.database}")
        disk.fill(left=48 * 1024)
        with pytest.raises(DatabaseFull, match="No space left on device"):
            serve(lake, of(server), None)
        there, wanted = everything(server), of_lake(lake)
        assert [name for name in there if there[name] not in (before[name], wanted[name])] == []
        assert there != wanted
        disk.make_room()
        serve(lake, of(server), None)
        assert everything(server) == of_lake(lake)


def test_a_full_disk_below_mariadb_is_told_as_such_and_caught_up_with_once_it_has_room(
    lake: Path, mariadb: MariaDb
) -> None:
    server = MariaDbServer(mariadb)
    with small_disk("mysql", mariadb.directory) as disk:
        serve(lake, of(server), (OLD, OLD))
        before = everything(server)
        disk.fill()
        with pytest.raises(DatabaseFull):
            serve(lake, of(server), None)
        assert everything(server) == before
        disk.make_room()
        serve(lake, of(server), None)
        assert everything(server) == of_lake(lake)
        mariadb.ask(f"SET foreign_key_checks = 0; DROP TABLE {', '.join(server.tables())}")


def test_a_full_disk_below_a_duckdb_file_leaves_the_old_file_and_is_caught_up_with(lake: Path) -> None:
    with small_disk() as disk:
        server = DuckFileServer(disk.path / "bikes.duckdb")
        serve(lake, of(server), (OLD, OLD))
        before = everything(server)
        disk.fill(left=2**18)
        with pytest.raises(DatabaseFull, match="No space left on device"):
            serve(lake, of(server), None)
        assert everything(server) == before
        disk.make_room()
        serve(lake, of(server), None)
        assert everything(server) == of_lake(lake)


@pytest.mark.parametrize(
    "address", ["", "bikes", "postgresql://", "mysql://u:canary-0123@h/bikes", "postgresql://u:canary-0123@h:x/bikes"]
)
def test_an_address_that_is_none_is_told_without_repeating_it(address: str) -> None:
    with pytest.raises(WrongSettings, match=r"^BIKE_POSTGRES is no address of such a database: give one like") as told:
        database("postgres", address)
    assert "canary" not in str(told.value)


def test_the_newest_day_comes_first(lake: Path) -> None:
    days = [str(part.day) for part in behind(lake, {})]
    assert days == sorted(days, reverse=True)


def test_a_compaction_leaves_no_day_behind(lake: Path) -> None:
    both = in_lake(lake, FACT_STATION_HOUR)
    path = str(table_path(lake, FACT_STATION_HOUR))
    write_deltalake(path, open_table(lake, FACT_STATION_HOUR).to_pyarrow_table(), mode="append")
    book = {(part.table.path[1], part.name): part.version for part in behind(lake, {})}
    assert len(compact(lake, FACT_STATION_HOUR, DAYS).done) == len(DAYS)
    assert (lag(lake, book), len(in_lake(lake, FACT_STATION_HOUR))) == (Lag(0, None), 2 * len(both))
    write_day(lake, FACT_STATION_HOUR, NEW)
    assert lag(lake, book) == Lag(1, NEW)
