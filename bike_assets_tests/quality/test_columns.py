from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bike_assets.lake.duck import ask, connect
from bike_assets.model.tables import EVENTS_STATION_STATUS, TABLES
from bike_assets.model.warehouse import DIM_DATE, FACT_STATION_HOUR
from bike_assets.quality.columns import no_negative
from bike_assets_tests.lake.rows import write, write_messages
from bike_assets_tests.model.builders import NOON, station_status
from bike_assets_tests.quality.test_warehouse import MONDAY, hour

CALENDAR = {"date": NOON.date(), "year": 2026, "quarter": 2, "month": 6, "week": 23, "weekday": 1, "is_weekend": False}


def test_values_in_their_ranges_hold(tmp_path: Path) -> None:
    write(tmp_path, FACT_STATION_HOUR, [hour(), hour(1, bikes_mean=None, docks_mean=0.0, departures=0)])
    found = no_negative(connect(tmp_path), FACT_STATION_HOUR)
    assert (found.checked, found.bad) == (2, 0)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"departures": -1}, "departures -1"), ({"seconds_empty": 3600.5}, "seconds_empty 3600.5"),
     ({"local_hour": 24}, "local_hour 24"), ({"polls": None}, "polls null"), ({"utc_date": None}, "utc_date null"),
     ({"bikes_mean": float("nan")}, "bikes_mean nan"), ({"seconds_full": float("inf")}, "seconds_full inf"),
     ({"bulk_in": -5, "arrivals": None}, "arrivals null, bulk_in -5")],
)  # fmt: skip
def test_a_value_that_cannot_be_is_found_and_named(tmp_path: Path, wrong: dict[str, Any], told: str) -> None:
    write(tmp_path, FACT_STATION_HOUR, [hour(), hour(1, **wrong)])
    found = no_negative(connect(tmp_path), FACT_STATION_HOUR)
    assert (found.checked, found.bad, found.first_bad[0]["wrong"]) == (2, 1, told)
    assert [row[-1] for row in ask(tmp_path, found.query).rows] == [told]


def test_a_table_without_dates_is_looked_at_whole(tmp_path: Path) -> None:
    write(tmp_path, DIM_DATE, [CALENDAR, CALENDAR | {"month": 13, "week": 0}])
    found = no_negative(connect(tmp_path), DIM_DATE, MONDAY, MONDAY)
    assert (found.checked, found.bad, found.first_bad[0]["wrong"]) == (2, 1, "month 13, week 0")


def test_of_some_dates_only_these_are_looked_at(tmp_path: Path) -> None:
    bad = station_status(observed_at=NOON + timedelta(days=1), bikes_available=-1)
    write_messages(tmp_path, EVENTS_STATION_STATUS, station_status(), bad)
    con, tuesday = connect(tmp_path), MONDAY + timedelta(days=1)
    found = [no_negative(con, EVENTS_STATION_STATUS, *days) for days in ((), (MONDAY, MONDAY), (tuesday, tuesday))]
    assert [(each.checked, each.bad) for each in found] == [(2, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_an_empty_table_was_not_checked(tmp_path: Path, table: Any) -> None:
    found = no_negative(connect(tmp_path), table, MONDAY, MONDAY)
    assert (found.checked, found.bad) == (0, 0)
    assert not set(found.query) & set('"$`!\\')
