import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bike_assets.exports.files import EXPORTED, Exported, export_files, local_days
from bike_assets.lake.tables import arrow_schema
from bike_assets.model.dictionary import dictionary
from bike_assets.model.errors import LakeBroken, NotExported, WrongDay, WrongQuery
from bike_assets.model.schema import Table
from bike_assets.model.warehouse import (
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    FACT_VEHICLE_SYSTEM_DAY,
    STATION_QUALITY,
    SYSTEM_SERVICE_DAY,
)
from bike_assets_tests.lake.rows import write

DAY = date(2026, 11, 20)
FILES = {f"{table.path[1]}.parquet" for table in EXPORTED} | {"dictionary.md"}


def a_city(lake: Path, system_id: str = "oslo", days: tuple[date, ...] = (DAY,)) -> None:
    """A system with two stations, two UTC hours of each local date around its midnight, and a finding."""
    write(lake, DIM_SYSTEM, [{"system_id": system_id, "name": f"{system_id}'s bikes", "timezone": "Europe/Oslo"}])
    stations = [{"system_id": system_id, "station_id": station_id} for station_id in ("007", "2")]
    write(lake, DIM_STATION, [one | {"station_key": key, "name": 'Torg "1", öst'} for key, one in enumerate(stations)])
    for day in days:
        of_day = {"system_id": system_id, "local_date": day}
        write(lake, FACT_STATION_HOUR, [one | of_day | hour for one in reversed(stations) for hour in hours_of(day)])
        write(lake, FACT_STATION_DAY, [one | of_day for one in stations])
        for table in (FACT_SYSTEM_DAY, FACT_VEHICLE_SYSTEM_DAY, SYSTEM_SERVICE_DAY):
            write(lake, table, [of_day])
        write(lake, STATION_QUALITY, [stations[0] | of_day | {"reason": "stuck"}])


def hours_of(day: date) -> list[dict[str, Any]]:
    """Oslo's first hour of a date lies in the UTC date before."""
    starts = [datetime(day.year, day.month, day.day, 8, tzinfo=UTC) - timedelta(hours=hours) for hours in (0, 9)]
    return [{"hour_start": start, "utc_date": start.date(), "seconds_empty": 0.125} for start in starts]


def rows_of(exported: list[Exported]) -> dict[str, int]:
    return {file.path.stem: file.rows for file in exported}


def column(target: Path, table: Table, name: str) -> list[Any]:
    values: list[Any] = pq.read_table(target / f"{table.path[1]}.parquet")[name].to_pylist()
    return values


def test_a_citys_day_is_a_file_a_table_and_the_dictionary(tmp_path: Path) -> None:
    lake, target = tmp_path / "lake", tmp_path / "out" / "oslo"
    a_city(lake)
    exported = export_files(lake, "oslo", "2026-11-20", "parquet", target)
    assert rows_of(exported) == {
        "fact_station_hour": 4, "fact_station_day": 2, "fact_system_day": 1, "fact_vehicle_system_day": 1,
        "system_service_day": 1, "station_quality": 1, "dim_system": 1, "dim_station": 2,
    }  # fmt: skip
    assert {file.name for file in target.iterdir()} == FILES
    assert all(file.bytes == file.path.stat().st_size > 0 for file in exported)
    assert (target / "dictionary.md").read_text() == dictionary(EXPORTED)


@pytest.mark.parametrize("table", EXPORTED, ids=lambda table: table.name)
def test_a_parquet_file_has_the_tables_columns_and_types(tmp_path: Path, table: Table) -> None:
    a_city(tmp_path / "lake")
    export_files(tmp_path / "lake", "oslo", "2026-11-20", "parquet", tmp_path / "out")
    schema = pq.read_schema(tmp_path / "out" / f"{table.path[1]}.parquet")
    assert (schema.names, schema.types) == (arrow_schema(table).names, arrow_schema(table).types)


def test_the_day_is_the_citys_own_and_rows_lie_in_the_order_of_their_grain(tmp_path: Path) -> None:
    a_city(tmp_path / "lake", days=(DAY, DAY + timedelta(days=1)))
    export_files(tmp_path / "lake", "oslo", "2026-11-20", "parquet", tmp_path / "out")
    hours = [datetime(2026, 11, 19, 23, tzinfo=UTC), datetime(2026, 11, 20, 8, tzinfo=UTC)]
    assert column(tmp_path / "out", FACT_STATION_HOUR, "hour_start") == hours * 2
    assert column(tmp_path / "out", FACT_STATION_HOUR, "station_id") == ["007"] * 2 + ["2"] * 2


def test_a_month_is_all_its_days_and_no_other(tmp_path: Path) -> None:
    days = (date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 1))
    a_city(tmp_path / "lake", days=days)
    exported = export_files(tmp_path / "lake", "oslo", "2026-11", "parquet", tmp_path / "out")
    assert rows_of(exported)["fact_station_hour"] == 8
    assert column(tmp_path / "out", FACT_SYSTEM_DAY, "local_date") == [days[1], days[2]]


def test_other_cities_stay_where_they_are(tmp_path: Path) -> None:
    a_city(tmp_path / "lake")
    a_city(tmp_path / "lake", "jcdecaux:lyon")
    export_files(tmp_path / "lake", "jcdecaux:lyon", "2026-11-20", "parquet", tmp_path / "out")
    assert {system for table in EXPORTED for system in column(tmp_path / "out", table, "system_id")} == {
        "jcdecaux:lyon"
    }


