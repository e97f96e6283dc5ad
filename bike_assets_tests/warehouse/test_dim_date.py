"""The calendar."""

from datetime import date

from pyspark.sql import SparkSession

from bike_assets.warehouse.dim_date import dates
from bike_assets_tests.warehouse.frames import rows_of


def test_every_date_is_there_and_weeks_are_those_of_iso_8601(spark: SparkSession) -> None:
    rows = sorted(rows_of(dates(spark, date(2020, 12, 28), date(2024, 12, 31))), key=lambda row: row["date"])
    assert len(rows) == (date(2024, 12, 31) - date(2020, 12, 28)).days + 1
    for row in rows:
        day = row["date"]
        _, week, weekday = day.isocalendar()
        assert row == {"date": day, "year": day.year, "quarter": (day.month + 2) // 3, "month": day.month, "week": week,
                       "weekday": weekday, "is_weekend": weekday in (6, 7)}  # fmt: skip
