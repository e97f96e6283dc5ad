"""The sales in a real database: as the lake's are, whatever it goes through."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from bike_assets.local.ports import free_ports
from bike_assets.model.errors import SinkUnavailable, WrongSettings
from bike_assets.stream.sinks import sql
from bike_assets.stream.sinks.sales import SalesCarrier
from bike_assets.stream.sinks.sql import SqlSink
from bike_assets_tests.disks import small_disk
from bike_assets_tests.postgres import PASSWORD, Postgres
from bike_assets_tests.stream.test_sales import Lake, order

MANY = 3_000
ALL = "SELECT source || ' ' || state || ' ' || orders || ' ' || quantity || ' ' || total FROM orders_by_source_state"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def carried(lake: Lake, postgres: Postgres) -> SalesCarrier:
    """A carrier as after a restart, that has looked once."""
    carrier = SalesCarrier(lake.path, SqlSink(postgres.url))
    carrier.carry()
    return carrier


def test_the_database_is_as_the_lake_and_a_restart_adds_nothing(lake: Lake, postgres: Postgres) -> None:
    lake.add(order("1", total=Decimal("9999999999.99")), order("2", source="Shop"))
    lake.sales()
    assert carried(lake, postgres).written == 2
    assert carried(lake, postgres).written == 0
    assert set(postgres.psql(ALL).splitlines()) == {"shop TX 1 2 9999999999.99", "Shop TX 1 2 0.10"}
    lake.add(order("2", 2, source="shop", total=Decimal("0.01")))
    lake.sales()
    carried(lake, postgres)
    assert postgres.psql(ALL) == "shop TX 2 4 10000000000.00", "and what the sales have no more is gone"


def test_only_rows_that_changed_are_written(lake: Lake, postgres: Postgres) -> None:
    lake.add(order("1"), order("2", source="app"))
    lake.sales()
    carried(lake, postgres)
    written = "SELECT source || ' ' || xmin FROM orders_by_source_state ORDER BY 1"
    before = postgres.psql(written).splitlines()
    lake.add(order("2", 2, source="app", total=Decimal("0.30")))
    lake.sales()
    assert carried(lake, postgres).written == 1
    after = postgres.psql(written).splitlines()
    assert (before[1] == after[1], before[0] == after[0]) == (True, False)


def test_a_full_disk_is_told_and_caught_up_with_once_it_has_room(lake: Lake, postgres: Postgres) -> None:
    lake.add(order("0", source="shop 0"))
    lake.sales()
    with small_disk("postgres") as disk:
        postgres.psql(f"CREATE TABLESPACE {postgres.database} LOCATION '{disk.path}'")
        postgres.psql(f"ALTER DATABASE {postgres.database} SET default_tablespace = {postgres.database}")
        carrier = carried(lake, postgres)
        assert carrier.report()["trouble"] is None
        disk.fill()
        lake.add(*(order(str(number), source=f"shop {number}") for number in range(1, MANY)))
        lake.sales()
        carrier.carry()
        assert "No space left on device" in (carrier.trouble or "")
        assert postgres.psql(ALL) == "shop 0 TX 1 2 0.10"
        disk.make_room()
        carrier.carry()
        assert carrier.report()["trouble"] is None
        assert len(postgres.psql(ALL).splitlines()) == MANY


def test_a_read_only_database_is_told_and_catches_up(lake: Lake, postgres: Postgres) -> None:
    lake.add(order("1"))
    lake.sales()
    server = replace(postgres, database="postgres")
    server.psql(f"ALTER DATABASE {postgres.database} SET default_transaction_read_only = on")
    carrier = carried(lake, postgres)
    assert carrier.trouble is not None
    assert "read-only" in carrier.trouble
    assert PASSWORD not in carrier.trouble
    assert carrier.caught_up_at is None
    lake.add(order("2"))
    lake.sales()
    server.psql(f"ALTER DATABASE {postgres.database} SET default_transaction_read_only = off")
    carrier.carry()
    assert carrier.report()["trouble"] is None
    assert postgres.psql(ALL) == "shop TX 2 4 0.20"


def test_one_that_fails_in_the_midst_of_a_write_keeps_what_it_had(lake: Lake, postgres: Postgres) -> None:
    lake.add(order("1"))
    lake.sales()
    carrier = carried(lake, postgres)
    # As where the disk is full: the sales are written, what says so is not.
    postgres.psql("ALTER TABLE bike_progress ADD CONSTRAINT full_disk CHECK (version IS NULL) NOT VALID")
    lake.add(order("2"))
    lake.sales()
    carrier.carry()
    assert "full_disk" in (carrier.trouble or "")
    assert postgres.psql(ALL) == "shop TX 1 2 0.10"
    postgres.psql("ALTER TABLE bike_progress DROP CONSTRAINT full_disk")
    carrier.carry()
    assert postgres.psql(ALL) == "shop TX 2 4 0.20"


def test_one_that_was_put_back_to_an_older_state_is_brought_up_again(lake: Lake, postgres: Postgres) -> None:
    lake.add(order("1"))
    lake.sales()
    carrier = carried(lake, postgres)
    postgres.psql("DROP TABLE orders_by_source_state, bike_progress")
    carrier.carry()  # finds them gone
    carrier.carry()
    assert postgres.psql(ALL) == "shop TX 1 2 0.10"


def test_one_that_hangs_is_told_in_time_and_catches_up(
    lake: Lake, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = {"connect_timeout": 1, "options": "-c statement_timeout=200ms"}
    monkeypatch.setattr(sql, "_CONNECT", {"postgresql": impatient})
    lake.add(order("1"))
    lake.sales()
    carrier = carried(lake, postgres)
    lake.add(order("2"))
    lake.sales()
    with sa.create_engine(postgres.url).begin() as other:
        other.execute(sa.text("LOCK TABLE orders_by_source_state"))
        carrier.carry()
        assert "statement timeout" in (carrier.trouble or "")
    carrier.carry()
    assert postgres.psql(ALL) == "shop TX 2 4 0.20"


def test_one_that_is_down_is_told_without_the_password() -> None:
    (port,) = free_ports(1)
    with pytest.raises(SinkUnavailable) as told:
        SqlSink(f"postgresql://me:secret@127.0.0.1:{port}/x").version()
    assert "secret" not in str(told.value)
    assert "refused" in str(told.value)


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "oracle://me:secret@x/y"])
def test_another_url_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(WrongSettings) as told:
        SqlSink(url)
    assert "secret" not in str(told.value)