def test_csv_says_the_same_in_text(tmp_path: Path) -> None:
    a_city(tmp_path / "lake")
    export_files(tmp_path / "lake", "oslo", "2026-11-20", "csv", tmp_path / "out")
    with (tmp_path / "out" / "fact_station_hour.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert list(first) == [column.name for column in FACT_STATION_HOUR.columns]
    assert first["station_id"] == "007"
    assert first["hour_start"] == "2026-11-19 23:00:00+00"
    assert (first["local_date"], first["seconds_empty"], first["departures"]) == ("2026-11-20", "0.125", "")
    with (tmp_path / "out" / "dim_station.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["name"] == 'Torg "1", öst'


def test_an_export_again_replaces_its_files_and_no_other(tmp_path: Path) -> None:
    a_city(tmp_path / "lake")
    for day in ("2026-11-20", "2026-11-20"):
        export_files(tmp_path / "lake", "oslo", day, "parquet", tmp_path / "out")
        (tmp_path / "out" / "notes.txt").write_text("mine")
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES | {"notes.txt"}


# What cannot be exported


def test_a_system_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    a_city(tmp_path / "lake")
    a_city(tmp_path / "lake", "jcdecaux:lyon")
    said = r"^There is no system os' OR '1 in the warehouse: there are jcdecaux:lyon, oslo\.$"
    with pytest.raises(WrongQuery, match=said):
        export_files(tmp_path / "lake", "os' OR '1", "2026-11-20", "parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_of_very_many_systems_some_are_named(tmp_path: Path) -> None:
    write(tmp_path, DIM_SYSTEM, [{"system_id": f"s{number:02}"} for number in range(23)])
    with pytest.raises(WrongQuery, match=r"there are s00, .*, s19 and 3 more\.$"):
        export_files(tmp_path, "oslo", "2026-11-20", "parquet", tmp_path / "out")


def test_an_empty_warehouse_is_told_with_what_fills_it(tmp_path: Path) -> None:
    with pytest.raises(WrongQuery, match=r"none yet; `bike build DAY` fills it\.$"):
        export_files(tmp_path, "oslo", "2026-11-20", "parquet", tmp_path / "out")


@pytest.mark.parametrize("days", ["2026-11-21", "2026-12"])
def test_a_day_without_rows_is_told_with_the_days_that_have(tmp_path: Path, days: str) -> None:
    a_city(tmp_path / "lake", days=(DAY - timedelta(days=2), DAY))
    a_city(tmp_path / "lake", "bergen", days=(DAY + timedelta(days=1),))
    said = rf"^oslo has nothing on {days}: its days are from 2026-11-18 to 2026-11-20\.$"
    with pytest.raises(WrongDay, match=said):
        export_files(tmp_path / "lake", "oslo", days, "parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_system_without_any_day_is_told_with_what_makes_one(tmp_path: Path) -> None:
    write(tmp_path, DIM_SYSTEM, [{"system_id": "oslo"}])
    with pytest.raises(WrongDay, match=r"it has no day yet; `bike build DAY` makes one\.$"):
        export_files(tmp_path, "oslo", "2026-11-20", "parquet", tmp_path / "out")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026", "2026-13", "2026-02-30", "20261120", "2026-W47-5", "2026-11-20T00", "9999-12-31",
             "٢٠٢٦-11-20"]
)  # fmt: skip
def test_what_is_no_day_is_told_with_what_one_looks_like(text: str) -> None:
    with pytest.raises(WrongDay, match=r"neither a day, such as 2026-11-20, nor a month, such as 2026-11\.$"):
        local_days(text)


def test_a_month_ends_with_its_last_day() -> None:
    assert local_days("2024-02") == (date(2024, 2, 1), date(2024, 2, 29))


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    a_city(tmp_path / "lake")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotExported, match=r"^oslo could not be written to [^\n]*/file/out: [^\n]+\.$"):
        export_files(tmp_path / "lake", "oslo", "2026-11-20", "parquet", tmp_path / "file" / "out")


def test_an_export_that_fails_half_way_leaves_the_earlier_one(tmp_path: Path) -> None:
    lake, target = tmp_path / "lake", tmp_path / "out"
    a_city(lake)
    export_files(lake, "oslo", "2026-11-20", "parquet", target)
    before = {file: file.read_bytes() for file in target.iterdir()}
    write(lake, FACT_STATION_HOUR, [{"system_id": "oslo", "local_date": DAY, "station_id": "3", **hours_of(DAY)[0]}])
    break_in_the_middle(lake, STATION_QUALITY)  # the last to be written
    with pytest.raises(NotExported, match=r"^oslo could not be written to "):
        export_files(lake, "oslo", "2026-11-20", "parquet", target)
    assert {file: file.read_bytes() for file in target.iterdir()} == before


def break_in_the_middle(lake: Path, table: Table) -> None:
    """The files' ends, where their columns stand, are whole; their rows are not."""
    for file in lake.joinpath(*table.path).rglob("*.parquet"):
        whole = file.read_bytes()
        file.write_bytes(whole[:4] + bytes(60) + whole[64:])


def test_a_warehouse_that_is_broken_is_one_sentence(tmp_path: Path) -> None:
    a_city(tmp_path / "lake")
    break_in_the_middle(tmp_path / "lake", DIM_SYSTEM)
    with pytest.raises(LakeBroken, match=r"^The warehouse cannot be read: [^\n]+\.$"):
        export_files(tmp_path / "lake", "oslo", "2026-11-20", "parquet", tmp_path / "out")
