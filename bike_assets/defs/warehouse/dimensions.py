"""Dimensions brought to what is known now: before facts are built, and by hand."""

from collections.abc import Set
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg

from bike_assets.defs.resources import Lake
from bike_assets.model.warehouse import DIM_CUSTOMER, DIM_DATE, DIM_STATION, DIM_SYSTEM

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DIMENSIONS = (DIM_SYSTEM, DIM_STATION, DIM_DATE)


def bring_up(
    lake: Lake, session: "SparkSession", days: tuple[date, date] | None, built_too: Set[dg.AssetKey] = frozenset()
) -> None:
    """Build the dimensions, but for those that the run builds too: later rows may tell of new stations, systems and
    dates.
    """
    for table in DIMENSIONS:
        if dg.AssetKey(list(table.path)) not in built_too:
            lake.build(session, table, days)


def bring_up_customers(lake: Lake) -> int | None:
    """Bring the customers to what their list says now; how many rows there are then. None where there is no list."""
    from bike_assets.warehouse.dim_customer import build_customers

    customers = lake.customers()
    return None if customers is None else build_customers(lake.directory, customers, datetime.now(UTC))


def ensured_customers(lake: Lake) -> int:
    """The customers as they are; the table is made where it is not there."""
    from bike_assets.lake.tables import ensure_table, row_count

    ensure_table(lake.directory, DIM_CUSTOMER)
    return row_count(lake.directory, DIM_CUSTOMER)
