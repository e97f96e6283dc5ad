"""The list of customers, whoever keeps it."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from bike_assets.local.ports import free_ports
from bike_assets.model.errors import CustomersUnavailable, WrongSettings
from bike_assets.warehouse.customers import Customer, read_customers, read_database, read_list
from bike_assets_tests.mariadb import MariaDb
from bike_assets_tests.postgres import PASSWORD, Postgres
from bike_assets_tests.warehouse.test_dim_customer import listed

ROWS = pa.table({
    "id": ["17", "18"], "state": ["TX", None], "limit": [Decimal("12.50"), None], "since": [date(2026, 1, 2), None],
})  # fmt: skip
SAME = {
    "17": Customer("TX", '{"limit": "12.50", "since": "2026-01-02"}'),
    "18": Customer("unknown", '{"limit": null, "since": null}'),
}
TABLE = "CREATE TABLE people (id INT PRIMARY KEY, state VARCHAR(9), {limit} DECIMAL(9, 2), since DATE)"
FILL = "INSERT INTO people VALUES (17, 'TX', 12.50, '2026-01-02'), (18, NULL, NULL, NULL)"


def test_parquet_delta_and_a_database_say_the_same_as_each_other(tmp_path: Path, postgres: Postgres) -> None:
    with duckdb.connect() as con:
        con.register("rows", ROWS)
        con.sql(f"COPY rows TO '{tmp_path / 'list.parquet'}'")
    write_deltalake(str(tmp_path / "delta"), ROWS)
    postgres.psql(TABLE.format(limit='"limit"'))
    postgres.psql(FILL)
    assert read_customers(tmp_path / "list.parquet") == SAME
    assert read_customers(tmp_path / "delta") == SAME
    assert read_database(postgres.url, "people") == read_database(postgres.url, "public.people") == SAME
    postgres.psql("UPDATE people SET state = 'NY' WHERE id = 18")
    assert read_list(None, postgres.url, "people")["18"].state == "NY"


def test_those_of_a_mariadb_are_read_too(mariadb: MariaDb) -> None:
    mariadb.ask(f"{TABLE.format(limit='`limit`')}; {FILL}")
    assert read_database(mariadb.url, "people") == SAME


def test_a_table_that_cannot_be_meant_is_refused_with_its_name_and_without_the_password(postgres: Postgres) -> None:
    postgres.psql("CREATE TABLE people (id INT, town TEXT)")
    for table, says in (("people", "people of .* has no column state"), ("nobody", "There is no nobody of ")):
        with pytest.raises(WrongSettings, match=says) as told:
            read_database(postgres.url, table)
        assert PASSWORD not in str(told.value)
    postgres.psql("ALTER TABLE people RENAME town TO state")
    postgres.psql("INSERT INTO people VALUES (1, 'TX'), (1, 'NY')")
    with pytest.raises(WrongSettings, match="row 2: 1 stands there twice"):
        read_database(postgres.url, "people")


def test_a_database_that_is_down_is_told_without_the_password_and_may_be_asked_again() -> None:
    (port,) = free_ports(1)
    with pytest.raises(CustomersUnavailable, match="refused") as told:
        read_database(f"postgresql://me:secret@127.0.0.1:{port}/x", "customers")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("url", ["nonsense", "nobodys://me:secret@x/y"])
def test_what_is_no_url_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(WrongSettings, match="is no SQLAlchemy URL") as told:
        read_database(url, "customers")
    assert "secret" not in str(told.value)


def test_one_list_is_named_and_not_two(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match="both name a list"):
        read_list(tmp_path, "postgresql://x", "customers")
    with pytest.raises(WrongSettings, match="name no list"):
        read_list(None, None, "customers")


@pytest.mark.parametrize(("text", "says"), [
    ("id,town\na,b\n", "no column state"), ("", "no column id"),
    ("id,state\na,TX\na,NY\n", "line 3: a stands there twice"),
    ("id,state\n,TX\n", "line 2: the id is empty"), ("id,state\na\n", "line 2"), ("id,state\na,TX,1\n", "line 2"),
])  # fmt: skip
def test_a_list_that_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(WrongSettings, match=says):
        read_customers(listed(tmp_path, text))


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match=r"nowhere\.csv cannot be read"):
        read_customers(tmp_path / "nowhere.csv")


def test_a_file_that_is_none_of_its_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no parquet")
    with pytest.raises(WrongSettings, match=r"x\.parquet cannot be read as parquet"):
        read_customers(tmp_path / "x.parquet")
    with pytest.raises(WrongSettings, match="cannot be read as a Delta table"):
        read_customers(tmp_path)
