"""The star schema in each database's words."""

import re
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable

from bike_assets.exports.databases import database
from bike_assets.exports.days import Part
from bike_assets.exports.mssql import SqlServer, _Counted
from bike_assets.exports.star import BOOK, bare, columns, star
from bike_assets.exports.store import Store, _any, _copied, _gone, _merge, _of_day
from bike_assets.model.errors import DatabaseDown, DatabaseRefuses
from bike_assets.model.schema import Table
from bike_assets.model.star import DIMENSIONS, FACTS, references, time_key
from bike_assets.model.warehouse import (
    DIM_CUSTOMER,
    DIM_DATE,
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    STATION_QUALITY,
    WAREHOUSE_TABLES,
)
from bike_assets_tests.exports.stars import DAYS
from bike_assets_tests.exports.tds import hanging

ALL = (*DIMENSIONS, *FACTS)
POSTGRES, MARIADB, MYSQL, MSSQL = (
    sa.make_url(f"{name}://").get_dialect()()
    for name in ("postgresql+psycopg", "mariadb+pymysql", "mysql+pymysql", "mssql+pymssql")
)
MSSQL_KEY_BYTES, MYSQL_KEY_BYTES = 900, 3072


def in_words_of(dialect: Dialect, table: Table | str, schema: str | None = "warehouse") -> str:
    name = table if isinstance(table, str) else table.path[1]
    made = star(schema).tables[f"{schema}.{name}" if schema else name]
    return " ".join(str(CreateTable(made).compile(dialect=dialect)).split())


def test_every_table_of_the_warehouse_is_in_the_star() -> None:
    assert {*ALL} == {*WAREHOUSE_TABLES, DIM_CUSTOMER}
    assert {table.name for table in star().sorted_tables} == {table.path[1] for table in ALL} | {"bike_export"}


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_a_tables_grain_is_its_primary_key_and_what_the_model_says_is_never_null(table: Table) -> None:
    made = star().tables[table.name]
    assert tuple(column.name for column in made.primary_key.columns) == table.grain
    assert [(c.name, c.nullable) for c in made.columns] == [(c.name, c.nullable) for c in table.columns]


def test_a_fact_refers_to_its_system_its_station_and_its_dates() -> None:
    found = {(each.column, each.dimension, each.key) for each in references(FACT_STATION_HOUR)}
    assert found == {
        ("system_id", DIM_SYSTEM, "system_id"), ("station_key", DIM_STATION, "station_key"),
        ("utc_date", DIM_DATE, "date"), ("local_date", DIM_DATE, "date"),
    }  # fmt: skip
    assert [each.column for each in references(DIM_STATION)] == ["system_id"]
    assert [each.column for each in references(STATION_QUALITY)] == ["system_id", "local_date"]
    assert references(DIM_DATE) == references(DIM_CUSTOMER) == ()


def test_a_day_is_told_by_the_date_or_the_instant_of_the_key() -> None:
    assert time_key(FACT_STATION_HOUR).name == "hour_start"
    assert time_key(FACT_STATION_DAY).name == "local_date"


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        (POSTGRES, ["hour_start TIMESTAMP WITH TIME ZONE NOT NULL", "system_id TEXT NOT NULL",
                    "bikes_mean DOUBLE PRECISION,", "utc_date DATE NOT NULL", "station_key BIGINT NOT NULL"]),
        (MARIADB, ["hour_start DATETIME(6) NOT NULL", "system_id VARCHAR(100) NOT NULL", "bikes_mean DOUBLE ",
                   "`utc_date` DATE NOT NULL", "COLLATE utf8mb4_nopad_bin", "ENGINE=InnoDB"]),
        (MYSQL, ["hour_start DATETIME(6) NOT NULL", "system_id VARCHAR(100) NOT NULL", "bikes_mean DOUBLE ",
                 "`utc_date` DATE NOT NULL", "COLLATE utf8mb4_0900_bin", "ENGINE=InnoDB"]),
        (MSSQL, ["hour_start DATETIME2(6) NOT NULL", "utc_date DATE NOT NULL",
                           "system_id NVARCHAR(100) COLLATE Latin1_General_100_BIN2 NOT NULL",
                           "bikes_mean DOUBLE PRECISION NULL", "station_key BIGINT NOT NULL"]),
    ],
    ids=["postgres", "mariadb", "mysql", "mssql"],
)  # fmt: skip
def test_types_fit_the_database(dialect: Dialect, said: list[str]) -> None:
    words = in_words_of(dialect, FACT_STATION_HOUR)
    assert [each for each in said if each not in words] == [], words
    assert "PRIMARY KEY (system_id, station_id, hour_start)" in words
    assert "FOREIGN KEY(station_key) REFERENCES warehouse.dim_station (station_key)" in words


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_a_key_fits_where_keys_are_short(table: Table) -> None:
    limits = [(MSSQL, 2, MSSQL_KEY_BYTES), (MARIADB, 4, MYSQL_KEY_BYTES), (MYSQL, 4, MYSQL_KEY_BYTES)]
    for dialect, each, most in limits:
        bytes_ = 0
        for column in columns(table):
            if column.name in table.grain:
                length = getattr(column.type.dialect_impl(dialect), "length", None)
                bytes_ += 8 if length is None else length * each
        assert bytes_ <= most, dialect.name


