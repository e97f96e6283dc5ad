"""Pools: of the queue's runs that need one, a single one is under way. `bike build` and `bike ci` do not queue."""

import dagster as dg

from bike_assets.settings import load_settings

DRAIN = "drain"
"""Brings topics into tables; a second drain would be refused."""

WAREHOUSE = "warehouse"
"""Writes the warehouse or joins its files: each such run can hold a Spark driver, and they get in each other's way."""



def serving_pool(name: str) -> str:
    """The pool of a database that is served: one that is slow keeps no other waiting."""
    return f"serving_{name}"


def make_known(instance: dg.DagsterInstance) -> None:
    """Give each pool its limit: Dagster does so itself only after it has let the first runs pass without one."""
    for pool in (DRAIN, WAREHOUSE, *map(serving_pool, load_settings().databases)):
        instance.event_log_storage.initialize_concurrency_limit_to_default(pool)
