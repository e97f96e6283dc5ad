"""`warehouse.dim_system`: what each system is, as it was last told."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.model.warehouse import DIM_SYSTEM
from bike_assets.warehouse.shape import shaped

_TOLD = [column.name for column in DIM_SYSTEM.columns if column.name != "system_id"]


def systems(information: DataFrame, seen: DataFrame) -> DataFrame:
    """Rows of `warehouse.dim_system`.

    In:  `information`: all of `events.system_information`; `seen`: `system_id` of every system that was polled, any
         number of times.
    Out: a system each. One that was polled and never described has the zone UTC and nulls.
    """
    newest = information.groupBy("system_id").agg(F.max_by(F.struct(*_TOLD), "observed_at").alias("told"))
    return shaped(
        seen.select("system_id").distinct()
        .join(newest, "system_id", "full")
        .select("system_id", "told.*")
        .fillna("UTC", ["timezone"]),
        DIM_SYSTEM,
    )  # fmt: skip
