"""What the columns of events mean, as Spark asks it: once for the stream and for the warehouse."""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from bike_assets.model.messages import GOOD
from bike_assets.model.readings import State


def is_good() -> Column:
    """A good poll of stations: only these say anything of them."""
    return (F.col("feed") == "station_status") & F.col("outcome").isin(*sorted(each.value for each in GOOD))


def is_open(state: str) -> Column:
    """Whether the column holds the state of an open station; false where it is null."""
    known = F.col(state).isin(State.EMPTY.value, State.FULL.value, State.AVAILABLE.value)
    return F.coalesce(known, F.lit(False))
