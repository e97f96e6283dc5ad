"""A system's vehicles in a local day: by hand, and against the check that works them out in another way."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from pyspark.sql import SparkSession

from bike_assets.lake.duck import connect
from bike_assets.model import topics
from bike_assets.model.messages import EventKind, VehicleStatus, VehicleTotals
from bike_assets.model.tables import EVENTS_VEHICLE_STATUS, EVENTS_VEHICLE_TOTALS
from bike_assets.model.warehouse import DIM_SYSTEM, FACT_VEHICLE_SYSTEM_DAY
from bike_assets.quality.found import Found
from bike_assets.quality.vehicles import vehicle_days_equal_events
from bike_assets.warehouse.vehicle_system_day import vehicle_system_days
from bike_assets_tests.ingest.stand_in import StandInKafka, replay
from bike_assets_tests.lake.rows import write
from bike_assets_tests.model.builders import vehicle_status, vehicle_totals
from bike_assets_tests.simulator.builders import city, fleet, station
from bike_assets_tests.stream.test_vehicle_minutes import answers
from bike_assets_tests.warehouse.frames import Rows, frame, rows_of

DAY = date(2024, 3, 5)
MIDNIGHT = datetime(2024, 3, 5, tzinfo=UTC)
KOLKATA = MIDNIGHT - timedelta(hours=5.5)
"""The same midnight there: no full UTC hour."""


def as_rows(messages: list[Any]) -> Rows:
    rows = [msgspec.structs.asdict(each) if isinstance(each, Struct) else each for each in messages]
    return [{**row, "utc_date": row["observed_at"].date()} for row in rows]


def days(
    spark: SparkSession, events: list[Any], totals: list[Any], zone: str = "UTC", first: date = DAY, last: date = DAY,
    system_id: str = "oslo",
) -> Rows:  # fmt: skip
    systems = frame(spark, DIM_SYSTEM, [{"system_id": system_id, "timezone": zone}])
    status = frame(spark, EVENTS_VEHICLE_STATUS, as_rows(events))
    polls = frame(spark, EVENTS_VEHICLE_TOTALS, as_rows(totals))
    return rows_of(vehicle_system_days(status, polls, systems, first, last).orderBy("local_date"))


def polled(minute: float, since: datetime = MIDNIGHT, **counts: int) -> VehicleTotals:
    return vehicle_totals(observed_at=since + timedelta(minutes=minute), **counts)


def event(vehicle_id: str, minute: float, kind: EventKind, since: datetime = MIDNIGHT) -> VehicleStatus:
    return vehicle_status(vehicle_id=vehicle_id, observed_at=since + timedelta(minutes=minute), kind=kind)


def test_what_a_poll_counts_holds_to_the_next_within_its_day_and_no_longer_than_half_an_hour(
    spark: SparkSession,
) -> None:
    totals = [polled(-10, vehicles=8, available=6), polled(20, vehicles=4, available=3, reserved=1, abandoned=2),
              polled(50, vehicles=9, available=9), polled(81, vehicles=2)]  # fmt: skip
    [row] = days(spark, [], totals)
    assert row == {
        "system_id": "oslo", "local_date": DAY, "ids_seen": 0, "vehicles_mean": pytest.approx((8 * 20 + 4 * 30) / 50),
        "vehicles_max": 9, "abandoned_max": 2, "idle_hours": pytest.approx((6 * 20 + 3 * 30) / 60),
        "reserved_hours": pytest.approx(0.5), "disabled_hours": 0.0, "known_hours": pytest.approx(50 / 60), "polls": 3,
        "is_complete": False,
    }  # fmt: skip


def test_a_day_without_a_poll_has_no_row_and_one_with_a_single_poll_knows_nothing_of_the_mean(
    spark: SparkSession,
) -> None:
    found = days(spark, [], [polled(5, vehicles=3), polled(1441)], last=DAY + timedelta(days=3))
    assert [(row["local_date"], row["vehicles_mean"], row["known_hours"], row["is_complete"]) for row in found] == [
        (DAY, None, 0.0, True), (DAY + timedelta(days=1), None, 0.0, False)]  # fmt: skip


def test_an_id_counts_once_where_a_poll_of_the_day_listed_it(spark: SparkSession) -> None:
    change, keyframe, absent = EventKind.CHANGE, EventKind.KEYFRAME, EventKind.ABSENT
    events = [
        event("before", -50, change), event("before", -20, absent),
        event("first poll took it", -30, change), event("first poll took it", 5, absent),
        event("stays", -30, change), event("stays", 5, keyframe), event("stays", 65, keyframe),
        event("comes and goes", 10, change), event("comes and goes", 20, absent), event("comes and goes", 30, change),
        event("tomorrow", 1441, change),
    ]  # fmt: skip
    [row] = days(spark, events, [polled(minute) for minute in (-50, -30, -20, 5, 10, 20, 30, 65)])
    assert row["ids_seen"] == 2


def test_where_midnight_is_no_full_hour_whoever_was_there_before_it_is_seen_by_the_first_poll(
    spark: SparkSession,
) -> None:
    """The hour's first poll lay before midnight; the day's polls of that hour have no event of whoever stays."""
    events = [event("stays", -25, EventKind.KEYFRAME, KOLKATA), event("gone", -25, EventKind.KEYFRAME, KOLKATA),
              event("gone", 10, EventKind.ABSENT, KOLKATA)]  # fmt: skip
    totals = [polled(minute, KOLKATA) for minute in (-25, 10, 20)]
    [row] = days(spark, events, totals, "Asia/Kolkata")
    assert row["ids_seen"] == 1
    [seen_once] = days(spark, events, [*totals, polled(5, KOLKATA)], "Asia/Kolkata")
    assert seen_once["ids_seen"] == 2


@pytest.fixture(scope="module")
def committed() -> tuple[Rows, Rows]:
    """Events and totals of a day and a half of polls."""
    kafka = StandInKafka()
    replay(kafka, answers(city([station("1"), station("2")], fleet=fleet(25))))
    return kafka.rows(topics.VEHICLE_STATUS), kafka.rows(topics.VEHICLE_TOTALS)


def checked(lake: Path, committed: tuple[Rows, Rows], facts: Rows, zone: str) -> Found:
    events, totals = committed
    write(lake, EVENTS_VEHICLE_STATUS, as_rows(events))
    write(lake, EVENTS_VEHICLE_TOTALS, as_rows(totals))
    write(lake, DIM_SYSTEM, [{"system_id": "town", "timezone": zone}])
    write(lake, FACT_VEHICLE_SYSTEM_DAY, facts)
    first = totals[0]["observed_at"].date()
    return vehicle_days_equal_events(connect(lake), first - timedelta(days=1), first + timedelta(days=3))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_days_are_what_the_check_makes_of_the_same_events_and_it_finds_what_is_wrong(
    spark: SparkSession, tmp_path: Path, committed: tuple[Rows, Rows], zone: str
) -> None:
    events, totals = committed
    first = totals[0]["observed_at"].date()
    facts = days(spark, events, totals, zone, first - timedelta(days=1), first + timedelta(days=3), "town")
    assert len(facts) >= 2
    assert (max(row["ids_seen"] for row in facts) > 100, facts[0]["vehicles_max"] <= 25) == (True, True)
    good = checked(tmp_path / "good", committed, facts, zone)
    assert (good.checked, good.bad) == (len(facts), 0)
    wrong = [facts[0] | {"ids_seen": facts[0]["ids_seen"] + 1, "idle_hours": facts[0]["idle_hours"] + 0.1}, *facts[2:],
             facts[1] | {"local_date": first + timedelta(days=3), "is_complete": True}]  # fmt: skip
    bad = checked(tmp_path / "bad", committed, wrong, zone)
    assert [row["differs"] for row in bad.first_bad] == ["ids_seen, idle_hours", "it is not there", "no good poll"]


@pytest.mark.parametrize(("is_complete", "last", "bad"), [
    (False, DAY, 0), (False, DAY + timedelta(days=1), 1), (True, DAY, 1),
], ids=["that went on", "that a later run looks at", "that was over"])  # fmt: skip
def test_only_a_day_west_of_utc_that_went_on_when_it_was_built_may_lack_what_was_polled_since(
    tmp_path: Path, is_complete: bool, last: date, bad: int
) -> None:
    polls = [vehicle_totals(system_id="town", observed_at=MIDNIGHT + timedelta(hours=hours)) for hours in (12, 25)]
    write(tmp_path, EVENTS_VEHICLE_TOTALS, as_rows(polls))
    write(tmp_path, DIM_SYSTEM, [{"system_id": "town", "timezone": "America/New_York"}])
    built_before = {"system_id": "town", "local_date": DAY, "polls": 1, "is_complete": is_complete}
    write(tmp_path, FACT_VEHICLE_SYSTEM_DAY, [built_before])
    found = vehicle_days_equal_events(connect(tmp_path), DAY, last)
    assert sum(row["local_date"] == str(DAY) for row in found.first_bad) == bad
