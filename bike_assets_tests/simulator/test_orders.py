"""The demo's orders are taken as they are, and show all that orders can be."""

import itertools
import json
import random
from datetime import UTC, datetime

from bike_assets.ingest.orders.reading import read_orders
from bike_assets.simulator.orders import CUSTOMERS, _stamped, customers_csv, orders


def test_they_are_taken_and_show_corrections_late_ones_and_strangers() -> None:
    now = datetime.now(UTC)
    made = list(itertools.islice(orders("demo", random.Random(1)), 500))
    read = read_orders(json.dumps([_stamped(each, now) for each in made]).encode(), now, 90)
    assert len({(each.order_id, each.version) for each in read}) == 500
    assert max(each.version for each in read) > 1
    assert any(each.customer_id.startswith("stranger") for each in read)
    assert any((now - each.created_at).total_seconds() > 500 for each in read)


def test_the_list_has_every_customer_once() -> None:
    assert len({line.split(",")[0] for line in customers_csv().splitlines()[1:]}) == CUSTOMERS
