"""How well a system was seen in a local day, by hand."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from bike_assets.model.tables import EVENTS_POLLS
from bike_assets.model.warehouse import DIM_SYSTEM
from bike_assets.warehouse.system_service_day import system_service_days
from bike_assets_tests.warehouse.frames import frame, rows_of

DAY = date(2024, 3, 5)
MIDNIGHT = datetime(2024, 3, 5, tzinfo=UTC)


def _poll(minute: float, outcome: str = "ok", since: datetime = MIDNIGHT) -> dict[str, Any]:
    return {"system_id": "a", "feed": "station_status", "outcome": outcome,
            "fetched_at": since + timedelta(minutes=minute)}  # fmt: skip


def _day(spark: SparkSession, polls: Iterable[dict[str, Any]], zone: str = "UTC", day: date = DAY) -> dict[str, Any]:
    systems = frame(spark, DIM_SYSTEM, [{"system_id": "a", "timezone": zone}])
    fetches = frame(spark, EVENTS_POLLS, polls)
    asked = fetches.select("system_id", "fetched_at")
    rows = rows_of(system_service_days(fetches, asked, systems, day, day))
    return rows[0] if rows else {}


def test_an_interval_over_midnight_counts_in_each_day_with_its_part(spark: SparkSession) -> None:
    row = _day(spark, [_poll(-10), _poll(20), _poll(51), _poll(60, "timeout"), _poll(61)])
    assert row["good_share"] == pytest.approx(30 / 1440)
    assert row["longest_gap_s"] == (1440 - 61) * 60
    assert (row["polls"], row["polls_ok"], row["polls_timeout"], row["polls_stale"]) == (4, 3, 1, 0)
    assert row["is_complete"] is False


def test_a_day_without_a_good_poll_is_one_gap(spark: SparkSession) -> None:
    row = _day(spark, [_poll(5, "http_error"), _poll(1500, "timeout")])
    assert (row["good_share"], row["longest_gap_s"], row["polls"]) == (0, 86_400, 1)
    assert row["is_complete"] is True


@pytest.mark.parametrize(("day", "hours"), [(date(2024, 3, 31), 23), (date(2024, 10, 27), 25)])
def test_a_day_is_as_long_as_its_clock_makes_it(spark: SparkSession, day: date, hours: int) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    row = _day(spark, [_poll(0, since=noon), _poll(30, since=noon)], "Europe/Oslo", day)
    assert row["good_share"] == pytest.approx(0.5 / hours)


@pytest.mark.parametrize(("day", "hours"), [(DAY, 24), (date(2024, 3, 31), 23)])
def test_a_day_in_which_nobody_asked_is_silent(spark: SparkSession, day: date, hours: int) -> None:
    evening = datetime(day.year, day.month, day.day, 20, tzinfo=UTC) - timedelta(days=2)
    row = _day(spark, [_poll(n, since=evening) for n in range(3)], "Europe/Oslo", day)
    assert (row["good_share"], row["longest_gap_s"], row["polls"], row["polls_ok"]) == (0, hours * 3600, 0, 0)
    assert row["is_complete"] is False, "nobody polled after it"


@pytest.mark.parametrize(("days", "is_asked"), [(7, True), (7.001, False)])
def test_a_system_that_nobody_asked_for_a_week_is_not_asked_any_more(
    spark: SparkSession, days: float, is_asked: bool
) -> None:
    row = _day(spark, [_poll(-days * 24 * 60)])
    assert bool(row) is is_asked
