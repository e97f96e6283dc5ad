"""What a system is."""

from datetime import UTC, datetime, timedelta

from pyspark.sql import SparkSession

from bike_assets.model.tables import EVENTS_POLLS, EVENTS_SYSTEM_INFORMATION
from bike_assets.warehouse.dim_system import systems
from bike_assets_tests.warehouse.frames import frame, rows_of

NOON = datetime(2024, 3, 30, 12, tzinfo=UTC)


def test_a_system_is_as_it_was_last_told(spark: SparkSession) -> None:
    oslo = {"system_id": "oslo", "operator": None, "city": "Oslo", "country": "NO", "timezone": "Europe/Oslo",
            "kind": "gbfs"}  # fmt: skip
    told = [{**oslo, "observed_at": NOON, "name": "Bysykkel", "operator": "then"},
            {**oslo, "observed_at": NOON + timedelta(days=1), "name": "Oslo Bysykkel"},
            {**oslo, "observed_at": NOON - timedelta(days=1), "name": "Bikes"}]  # fmt: skip
    polled = [{"system_id": "oslo", "fetched_at": NOON}] * 2
    rows = rows_of(systems(frame(spark, EVENTS_SYSTEM_INFORMATION, told), frame(spark, EVENTS_POLLS, polled)))
    assert rows == [{**oslo, "name": "Oslo Bysykkel"}]


def test_a_system_that_nobody_described_has_the_zone_utc(spark: SparkSession) -> None:
    polled = [{"system_id": "oslo", "fetched_at": NOON}]
    rows = rows_of(systems(frame(spark, EVENTS_SYSTEM_INFORMATION, []), frame(spark, EVENTS_POLLS, polled)))
    assert rows == [{"system_id": "oslo", "name": None, "operator": None, "city": None, "country": None,
                     "timezone": "UTC", "kind": None}]  # fmt: skip
