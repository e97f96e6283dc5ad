"""Pools: of the queue's runs that need one, a single one is under way. `bike build` and `bike ci` do not queue."""

import dagster as dg

DRAIN = "drain"
"""Brings topics into tables; a second drain would be refused."""

WAREHOUSE = "warehouse"
"""Writes the warehouse or joins its files: each such run can hold a Spark driver, and they get in each other's way."""


def make_known(instance: dg.DagsterInstance) -> None:
    """Give each pool its limit: Dagster does so itself only after it has let the first runs pass without one."""
    for pool in (DRAIN, WAREHOUSE):
        instance.event_log_storage.initialize_concurrency_limit_to_default(pool)
