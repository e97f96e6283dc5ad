"""Systems' local dates as stretches of time, and whether they are over."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.warehouse.shape import midnight_s


def latest(fetches: DataFrame) -> DataFrame:
    """The last fetch of the UTC date after each local date, whichever dates are built together."""
    return fetches.groupBy(F.date_sub("utc_date", 1).alias("local_date")).agg(F.max("at").alias("latest"))


def local_dates(systems: DataFrame, first: date, last: date) -> DataFrame:
    """Every system's dates with their first instant and the first of the next, in ms."""
    start, end = (midnight_s("local_date", "timezone", later) * 1000 for later in (0, 1))
    dates = F.explode(F.sequence(F.lit(first), F.lit(last))).alias("local_date")
    return (
        systems.select("system_id", "timezone", dates)
        .select("system_id", "local_date", start.alias("start"), end.alias("end"))
    )  # fmt: skip
