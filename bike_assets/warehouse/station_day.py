"""`warehouse.fact_station_day`: a station's hours, added up to its local days."""

from datetime import date

from pyspark.sql import DataFrame

from bike_assets.model.warehouse import FACT_STATION_DAY
from bike_assets.warehouse.days import added_up, finished, hours_of

_KEY = list(FACT_STATION_DAY.grain)


def station_days(hours: DataFrame, systems: DataFrame, first: date, last: date) -> DataFrame:
    """Rows of `warehouse.fact_station_day` of the local dates `first` to `last`, both included.

    In:  `hours`: `fact_station_hour` of the UTC dates from the day before `first` to the day after `last`;
         `systems`: all of `dim_system`.
    Out: `station_key` is that of the day's first hour.
    """
    # A station's hours stand scattered over the files: brought together once, both sums over them move nothing.
    return finished(added_up(hours_of(hours, first, last).repartition(*_KEY), _KEY), systems, FACT_STATION_DAY)
