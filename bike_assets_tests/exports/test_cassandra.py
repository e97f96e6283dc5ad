"""What is Cassandra's alone: its tables, and what its driver raises."""

from pathlib import Path

import pytest

from bike_assets.exports.cassandra import _create, partition_key
from bike_assets.exports.databases import database
from bike_assets.exports.serve import serve
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import DatabaseDown
from bike_assets.model.schema import Table
from bike_assets.model.star import DIMENSIONS, FACTS
from bike_assets.model.warehouse import DIM_CUSTOMER, DIM_DATE, DIM_STATION, DIM_SYSTEM, FACT_STATION_HOUR
from bike_assets_tests.exports.stars import a_star


def test_a_facts_rows_lie_together_by_system_and_day_in_the_order_of_their_key() -> None:
    said = _create("bikes", FACT_STATION_HOUR)
    assert said.startswith("CREATE TABLE IF NOT EXISTS bikes.fact_station_hour (system_id text, station_id text, ")
    assert said.endswith("PRIMARY KEY ((system_id, utc_date), station_id, hour_start))")
    assert "hour_start timestamp, station_key bigint, utc_date date" in said


def test_a_dimensions_rows_lie_together_by_system_or_by_their_key() -> None:
    assert (partition_key(DIM_STATION), partition_key(DIM_SYSTEM), partition_key(DIM_DATE)) == (
        ("system_id",), ("system_id",), ("date",),
    )  # fmt: skip
    assert _create("bikes", DIM_STATION).endswith("PRIMARY KEY ((system_id), station_key))")
    assert _create("bikes", DIM_CUSTOMER).endswith("PRIMARY KEY ((customer_id), valid_from))")


@pytest.mark.parametrize("table", [*DIMENSIONS, *FACTS], ids=lambda table: table.name)
def test_a_row_of_the_lake_is_a_row_there(table: Table) -> None:
    key = {*partition_key(table), *table.grain}
    assert set(table.grain) <= key
    assert key - set(table.grain) <= {*table.partitioned_by, "system_id"}, "what the grain decides"


def test_a_cassandra_that_is_down_is_told_with_its_place_and_can_be_tried_again(tmp_path: Path) -> None:
    a_star(tmp_path)
    (port,) = free_ports(1)
    target = database("cassandra", f"cassandra://bike:canary-0123@127.0.0.1:{port}/bikes")
    with pytest.raises(DatabaseDown, match=rf"^Cassandra at 127\.0\.0\.1:{port}/bikes: ") as told:
        serve(tmp_path, target, None)
    target.close()
    assert "canary" not in str(told.value)
