"""The star schema in each database's words."""

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable

from bike_assets.exports.databases import database
from bike_assets.exports.days import Part
from bike_assets.exports.star import bare, columns, star
from bike_assets.exports.store import Store, _copied, _of_day
from bike_assets.model.schema import Table
from bike_assets.model.star import DIMENSIONS, FACTS, references, time_key
from bike_assets.model.warehouse import (
    DIM_DATE,
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    STATION_QUALITY,
    WAREHOUSE_TABLES,
)
from bike_assets_tests.exports.stars import DAYS

ALL = (*DIMENSIONS, *FACTS)
POSTGRES, MYSQL, MSSQL = (
    sa.make_url(f"{name}://").get_dialect()() for name in ("postgresql+psycopg", "mysql+pymysql", "mssql+pymssql")
)
MSSQL_KEY_BYTES, MARIADB_KEY_BYTES = 900, 3072


def in_words_of(dialect: Dialect, table: Table, schema: str | None = "warehouse") -> str:
    made = star(schema).tables[f"{schema}.{table.path[1]}" if schema else table.path[1]]
    return " ".join(str(CreateTable(made).compile(dialect=dialect)).split())


def test_every_table_of_the_warehouse_is_in_the_star() -> None:
    assert set(ALL) == set(WAREHOUSE_TABLES)
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
    assert references(DIM_DATE) == ()


def test_a_day_is_told_by_the_date_or_the_instant_of_the_key() -> None:
    assert time_key(FACT_STATION_HOUR).name == "hour_start"
    assert time_key(FACT_STATION_DAY).name == "local_date"


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        (POSTGRES, ["hour_start TIMESTAMP WITH TIME ZONE NOT NULL", "system_id TEXT NOT NULL",
                    "bikes_mean DOUBLE PRECISION,", "utc_date DATE NOT NULL", "station_key BIGINT NOT NULL"]),
        (MYSQL, ["hour_start DATETIME(6) NOT NULL", "system_id VARCHAR(100) NOT NULL", "bikes_mean DOUBLE ",
                           "`utc_date` DATE NOT NULL", "COLLATE utf8mb4_nopad_bin", "ENGINE=InnoDB"]),
        (MSSQL, ["hour_start DATETIME2(6) NOT NULL", "utc_date DATE NOT NULL",
                           "system_id NVARCHAR(100) COLLATE Latin1_General_100_BIN2 NOT NULL",
                           "bikes_mean DOUBLE PRECISION NULL", "station_key BIGINT NOT NULL"]),
    ],
    ids=["postgres", "mariadb", "mssql"],
)  # fmt: skip
def test_types_fit_the_database(dialect: Dialect, said: list[str]) -> None:
    words = in_words_of(dialect, FACT_STATION_HOUR)
    assert [each for each in said if each not in words] == [], words
    assert "PRIMARY KEY (system_id, station_id, hour_start)" in words
    assert "FOREIGN KEY(station_key) REFERENCES warehouse.dim_station (station_key)" in words


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_a_key_fits_where_keys_are_short(table: Table) -> None:
    for dialect, each, most in ((MSSQL, 2, MSSQL_KEY_BYTES), (MYSQL, 4, MARIADB_KEY_BYTES)):
        bytes_ = 0
        for column in columns(table):
            if column.name in table.grain:
                length = getattr(column.type.dialect_impl(dialect), "length", None)
                bytes_ += 8 if length is None else length * each
        assert bytes_ <= most, dialect.name


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


def test_sql_server_is_reached_by_its_own_driver_and_says_where_it_is() -> None:
    made = database("mssql", "mssql://sa:canary-0123@db:1433/bikes")
    assert isinstance(made, Store)
    assert (made.place, made.engine.dialect.name, made.engine.dialect.driver) == (
        "SQL Server at db:1433/bikes", "mssql", "pymssql",
    )  # fmt: skip
