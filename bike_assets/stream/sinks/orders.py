"""What keeps the orders of a Cassandra as `events.orders` is: `spark_streams.orders`, a row a version."""

from bike_assets.model.tables import EVENTS_ORDERS
from bike_assets.stream.sinks.cassandra import CassandraSink, Place
from bike_assets.stream.sinks.events import EventsCarrier
from bike_assets.stream.sinks.progress import Progress

_PLACE = Place("orders", EVENTS_ORDERS, "(order_id), version", options="CLUSTERING ORDER BY (version DESC)")


class OrdersCassandra(CassandraSink):
    """A Cassandra that holds the orders; an order's versions lie together, the newest first."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "BIKE_ORDERS_CASSANDRA", _PLACE)


class OrdersCarrier(EventsCarrier):
    """Carries orders over."""

    what, table = "orders", EVENTS_ORDERS

    def _settle(self, before: Progress, newest: Progress) -> None:
        """An order is taken out of no table."""
