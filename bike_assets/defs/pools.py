"""Pools: of the runs that need one, a single run is under way, and the others wait in the queue."""

DRAIN = "drain"
"""Brings topics into tables; a second drain would be refused."""

WAREHOUSE = "warehouse"
"""Writes the warehouse or joins its files: each such run can hold a Spark driver, and they get in each other's way."""
