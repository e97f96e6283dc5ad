"""The sales in a real MariaDB."""

from decimal import Decimal
from pathlib import Path

from bike_assets.stream.sinks.sales import SalesCarrier
from bike_assets.stream.sinks.sql import SqlSink
from bike_assets_tests.disks import small_disk
from bike_assets_tests.mariadb import PASSWORD, MariaDb
from bike_assets_tests.stream.test_sales import Lake, order

MANY = 3_000
ALL = "SELECT source, state, orders, quantity, total FROM orders_by_source_state ORDER BY source"


def test_it_is_as_the_lake_through_corrections_and_a_read_only_time(mariadb: MariaDb, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.add(order("1", total=Decimal("9999999999.99")), order("2", source="Shop"))
    lake.sales()
    carrier = SalesCarrier(lake.path, SqlSink(mariadb.url))
    carrier.carry()
    assert carrier.report()["trouble"] is None
    both = ["Shop\tTX\t1\t2\t0.10", "shop\tTX\t1\t2\t9999999999.99"]
    assert sorted(mariadb.ask(ALL).splitlines()) == both

    mariadb.as_root("SET GLOBAL read_only = ON")
    lake.add(order("2", 2, source="shop", total=Decimal("0.01")))
    lake.sales()
    carrier.carry()
    assert "read-only" in (carrier.trouble or "")
    assert PASSWORD not in (carrier.trouble or "")
    assert sorted(mariadb.ask(ALL).splitlines()) == both
    mariadb.as_root("SET GLOBAL read_only = OFF")
    carrier.carry()
    assert carrier.report()["trouble"] is None
    assert mariadb.ask(ALL).splitlines() == ["shop\tTX\t2\t4\t10000000000.00"]

    again = SalesCarrier(lake.path, SqlSink(mariadb.url))
    again.carry()
    assert (again.written, again.trouble) == (0, None)


def test_a_full_disk_is_told_and_caught_up_with_once_it_has_room(mariadb: MariaDb, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.add(order("0", source="shop 0"))
    lake.sales()
    with small_disk("mysql", mariadb.directory) as disk:
        carrier = SalesCarrier(lake.path, SqlSink(mariadb.url))
        carrier.carry()
        assert carrier.report()["trouble"] is None
        before = mariadb.ask(ALL)
        disk.fill()
        lake.add(*(order(str(number), source=f"shop {number}") for number in range(1, MANY)))
        lake.sales()
        carrier.carry()
        assert "full" in (carrier.trouble or "") or "No space left" in (carrier.trouble or "")
        assert mariadb.ask(ALL) == before
        disk.make_room()
        carrier.carry()
        assert carrier.report()["trouble"] is None
        assert len(mariadb.ask(ALL).splitlines()) == MANY
        mariadb.ask("DROP TABLE orders_by_source_state, bike_progress")
