"""Pools: of the queue's runs that need one, a single one is under way. `bike build` and `bike ci` do not queue."""

DRAIN = "drain"
"""Brings topics into tables; a second drain would be refused."""

WAREHOUSE = "warehouse"
"""Writes the warehouse or joins its files: each such run can hold a Spark driver, and they get in each other's way."""
