"""The checks of vehicles pass over what a poller commits, and find what is wrong in it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bike_assets.lake.duck import ask, connect
from bike_assets.model import topics
from bike_assets.model.messages import EventKind
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_VEHICLE_STATUS,
    EVENTS_VEHICLE_TOTALS,
    LIVE_VEHICLES_SYSTEM_MINUTE,
)
from bike_assets.quality.found import Found
from bike_assets.quality.vehicles import vehicle_minutes_equal_totals, vehicles_are_accounted_for
from bike_assets.simulator.city import City
from bike_assets_tests.ingest.stand_in import StandInKafka, replay
from bike_assets_tests.lake.rows import write, write_messages
from bike_assets_tests.model.builders import vehicle_totals
from bike_assets_tests.simulator.builders import city, fleet, station
from bike_assets_tests.stream.test_vehicle_minutes import answers

Rows = dict[Table, list[dict[str, Any]]]
DAY = timedelta(days=1)


def town() -> City:
    return city([station("1"), station("2")], fleet=fleet(25))


@pytest.fixture(scope="module")
def committed() -> Rows:
    """What a day and a half of polls commits, and the minutes that it makes."""
    kafka = StandInKafka()
    replay(kafka, answers(town()))
    rows: Rows = {table: kafka.rows(topic) for topic, table in (
        (topics.POLLS, EVENTS_POLLS), (topics.VEHICLE_STATUS, EVENTS_VEHICLE_STATUS),
        (topics.VEHICLE_TOTALS, EVENTS_VEHICLE_TOTALS))}  # fmt: skip
    for table, instant in ((EVENTS_POLLS, "fetched_at"), (EVENTS_VEHICLE_STATUS, "observed_at"),
                           (EVENTS_VEHICLE_TOTALS, "observed_at")):  # fmt: skip
        rows[table] = [{**row, "utc_date": row[instant].date()} for row in rows[table]]
    rows[LIVE_VEHICLES_SYSTEM_MINUTE] = [
        {name: value for name, value in row.items() if name not in ("observed_at", "utc_date")}
        | {"minute": row["observed_at"].replace(second=0)} for row in rows[EVENTS_VEHICLE_TOTALS]
    ]  # fmt: skip
    return rows


def found(lake: Path, rows: Rows, rule: Callable[..., Found], *days: Any) -> Found:
    for table, own in rows.items():
        write(lake, table, own)
    result = rule(connect(lake), *days)
    assert len(ask(lake, result.query).rows) == result.bad
    return result


def changed(rows: Rows, table: Table, at: int, **values: Any) -> Rows:
    own = list(rows[table])
    own[at] = own[at] | values
    return rows | {table: own}


def without(rows: Rows, table: Table, at: int) -> Rows:
    return rows | {table: rows[table][:at] + rows[table][at + 1 :]}


RULES = [(vehicles_are_accounted_for, EVENTS_VEHICLE_TOTALS),
         (vehicle_minutes_equal_totals, LIVE_VEHICLES_SYSTEM_MINUTE)]  # fmt: skip


@pytest.mark.parametrize(("rule", "table"), RULES)
def test_all_that_a_poller_commits_is_well(
    tmp_path: Path, committed: Rows, rule: Callable[..., Found], table: Table
) -> None:
    whole = found(tmp_path, committed, rule)
    assert (whole.checked, whole.bad) == (len(committed[table]), 0)
    first = committed[EVENTS_POLLS][0]["fetched_at"].date()
    one = rule(connect(tmp_path), first + DAY, first + DAY)
    assert 0 < one.checked < whole.checked
    assert one.bad == 0


@pytest.mark.parametrize("name", ["vehicles", "available", "reserved", "disabled"])
def test_a_count_that_the_events_do_not_make_is_found(tmp_path: Path, committed: Rows, name: str) -> None:
    count = committed[EVENTS_VEHICLE_TOTALS][30][name]
    wrong = changed(committed, EVENTS_VEHICLE_TOTALS, 30, **{name: count + 1})
    bad = found(tmp_path, wrong, vehicles_are_accounted_for)
    assert (bad.bad, bad.first_bad[0][name], bad.first_bad[0][f"{name}_by_events"]) == (1, count + 1, count)


@pytest.mark.parametrize("kind", list(EventKind))
def test_an_event_that_was_lost_is_found(tmp_path: Path, committed: Rows, kind: EventKind) -> None:
    events = committed[EVENTS_VEHICLE_STATUS]
    at = next(n for n, row in enumerate(events) if row["kind"] == kind and n > 100)
    assert found(tmp_path, without(committed, EVENTS_VEHICLE_STATUS, at), vehicles_are_accounted_for).bad > 0


@pytest.mark.parametrize("table", [EVENTS_POLLS, EVENTS_VEHICLE_TOTALS])
def test_a_good_poll_without_totals_and_totals_without_a_poll_are_found(
    tmp_path: Path, committed: Rows, table: Table
) -> None:
    bad = found(tmp_path, without(committed, table, 3), vehicles_are_accounted_for)
    assert [row["there"] for row in bad.first_bad] == [False]


def test_a_minute_that_is_wrong_missing_or_too_much_is_found(tmp_path: Path, committed: Rows) -> None:
    minutes = committed[LIVE_VEHICLES_SYSTEM_MINUTE]
    wrong = [minutes[0] | {"abandoned": 9, "top_charged": "[]"}, *minutes[2:],
             minutes[1] | {"minute": minutes[1]["minute"] + timedelta(seconds=60)}]  # fmt: skip
    bad = found(tmp_path, committed | {LIVE_VEHICLES_SYSTEM_MINUTE: wrong}, vehicle_minutes_equal_totals)
    assert [row["differs"] for row in bad.first_bad] == ["abandoned, top_charged", "it is not there", "no good poll"]


def test_what_came_just_now_is_not_looked_at_yet(tmp_path: Path) -> None:
    """Its poll, or its minute, may come in a moment."""
    now = datetime.now(UTC)
    ages = {"old": timedelta(minutes=7), "new": timedelta(minutes=4)}
    write_messages(tmp_path, EVENTS_VEHICLE_TOTALS,
                   *(vehicle_totals(system_id=name, observed_at=now - age) for name, age in ages.items()))
    for rule, _ in RULES:
        assert [row["system_id"] for row in rule(connect(tmp_path)).first_bad] == ["old"]


def test_without_vehicles_there_is_nothing_to_find(tmp_path: Path) -> None:
    for rule, _ in RULES:
        empty = rule(connect(tmp_path))
        assert (empty.checked, empty.bad) == (0, 0)
