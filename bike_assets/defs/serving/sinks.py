"""What services carry into databases outside, seconds after it is in the lake: no run does it."""

from dataclasses import replace

import dagster as dg

from bike_assets.defs.columns import OWNERS, table_metadata
from bike_assets.defs.serving.assets import GROUP
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_ORDERS, EVENTS_USERS, LIVE_ORDERS_BY_SOURCE_STATE

SALES, ORDERS, MEMBERS = ["sinks", "sales"], ["sinks", "orders"], ["sinks", "members"]
_STAYS = {"utc_date", "kafka_partition", "kafka_offset"}
"""Columns that say where a row stands here, and are not carried."""


def _carried(key: list[str], table: Table, kinds: set[str], says: str) -> dg.AssetSpec:
    columns = tuple(column for column in table.columns if column.name not in _STAYS)
    lineage = {column.name: [dg.TableColumnDep(list(table.path), column.name)] for column in columns}
    return dg.AssetSpec(
        key=key,
        deps=[list(table.path)],
        description=says,
        group_name=GROUP,
        kinds=kinds,
        owners=OWNERS,
        metadata=table_metadata(replace(table, columns=columns), dg.TableColumnLineage(lineage)),
    )


sinks = [
    _carried(SALES, LIVE_ORDERS_BY_SOURCE_STATE, {"postgres", "mysql"},
             "The sales in the PostgreSQL, MySQL or MariaDB that BIKE_SALES_DATABASE names, as the lake has them."),
    _carried(ORDERS, EVENTS_ORDERS, {"cassandra"},
             "The orders in the Cassandra that BIKE_ORDERS_CASSANDRA names, a row a version."),
    _carried(MEMBERS, EVENTS_USERS, {"cassandra"},
             "The members in the Cassandra that BIKE_MEMBERS_CASSANDRA names, without those who were forgotten."),
]  # fmt: skip
