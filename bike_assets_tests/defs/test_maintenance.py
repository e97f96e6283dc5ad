"""What the lake's upkeep joins and removes, and what it never does."""

import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from bike_assets.defs.maintenance.assets import compaction, retention, vacuum
from bike_assets.defs.resources import Lake
from bike_assets.lake.tables import row_count
from bike_assets.model.messages import Order, StationInformation
from bike_assets.model.tables import EVENTS_ORDERS, EVENTS_POLLS, EVENTS_STATION_INFORMATION
from bike_assets.model.warehouse import FACT_STATION_HOUR
from bike_assets_tests.defs.conftest import Home, failure
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


def sizes(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """What the asset tells of the files and bytes before and after, and of each table."""
    (told,) = [event.materialization for event in result.get_asset_materialization_events()
               if event.asset_key == dg.AssetKey(["maintenance", asset])]  # fmt: skip
    return {name: value.value for name, value in told.metadata.items() if name != "tables"}


def test_small_files_of_a_day_that_is_over_are_joined_and_no_row_is_lost(home: Home) -> None:
    for hour in range(4):
        write_messages(home.lake, EVENTS_POLLS, poll(fetched_at=LONG_AGO + timedelta(hours=hour)))
    write_messages(home.lake, EVENTS_POLLS, poll(fetched_at=datetime.now(UTC)))
    result = home.materialize(compaction)
    assert result.success, failure(result)
    assert {name: sizes(result, "compaction")[name] for name in ("files_before", "files_after")} == {
        "files_before": 4, "files_after": 1}  # fmt: skip
    assert row_count(home.lake, EVENTS_POLLS) == 5
    assert sizes(home.materialize(compaction), "compaction")["files_after"] == 1, "again changes nothing"


def test_files_that_no_version_of_the_last_week_names_are_removed_and_others_stay(home: Home) -> None:
    write_messages(home.lake, EVENTS_POLLS, poll(fetched_at=LONG_AGO))
    (named,) = home.lake.rglob("*.parquet")
    dead, young = named.with_name("dead.parquet"), named.with_name("young.parquet")
    for file, days in ((dead, 8), (young, 6), (named, 8)):
        file.write_bytes(named.read_bytes())
        at = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        os.utime(file, (at, at))
    result = home.materialize(vacuum)
    assert result.success, failure(result)
    assert (named.exists(), young.exists(), dead.exists()) == (True, True, False)
    told = sizes(result, "vacuum")
    assert told["bytes_after"] < told["bytes_before"]


def test_upkeep_of_a_lake_that_is_not_there_yet_does_nothing(home: Home) -> None:
    for asset in (compaction, retention, vacuum):
        assert home.materialize(asset).success
    assert not home.lake.exists()


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