@pytest.mark.parametrize(
    ("dialect", "collation"), [(MARIADB, "utf8mb4_nopad_bin"), (MYSQL, "utf8mb4_0900_bin")], ids=["mariadb", "mysql"]
)
def test_a_table_beside_compares_as_the_one_that_it_is_for(dialect: Dialect, collation: str) -> None:
    made = str(CreateTable(bare(DIM_STATION, "dim_station_bike_new", None)).compile(dialect=dialect))
    assert f"COLLATE {collation}" in made


# SQL Server cannot be had where this is built: what is said to it is looked at instead.


def test_sql_server_is_told_to_replace_a_day_by_its_bounds() -> None:
    day = Part(FACT_STATION_HOUR, DAYS[1], "v")
    target, stage = star().tables[FACT_STATION_HOUR.name], bare(FACT_STATION_HOUR, "fact_station_hour_new", "warehouse")
    deleted = sa.delete(target).where(*_of_day(day, target)).compile(dialect=MSSQL)
    assert " ".join(str(deleted).split()) == (
        "DELETE FROM warehouse.fact_station_hour WHERE warehouse.fact_station_hour.hour_start >= :hour_start_1 "
        "AND warehouse.fact_station_hour.hour_start < :hour_start_2"
    )
    assert list(map(str, deleted.params.values())) == ["2026-11-20 00:00:00+00:00", "2026-11-21 00:00:00+00:00"]
    copied = " ".join(str(_copied(target, stage).compile(dialect=MSSQL)).split())
    assert copied.startswith("INSERT INTO warehouse.fact_station_hour (system_id, station_id, hour_start, ")
    assert copied.endswith("FROM warehouse.fact_station_hour_new")


def words(made: sa.ClauseElement) -> str:
    return " ".join(str(made.compile(dialect=MSSQL, compile_kwargs={"render_postcompile": True})).split())


