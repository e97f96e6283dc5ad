"""No check cries wolf: of the tables that an independent reading of full snapshots makes, every promise holds."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import Phase, given, settings

from bike_assets.lake.duck import connect
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, LIVE_SYSTEM_MINUTE
from bike_assets.model.warehouse import (
    DIM_DATE,
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    SYSTEM_SERVICE_DAY,
)
from bike_assets.quality import warehouse
from bike_assets.quality.columns import no_negative
from bike_assets.quality.events import chain_is_unbroken
from bike_assets.quality.found import Found
from bike_assets.quality.keys import keys_are_unique
from bike_assets_tests.lake.rows import write
from bike_assets_tests.oracle import events
from bike_assets_tests.oracle import warehouse as oracle
from bike_assets_tests.oracle.events import Line, Row
from bike_assets_tests.oracle.made import MADE, recordings
from bike_assets_tests.oracle.test_oracle import BESANCON, OSLO

ZONES = ("Europe/Oslo", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Australia/Lord_Howe", "UTC")
RECORDINGS_AT_RANDOM = 60
DAY = timedelta(days=1)
FACTS = (FACT_STATION_HOUR, FACT_STATION_DAY, FACT_SYSTEM_DAY)


def built(lake: Path, lines: list[Line], zones: Mapping[str, str]) -> tuple[duckdb.DuckDBPyConnection, list[date]]:
    """All tables of a recording, and the UTC dates that they lie in."""
    stations = oracle.dim_station(lines)
    keys = {tuple(row[name] for name in ("system_id", "station_id", "valid_from")): n for n, row in enumerate(stations)}

    def keyed(rows: Iterable[Row]) -> list[Row]:
        return [{**row, "station_key": keys[row["system_id"], row["station_id"], row["valid_from"]]} for row in rows]

    hours = oracle.fact_station_hour(lines, zones)
    polls, status = events.poll_rows(lines), events.station_status_rows(lines)
    dates = sorted({row["utc_date"] for row in hours} | {row["fetched_at"].date() for row in polls})
    dates = [dates[0] + n * DAY for n in range((dates[-1] - dates[0]).days + 1)]
    write(lake, EVENTS_POLLS, ({**row, "utc_date": row["fetched_at"].date()} for row in polls))
    write(lake, EVENTS_STATION_STATUS, ({**row, "utc_date": row["observed_at"].date()} for row in status))
    write(lake, LIVE_SYSTEM_MINUTE, events.system_minute_rows(lines))
    write(lake, DIM_STATION, keyed(stations))
    write(lake, DIM_SYSTEM, ({"system_id": id_, "timezone": zone} for id_, zone in zones.items()))
    write(lake, DIM_DATE, ({"date": dates[0] + n * DAY} for n in range(-1, len(dates) + 1)))
    write(lake, FACT_STATION_HOUR, keyed(hours))
    write(lake, FACT_STATION_DAY, keyed(oracle.fact_station_day(lines, zones)))
    write(lake, FACT_SYSTEM_DAY, oracle.fact_system_day(lines, zones))
    write(lake, SYSTEM_SERVICE_DAY, oracle.system_service_day(lines, zones))
    return connect(lake), dates


def promises(con: duckdb.DuckDBPyConnection, first: date, last: date) -> dict[str, Found]:
    """What every check that must hold found in these dates."""
    rules = (warehouse.hours_add_up, warehouse.local_dates_fit_zone, warehouse.days_add_up,
             warehouse.system_days_add_up, warehouse.polls_match_station_hours, warehouse.stream_equals_batch,
             warehouse.service_days_equal_polls, chain_is_unbroken)  # fmt: skip
    found = {rule.__name__: rule(con, first, last) for rule in rules}
    for table in FACTS:
        for each in (no_negative, keys_are_unique, warehouse.every_fact_has_its_dimension):
            found[f"{each.__name__} of {table.name}"] = each(con, table, first, last)
    return found


def assert_kept(con: duckdb.DuckDBPyConnection, dates: list[date]) -> None:
    """By all dates at once and day by day: nothing is bad, and all of it was looked at."""
    together = promises(con, dates[0] - DAY, dates[-1] + DAY)
    assert {name: found.first_bad for name, found in together.items() if found.bad} == {}
    assert [name for name, found in together.items() if not found.checked] == []
    assert chain_is_unbroken(con).bad == 0
    looked_at = dict.fromkeys(together, 0)
    for day in (dates[0] - DAY, *dates, dates[-1] + DAY):
        alone = promises(con, day, day)
        assert {name: found.first_bad for name, found in alone.items() if found.bad} == {}, day
        looked_at = {name: looked_at[name] + found.checked for name, found in alone.items()}
    assert looked_at == {name: found.checked for name, found in together.items()}


@pytest.mark.parametrize(("path", "zones"), [(BESANCON, {"jcdecaux:besancon": "Europe/Paris"}),
                                             (OSLO, {"oslobysykkel": "Europe/Oslo"})], ids=["besancon", "oslo"])
def test_the_real_recordings_keep_every_promise(tmp_path: Path, path: Path, zones: dict[str, str]) -> None:
    con, dates = built(tmp_path, events.read_lines(path), zones)
    assert_kept(con, dates)


def of_many(recorded: Iterable[list[Line]]) -> tuple[list[Line], dict[str, str]]:
    """Recordings as one, each with systems of its own, and the zones of these."""
    lines = [{**line, "system_id": f"{n}:{line['system_id']}"} for n, of_one in enumerate(recorded) for line in of_one]
    return lines, {name: ZONES[n % len(ZONES)] for n, name in enumerate(sorted({line["system_id"] for line in lines}))}


def test_what_is_made_by_hand_keeps_every_promise(tmp_path: Path) -> None:
    con, dates = built(tmp_path, *of_many(MADE.values()))
    assert_kept(con, dates)


def test_anything_keeps_every_promise(tmp_path: Path) -> None:
    found: list[list[Line]] = []

    @settings(max_examples=RECORDINGS_AT_RANDOM, deadline=None, database=None, phases=[Phase.generate])
    @given(recordings())
    def collect(lines: list[Line]) -> None:
        found.append(lines)

    collect()
    con, dates = built(tmp_path, *of_many(found))
    assert_kept(con, dates)
