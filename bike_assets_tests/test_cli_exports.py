"""`bike export` into a database, as a process: what it says, and what is known of the database after."""

from pathlib import Path

import duckdb
import pytest

from bike_assets.exports.notes import read_note
from bike_assets.local.ports import free_ports
from bike_assets.locks import held
from bike_assets.model.star import DIMENSIONS, FACTS
from bike_assets.model.warehouse import FACT_STATION_HOUR, FACT_SYSTEM_DAY
from bike_assets_tests.exports.stars import DAYS, SYSTEMS, a_star, write_day
from bike_assets_tests.test_cli import Bike

OLD, NEW = map(str, DAYS)


@pytest.fixture
def bike(tmp_path: Path) -> Bike:
    """With a lake of two days, and a DuckDB file to be served from."""
    a_star(tmp_path / "home" / "lake")
    return Bike(tmp_path, BIKE_DUCKDB=str(tmp_path / "bikes.duckdb"))


def test_a_day_is_brought_and_what_the_database_still_lacks_is_told(bike: Bike) -> None:
    done = bike.json("export", "duckdb", NEW)
    assert len(done["parts"]) == len(DIMENSIONS) + len(FACTS)
    assert {"table": "fact_system_day", "part": NEW, "rows": len(SYSTEMS)} in done["parts"]
    assert (done["days_behind"], done["oldest_behind"]) == (1, OLD)
    (told,) = bike.json("status")["databases"]
    assert (told["name"], told["days_behind"], told["oldest_behind"]) == ("duckdb", 1, OLD)


def test_without_a_day_all_that_it_lacks_is_brought(bike: Bike) -> None:
    done = bike("export", "duckdb")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("It lacks no day.")
    assert f"fact_station_hour {OLD}: 20 rows" in done.stderr
    with duckdb.connect(str(bike.directory / "bikes.duckdb"), read_only=True) as con:
        assert con.table(FACT_SYSTEM_DAY.name).count("*").fetchall() == [(4,)]


def test_a_day_that_is_refused_is_told_and_known_and_the_other_days_are_there(bike: Bike) -> None:
    write_day(bike.directory / "home" / "lake", FACT_STATION_HOUR, DAYS[1], ["nobody's"])
    said = bike.error("export", "duckdb").splitlines()
    assert f"fact_station_hour {OLD}: 20 rows" in said
    assert said[-1].startswith(f"error: Not brought: fact_station_hour {NEW}. DuckDB at ")
    (told,) = bike.json("status")["databases"]
    assert (told["days_behind"], told["oldest_behind"]) == (1, NEW)
    assert f"failed: Not brought: fact_station_hour {NEW}" in told["says"]


def test_how_far_a_database_is_behind_is_known_while_it_is_down(bike: Bike) -> None:
    bike.json("export", "duckdb")
    write_day(bike.directory / "home" / "lake", FACT_SYSTEM_DAY, DAYS[1], shift=9)
    (bike.directory / "bikes.duckdb").unlink()
    (bike.directory / "bikes.duckdb").mkdir()  # nobody opens that
    assert bike.error("export", "duckdb").startswith(f"error: DuckDB at {bike.directory}/bikes.duckdb: ")
    (told,) = bike.json("status")["databases"]
    assert (told["days_behind"], told["oldest_behind"]) == (1, NEW)
    assert "1 days behind" in told["says"]
    assert "failed: DuckDB at " in told["says"]
    note = read_note(bike.directory / "home" / "run" / "export-duckdb.json")
    assert note is not None
    assert len(note.book) == len(DIMENSIONS) + len(FACTS) * len(DAYS)


def test_a_database_that_nothing_was_exported_into_is_told_so(bike: Bike) -> None:
    (told,) = bike.json("status")["databases"]
    assert told["says"] == "nothing was exported into it yet"


def test_a_server_that_is_down_is_one_sentence_without_the_password(bike: Bike) -> None:
    (port,) = free_ports(1)
    bike.environment["BIKE_POSTGRES"] = f"postgresql://bike:canary-0123@127.0.0.1:{port}/bikes"
    said = bike.error("export", "postgres", NEW)
    assert said.startswith(f"error: PostgreSQL at 127.0.0.1:{port}/bikes: ")
    assert said.count("\n") == 1
    assert "canary" not in said + bike("status").stdout + bike("config").stdout


def test_a_second_export_into_the_same_database_is_refused(bike: Bike) -> None:
    with held(bike.directory / "home" / "run" / "export-duckdb.lock", "held by the test"):
        assert "Another export into duckdb is under way" in bike.error("export", "duckdb")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "mysql"], "BIKE_MYSQL is not set"),
        (["export", "duckdb", "yesterday"], "yesterday is no day"),
        (["export", "duckdb", NEW, OLD], f"{OLD} lies before {NEW}"),
    ],
)
def test_what_cannot_be_meant_is_refused(bike: Bike, words: list[str], said: str) -> None:
    assert said in bike.error(*words)
