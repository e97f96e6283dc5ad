"""`warehouse.fact_system_day`: the hours of a system's stations, added up to its local days."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.model.warehouse import FACT_SYSTEM_DAY
from bike_assets.warehouse.days import added_up, finished, hours_of

_KEY = list(FACT_SYSTEM_DAY.grain)


def system_days(hours: DataFrame, systems: DataFrame, first: date, last: date) -> DataFrame:
    """Rows of `warehouse.fact_system_day` of the local dates `first` to `last`, both included.

    In:  as for `station_days`.
    Out: sums, extremes and means are over the stations' hours; `is_complete` says that each of the day's hours has
         a station.
    """
    rows = hours_of(hours, first, last)
    stations = rows.groupBy(*_KEY).agg(F.count_distinct("station_id").alias("stations"))
    return finished(added_up(rows, _KEY).join(stations, _KEY), systems, FACT_SYSTEM_DAY)
