"""Which description of a station a fact points to."""

from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

FIRST_VALID_FROM = datetime(1970, 1, 1, tzinfo=UTC)
"""From when a station's first description holds: facts from before it was told have one too."""


def station_key(valid_from: Column) -> Column:
    """The key of a station's description that holds from then on."""
    return F.xxhash64("system_id", "station_id", valid_from)


def with_station_keys(facts: DataFrame, stations: DataFrame, at: str) -> DataFrame:
    """Add `station_key`: the description that holds at the instant in the column `at`.

    In:  facts with `system_id, station_id` and `at`; `stations`: all of `dim_station`.
    Out: the same rows. A station's first key follows from its ids; only later descriptions, which few stations
         have, are looked up.
    """
    later = stations.where(F.col("valid_from") > F.lit(FIRST_VALID_FROM)).select(
        "system_id", "station_id", F.col("station_key").alias("later_key"), "valid_from", "valid_to"
    )
    found = facts.join(
        F.broadcast(later),
        (facts["system_id"] == later["system_id"])
        & (facts["station_id"] == later["station_id"])
        & (facts[at] >= later["valid_from"])
        & (later["valid_to"].isNull() | (facts[at] < later["valid_to"])),
        "left",
    ).select(facts["*"], "later_key")
    key = F.coalesce("later_key", station_key(F.lit(FIRST_VALID_FROM)))
    return found.withColumn("station_key", key).drop("later_key")
