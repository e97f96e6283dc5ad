"""Hours of a zone's dates."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from pyspark.sql import SparkSession

from bike_assets.warehouse.days import hours_in

ZONES = ("UTC", "Europe/Oslo", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Auckland",
         "Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "America/Sao_Paulo", "America/Asuncion",
         "Pacific/Apia", "Pacific/Kiritimati", "Africa/Casablanca")  # fmt: skip
FIRST, LAST = date(2018, 1, 1), date(2019, 12, 31)


def test_a_date_has_as_many_hours_as_begin_in_it_whatever_the_zone(spark: SparkSession) -> None:
    dates = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    rows = spark.createDataFrame([(zone, day) for zone in ZONES for day in dates], "zone string, day date")
    counted = rows.withColumn("hours", hours_in("day", "zone")).collect()
    found = {(row.zone, row.day): row.hours for row in counted}
    expected: dict[tuple[str, date], int] = dict.fromkeys(found, 0)
    begins = datetime(2017, 12, 31, tzinfo=UTC)
    for n in range((len(dates) + 2) * 24):
        for zone in ZONES:
            key = zone, (begins + timedelta(hours=n)).astimezone(ZoneInfo(zone)).date()
            if key in expected:
                expected[key] += 1
    assert found == expected
    assert {23, 24, 25} <= set(found.values())
