"""`warehouse.dim_date`: the calendar."""

from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.model.warehouse import DIM_DATE
from bike_assets.warehouse.shape import shaped

_SATURDAY = 6


def dates(spark: SparkSession, first: date, last: date) -> DataFrame:
    """Rows of `warehouse.dim_date` from `first` to `last`, both included."""
    day = F.col("date")
    return shaped(
        spark.range((last - first).days + 1)
        .select(F.date_add(F.lit(first), F.col("id").cast("int")).alias("date"))
        .withColumns({
            "year": F.year(day), "quarter": F.quarter(day), "month": F.month(day), "week": F.weekofyear(day),
            "weekday": F.weekday(day) + 1,
        })
        .withColumn("is_weekend", F.col("weekday") >= _SATURDAY),
        DIM_DATE,
    )  # fmt: skip
