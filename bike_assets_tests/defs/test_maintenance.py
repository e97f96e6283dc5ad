"""What the lake's upkeep removes, and what it never does."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import dagster as dg
import pytest

from bike_assets.defs.maintenance.assets import retention
from bike_assets.defs.resources import Lake
from bike_assets.lake.tables import row_count
from bike_assets.model.messages import Order, StationInformation
from bike_assets.model.tables import EVENTS_ORDERS, EVENTS_POLLS, EVENTS_STATION_INFORMATION
from bike_assets.model.warehouse import FACT_STATION_HOUR
from bike_assets_tests.defs.conftest import Home
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import poll

LONG_AGO = datetime(2024, 3, 1, tzinfo=UTC)


def test_old_events_go_and_what_a_station_is_stays(home: Home) -> None:
    write_messages(home.lake, EVENTS_POLLS, poll(fetched_at=LONG_AGO))
    square = StationInformation(system_id="oslo", station_id="1", observed_at=LONG_AGO, name="Square", address=None,
                                lat=59.9, lon=10.7, capacity=10, has_payment_terminal=None)  # fmt: skip
    write_messages(home.lake, EVENTS_STATION_INFORMATION, square)
    sale = Order(order_id="A-1", version=1, customer_id="c1", source="shop", quantity=2, total=Decimal("12.50"),
                 created_at=LONG_AGO)  # fmt: skip
    write_messages(home.lake, EVENTS_ORDERS, sale)
    lake = Lake(path=str(home.lake), events_days=30)
    assert dg.materialize([retention], resources={"lake": lake}).success
    assert (row_count(home.lake, EVENTS_POLLS), row_count(home.lake, EVENTS_STATION_INFORMATION)) == (0, 1)
    assert row_count(home.lake, EVENTS_ORDERS) == 1, "the sales are those of all orders"


def test_a_day_whose_events_are_gone_is_not_built_anew(home: Home) -> None:
    lake = Lake(path=str(home.lake), events_days=30)
    day = lake.today() - timedelta(days=30)
    with pytest.raises(dg.Failure, match=rf"^{day} cannot be built again: BIKE_EVENTS_DAYS keeps events of 30 days"):
        lake._refuse_forgotten((day, day + timedelta(days=5)))
    lake._refuse_forgotten((day + timedelta(days=1), lake.today()))
    Lake(path=str(home.lake))._refuse_forgotten((date(2014, 1, 1), day))


def test_the_refusal_comes_before_anything_is_touched(home: Home) -> None:
    lake = Lake(path=str(home.lake), events_days=30)
    with pytest.raises(dg.Failure):
        lake.build(None, FACT_STATION_HOUR, (date(2014, 1, 1), date(2014, 1, 1)))  # type: ignore[arg-type]
    assert not home.lake.exists()