class Told:
    """What is said to a SQL Server, in the place of a connection."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def execute(self, statement: sa.ClauseElement) -> None:
        self.said.append(words(statement))


@pytest.fixture
def sql_server() -> SqlServer:
    return SqlServer(sa.make_url("mssql://sa:canary-0123@db:1433/bikes"))


def test_sql_server_is_told_to_bring_a_dimension_up_to_date(sql_server: SqlServer) -> None:
    con: Any = Told()
    stage = sql_server.staged(Part(DIM_DATE, None, "v"))
    _merge(con, DIM_DATE, sql_server.table("dim_date"), stage)
    updated, inserted = con.said
    assert updated.startswith("UPDATE warehouse.dim_date SET year=warehouse.dim_date_bike_new.year, ")
    # T-SQL's way of `IS DISTINCT FROM`, which it has from 2022 on.
    assert "FROM warehouse.dim_date, warehouse.dim_date_bike_new WHERE " in updated
    assert (
        "warehouse.dim_date.date = warehouse.dim_date_bike_new.date AND (NOT EXISTS "
        "(SELECT warehouse.dim_date.year INTERSECT SELECT warehouse.dim_date_bike_new.year) OR "
    ) in updated
    assert inserted.startswith("INSERT INTO warehouse.dim_date (date, year, ")
    assert inserted.endswith(
        "FROM warehouse.dim_date_bike_new WHERE NOT (EXISTS (SELECT * FROM warehouse.dim_date "
        "WHERE warehouse.dim_date.date = warehouse.dim_date_bike_new.date))"
    )


def test_sql_server_is_told_to_remove_what_no_fact_refers_to(sql_server: SqlServer) -> None:
    part = Part(DIM_STATION, None, "v")
    target, stage = sql_server.table("dim_station"), sql_server.staged(part)
    assert words(_any(target, _gone(part, target, stage))) == (
        "SELECT TOP 1 :param_2 AS anon_1 FROM warehouse.dim_station WHERE NOT (EXISTS (SELECT * "
        "FROM warehouse.dim_station_bike_new "
        "WHERE warehouse.dim_station.station_key = warehouse.dim_station_bike_new.station_key))"
    )
    removed = words(sa.delete(target).where(_gone(part, target, stage), *sql_server._unreferenced(DIM_STATION)))
    assert removed.startswith("DELETE FROM warehouse.dim_station WHERE NOT (EXISTS (SELECT * FROM warehouse.dim_sta")
    for fact in (FACT_STATION_HOUR, FACT_STATION_DAY):
        assert f" FROM {fact.name} WHERE {fact.name}.station_key = warehouse.dim_station.station_key))" in removed


def test_sql_servers_book_is_written_by_removing_and_adding(sql_server: SqlServer) -> None:
    con: Any = Told()
    sql_server._note(con, Part(FACT_STATION_HOUR, DAYS[0], "v"), 3)
    removed, added = con.said
    assert removed == (
        "DELETE FROM warehouse.bike_export WHERE warehouse.bike_export.table_name = :table_name_1 "
        "AND warehouse.bike_export.part = :part_1"
    )
    assert added == (
        "INSERT INTO warehouse.bike_export (table_name, part, lake_version, row_count, exported_at) "
        "VALUES (:table_name, :part, :lake_version, :row_count, :exported_at)"
    )
    assert in_words_of(MSSQL, BOOK).startswith(
        "CREATE TABLE warehouse.bike_export ( table_name VARCHAR(100) NOT NULL, part VARCHAR(10) NOT NULL, "
        "lake_version VARCHAR(32) NOT NULL, row_count BIGINT NOT NULL, exported_at DATETIME2(6) NOT NULL, PRIMARY KEY"
    )


def test_sql_servers_bulk_copy_goes_into_a_table_of_the_same_columns_in_the_same_order(sql_server: SqlServer) -> None:
    stage = sql_server.staged(Part(FACT_STATION_HOUR, DAYS[0], "v"))
    # Its driver puts the name into its statements as it is.
    assert re.fullmatch(r"\w+\.\w+", stage.fullname)
    assert [column.name for column in stage.columns] == [column.name for column in FACT_STATION_HOUR.columns]
    at = datetime(2026, 11, 20, 1, 2, 3, 456_789, tzinfo=UTC)
    rows = pa.table({"hour_start": [at], "is_complete": [True], "mean": [None]}).to_reader()
    assert list(_Counted(rows, {}, "")) == [(at.replace(tzinfo=None), True, None)]


def test_a_sql_server_that_hangs_does_not_hold_an_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bike_assets.exports.mssql.ANSWER_S", 1)
    with hanging(15) as port:
        target = database("mssql", f"mssql://sa:canary-0123@127.0.0.1:{port}/bikes")
        with pytest.raises(DatabaseDown, match=r"^SQL Server at 127\.0\.0\.1:\d+/bikes: .*timed out") as told:
            target.prepare()
        target.close()
    assert "canary" not in str(told.value)


def test_sql_server_is_given_no_text_that_is_longer_than_its_column() -> None:
    rows = pa.table({"station_id": ["🚲" * 2, None], "name": ["as long as it likes", None]})
    fits = _Counted(rows.to_reader(), {"station_id": 4}, "SQL Server at h/b: fact_station_hour")
    assert (list(fits), fits.rows) == ([("🚲🚲", "as long as it likes"), (None, None)], 2)
    with pytest.raises(DatabaseRefuses, match=r"^SQL .* takes 3 characters of station_id, and a row has 4\.$"):
        list(_Counted(rows.to_reader(), {"station_id": 3}, "SQL Server at h/b: fact_station_hour"))


def test_sql_server_is_reached_by_its_own_driver_and_says_where_it_is() -> None:
    made = database("mssql", "mssql://sa:canary-0123@db:1433/bikes")
    assert isinstance(made, Store)
    assert (made.place, made.engine.dialect.name, made.engine.dialect.driver) == (
        "SQL Server at db:1433/bikes", "mssql", "pymssql",
    )  # fmt: skip
