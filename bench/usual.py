"""The usual way to a day's station-hours: every snapshot kept as JSON, exploded, a pandas function a station and hour.

As notebooks do it, but right: what was before and after a reading comes by windows over all rows of the station.
"""

from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812

_LINE = """fetched_at TIMESTAMP, body STRUCT<data: STRUCT<stations: ARRAY<STRUCT<station_id: STRING,
    num_bikes_available: INT, num_docks_available: INT,
    is_installed: BOOLEAN, is_renting: BOOLEAN, is_returning: BOOLEAN>>>>"""

_STATES = ("empty", "full", "available", "closed")
_HOUR = f"""station_id STRING, hour TIMESTAMP, departures INT, arrivals INT,
    {", ".join(f"seconds_{state} DOUBLE" for state in _STATES)},
    bikes_mean DOUBLE, bikes_min INT, bikes_max INT, polls INT"""

_MAX_GAP, _NOTHING = pd.Timedelta(minutes=30), pd.Timedelta(0)


def write_hours(spark: SparkSession, lines: Path, to: Path) -> None:
    """The station-hours of the answers in a directory of JSON lines, into parquet."""
    rows = _with_neighbours(_readings(spark, lines))
    rows.groupBy("station_id", "hour").applyInPandas(_hour, _HOUR).write.mode("overwrite").parquet(str(to))


def _readings(spark: SparkSession, lines: Path) -> DataFrame:
    line = F.from_json("value", _LINE)
    exploded = (
        spark.read.text(str(lines))
        .select(line.alias("line"))
        .select("line.fetched_at", F.explode("line.body.data.stations").alias("each"))
    )
    return exploded.select(
        "fetched_at", F.date_trunc("hour", "fetched_at").alias("hour"), F.col("each.station_id").alias("station_id"),
        F.col("each.num_bikes_available").alias("bikes"), _state().alias("state"),
    )  # fmt: skip


def _state() -> Column:
    is_open = F.col("each.is_installed") & F.col("each.is_renting") & F.col("each.is_returning")
    return (
        F.when(~is_open, "closed")
        .when(F.col("each.num_bikes_available") == 0, "empty")
        .when(F.col("each.num_docks_available") == 0, "full")
        .otherwise("available")
    )


def _with_neighbours(rows: DataFrame) -> DataFrame:
    in_time = Window.partitionBy("station_id").orderBy("fetched_at")
    before = {f"{name}_before": F.lag(name).over(in_time) for name in ("fetched_at", "bikes", "state")}
    return rows.withColumns(before | {"fetched_after": F.lead("fetched_at").over(in_time)})


def _hour(rows: pd.DataFrame) -> pd.DataFrame:
    """One station in one hour."""
    rows = rows.sort_values("fetched_at")
    hour = rows["hour"].iloc[0]
    lasts = rows["fetched_after"] - rows["fetched_at"]
    held = rows["fetched_after"].clip(upper=hour + pd.Timedelta(hours=1)) - rows["fetched_at"]
    held = held.where(lasts <= _MAX_GAP, _NOTHING).dt.total_seconds()
    first = rows.iloc[0]
    is_carried = first["fetched_at"] - first["fetched_at_before"] <= _MAX_GAP
    carried = (first["fetched_at"] - hour).total_seconds() if is_carried else 0.0
    seconds = held.groupby(rows["state"]).sum().to_dict()
    if carried:
        seconds[first["state_before"]] = seconds.get(first["state_before"], 0.0) + carried
    is_open, was_open = rows["state"] != "closed", rows["state_before"].fillna("closed") != "closed"
    steps = (rows["bikes"] - rows["bikes_before"])[is_open & was_open]
    levels = rows[is_open & (held > 0)]
    known = held[is_open].sum() + (carried if was_open.iloc[0] else 0.0)
    bike_s = (rows["bikes"] * held)[is_open].sum() + (carried * first["bikes_before"] if was_open.iloc[0] else 0.0)
    told: dict[str, Any] = {
        "station_id": first["station_id"],
        "hour": hour,
        "departures": -steps.clip(upper=0).sum(),
        "arrivals": steps.clip(lower=0).sum(),
        **{f"seconds_{state}": seconds.get(state, 0.0) for state in _STATES},
        "bikes_mean": bike_s / known if known else None,
        "bikes_min": levels["bikes"].min(),
        "bikes_max": levels["bikes"].max(),
        "polls": len(rows),
    }
    return pd.DataFrame([told])
