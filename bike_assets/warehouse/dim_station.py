"""`warehouse.dim_station`: what each station is and was (SCD 2 on name, capacity and place)."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.model.constants import MOVED_M
from bike_assets.model.warehouse import DIM_STATION
from bike_assets.warehouse.places import metres_between
from bike_assets.warehouse.shape import shaped
from bike_assets.warehouse.station_keys import FIRST_VALID_FROM, station_key

_STATION = ["system_id", "station_id"]
_DESCRIPTION = ("name", "capacity", "lat", "lon", "has_payment_terminal")


def stations(information: DataFrame, seen: DataFrame) -> DataFrame:
    """Rows of `warehouse.dim_station`.

    In:  `information`: all of `events.station_information`; `seen`: `system_id, station_id` of every station in
         `events.station_status`, any number of times.
    Out: a row per station and time in which its name and capacity were the same and it stood within MOVED_M of where
         it stood at the row's beginning, so that a slow drift adds up. `address` is the newest of all, the payment
         terminal the newest of the row's time. A station that was never described has one row of nulls.
    """
    described = information.groupBy(*_STATION).agg(
        F.sort_array(F.collect_list(F.struct("observed_at", *_DESCRIPTION))).alias("told"),
        F.max_by("address", F.when(F.col("address").isNotNull(), F.col("observed_at"))).alias("address"),
    )
    rows = (
        seen.select(*_STATION).distinct()
        .join(described, _STATION, "full")
        .withColumn("versions", F.coalesce(_versions(F.col("told")), F.array(_never_described())))
        .select(*_STATION, "address", F.col("told").isNull().alias("is_inferred"),
                F.inline(_with_validity(F.col("versions"))))
    )  # fmt: skip
    return shaped(rows.withColumn("station_key", station_key(F.col("valid_from"))), DIM_STATION)


def _versions(told: Column) -> Column:
    """A station's descriptions in the order of time, folded into those that differ."""
    nothing = F.slice(told, 1, 0)
    return F.aggregate(told, nothing, lambda versions, new: F.when(
        (F.size(versions) == 0) | _differs(F.element_at(versions, -1), new), F.concat(versions, F.array(new))
    ).otherwise(_with_terminal(versions, new["has_payment_terminal"])))  # fmt: skip


def _differs(version: Column, new: Column) -> Column:
    moved = metres_between(version["lat"], version["lon"], new["lat"], new["lon"]) > MOVED_M
    same = version["name"].eqNullSafe(new["name"]) & version["capacity"].eqNullSafe(new["capacity"])
    return ~same | F.coalesce(moved, F.lit(False))


def _with_terminal(versions: Column, terminal: Column) -> Column:
    """The same versions, the last with the newest payment terminal, where one is given."""
    last = F.element_at(versions, -1)
    renewed = last.withField("has_payment_terminal", F.coalesce(terminal, last["has_payment_terminal"]))
    return F.concat(F.slice(versions, F.lit(1), F.size(versions) - 1), F.array(renewed))


def _never_described() -> Column:
    types = ("timestamp", "string", "int", "double", "double", "boolean")
    names = ("observed_at", *_DESCRIPTION)
    return F.struct(*(F.lit(None).cast(kind).alias(name) for name, kind in zip(names, types, strict=True)))


def _with_validity(versions: Column) -> Column:
    """Each version with from when and until when it holds; the first holds from FIRST_VALID_FROM on."""

    def held(version: Column, place: Column) -> Column:
        following = F.get(versions, place + 1)
        return F.struct(
            *(version[name].alias(name) for name in _DESCRIPTION),
            F.when(place == 0, F.lit(FIRST_VALID_FROM)).otherwise(version["observed_at"]).alias("valid_from"),
            following["observed_at"].alias("valid_to"),
            (place == F.size(versions) - 1).alias("is_current"),
        )

    return F.transform(versions, held)
