"""Sales from committed orders, against plain Python over what was sent."""

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from bike_assets.lake.duck import connect
from bike_assets.lake.rows import append_rows
from bike_assets.lake.tables import arrow_schema, open_table
from bike_assets.model.errors import LakeBroken
from bike_assets.model.tables import EVENTS_ORDERS, LIVE_ORDERS_BY_SOURCE_STATE
from bike_assets.model.warehouse import DIM_CUSTOMER
from bike_assets.stream import sales as stream_sales
from bike_assets.stream.sales import ensure_sales, latest_path, refresh
from bike_assets.warehouse.customers import read_customers
from bike_assets.warehouse.dim_customer import build_customers

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
Sales = dict[tuple[str, str], tuple[int, int, Decimal]]


def order(order_id: str, version: int = 1, **given: Any) -> dict[str, Any]:
    healthy: dict[str, Any] = {
        "order_id": order_id, "version": version, "customer_id": "a", "source": "shop", "quantity": 2,
        "total": Decimal("0.10"), "created_at": NOON, "utc_date": NOON.date(), "kafka_partition": 0, "kafka_offset": 0,
    }  # fmt: skip
    return healthy | given


class Lake:
    """A lake whose orders come in by hand."""

    def __init__(self, path: Path, customers: str = "id,state\na,TX\nb,CA\n") -> None:
        self.path, self._batches = path, 0
        self.tables = ensure_sales(path)
        self.customers(customers, NOON - timedelta(days=9))

    def customers(self, text: str, now: datetime) -> None:
        file = self.path / "customers.csv"
        file.write_text(text)
        build_customers(self.path, read_customers(file), now)

    def add(self, *orders: dict[str, Any]) -> None:
        self._batches += 1
        rows = pa.Table.from_pylist(list(orders), arrow_schema(EVENTS_ORDERS))
        append_rows(open_table(self.path, EVENTS_ORDERS), EVENTS_ORDERS, rows, "tests", self._batches)

    def sales(self) -> Sales:
        refresh(self.tables)
        with connect(self.path, [LIVE_ORDERS_BY_SOURCE_STATE]) as con:
            rows = con.sql("FROM live.orders_by_source_state").fetchall()
        assert len({row[:2] for row in rows}) == len(rows)
        return {(source, state): tuple(figures) for source, state, *figures in rows}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def test_a_later_version_corrects_even_where_it_comes_first(lake: Lake) -> None:
    lake.add(order("1", 2, quantity=5, total=Decimal("7.00")), order("2"))
    assert lake.sales() == {("shop", "TX"): (2, 7, Decimal("7.10"))}
    lake.add(order("1", 1), order("2", 3, source="app", quantity=0, total=Decimal(0)))
    assert lake.sales() == {("shop", "TX"): (1, 5, Decimal("7.00")), ("app", "TX"): (1, 0, Decimal("0.00"))}


def test_a_customer_that_nobody_knows_counts_under_unknown(lake: Lake) -> None:
    lake.add(order("1", customer_id="nobody"), order("2", customer_id="b"))
    assert set(lake.sales()) == {("shop", "unknown"), ("shop", "CA")}


def test_an_order_counts_where_the_customer_lived_when_it_was_made(lake: Lake) -> None:
    lake.customers("id,state\na,NY\n", NOON)
    lake.add(order("late", created_at=NOON - timedelta(seconds=1)), order("new", created_at=NOON),
             order("gone", created_at=NOON, customer_id="b"))  # fmt: skip
    one = (1, 2, Decimal("0.10"))
    assert lake.sales() == {("shop", "TX"): one, ("shop", "NY"): one, ("shop", "unknown"): one}


def test_customers_that_come_after_their_orders_change_the_sales(lake: Lake) -> None:
    lake.add(order("1", customer_id="z"))
    assert set(lake.sales()) == {("shop", "unknown")}
    lake.customers("id,state\na,TX\nb,CA\nz,OH\n", NOON)
    assert set(lake.sales()) == {("shop", "OH")}


def test_nothing_new_writes_nothing_and_no_cent_is_lost(lake: Lake) -> None:
    lake.add(*(order(str(number)) for number in range(1_000)), order("big", total=Decimal("9999999999.99")))
    assert lake.sales() == {("shop", "TX"): (1_001, 2_002, Decimal("10000000099.99"))}
    assert refresh(lake.tables) is None
    assert refresh(ensure_sales(lake.path)) is None, "a restart knows what was computed"


WHOLE = """
    WITH latest AS (SELECT arg_max(struct_pack(customer_id, source, quantity, total, created_at), version) AS it
                    FROM events.orders GROUP BY order_id)
    SELECT it.source, coalesce(customer.state, 'unknown'), count(*), sum(it.quantity)::BIGINT,
           sum(it.total)::DECIMAL(28,2)
    FROM latest LEFT JOIN warehouse.dim_customer AS customer
         ON customer.customer_id = it.customer_id AND it.created_at >= customer.valid_from
            AND (customer.valid_to IS NULL OR it.created_at < customer.valid_to)
    GROUP BY ALL"""


def whole(lake: Lake) -> Sales:
    """The sales from nothing but the tables, at once."""
    with connect(lake.path, [EVENTS_ORDERS, DIM_CUSTOMER]) as con:
        return {(source, state): tuple(figures) for source, state, *figures in con.sql(WHOLE).fetchall()}


@pytest.mark.parametrize("seed", range(3))
def test_what_is_added_comes_to_what_all_at_once_comes_to_whatever_happens_to_the_tables(
    lake: Lake, seed: int
) -> None:
    chance = random.Random(seed)
    latest, hours = latest_path(lake.path), count()
    happens: list[Callable[[], object]] = [
        lambda: compacted(lake.path),
        lambda: compacted_and_cleared(lake.path),
        lambda: lake.customers(f"id,state\na,{chance.choice(['TX', 'NY'])}\nb,CA\nc,ME\n", NOON + next(hours) * HOUR),
        lambda: latest.unlink(missing_ok=True),
        lambda: None,
    ]
    offset = 0
    for _ in range(25):
        for _ in range(chance.randrange(3)):
            lake.add(*(
                order(f"o{chance.randrange(40)}", 2 * (offset + number) + chance.choice([1_000, 1_000, 99]),
                      customer_id=chance.choice("abcx"), source=chance.choice(["shop", "app"]),
                      quantity=chance.randrange(5), total=Decimal(chance.randrange(10**12)) / 100,
                      created_at=NOON + chance.randrange(30) * HOUR, kafka_offset=offset + number)
                for number in range(chance.randrange(1, 20))
            ))  # fmt: skip
            offset += 20
        chance.choice(happens)()
        assert lake.sales() == whole(lake)


def compacted(lake: Path) -> DeltaTable:
    orders = open_table(lake, EVENTS_ORDERS)
    orders.optimize.compact()
    return orders


def compacted_and_cleared(lake: Path) -> None:
    """As by the upkeep of a week: the files that rows came in are gone."""
    compacted(lake).vacuum(0, dry_run=False, enforce_retention_duration=False)


def test_of_orders_that_are_known_no_file_is_read_again(lake: Lake) -> None:
    lake.add(order("1"), order("2"))
    assert lake.sales() == {("shop", "TX"): (2, 4, Decimal("0.20"))}
    for file in open_table(lake.path, EVENTS_ORDERS).file_uris():
        Path(file).unlink()
    lake.add(order("1", 2, source="app"), order("3"))
    assert lake.sales() == {("shop", "TX"): (2, 4, Decimal("0.20")), ("app", "TX"): (1, 2, Decimal("0.10"))}


def test_what_is_known_is_made_anew_where_its_file_is_broken(lake: Lake) -> None:
    lake.add(order("1"))
    lake.sales()
    lake.add(order("2"))
    latest_path(lake.path).write_bytes(b"no database" * 1_000)
    with pytest.raises(LakeBroken, match="is made anew"):
        refresh(lake.tables)
    assert lake.sales() == {("shop", "TX"): (2, 4, Decimal("0.20"))}


def test_one_that_was_killed_before_it_wrote_the_sales_counts_nothing_twice(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.add(order("1"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("replace_all", "read_files"):
        with monkeypatch.context() as patched:
            patched.setattr(stream_sales, name, killed)
            with pytest.raises(KeyboardInterrupt):
                refresh(lake.tables)
        assert lake.sales() == whole(lake)
        lake.add(order("1", 2, total=Decimal("0.30")), order("2"))


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_sent_in_whatever_order_the_sales_are_those_of_plain_python(lake: Lake, seed: int) -> None:
    chance = random.Random(seed)
    states = {"a": "TX", "b": "CA"}
    versions = [
        order(f"o{number}", version, customer_id=chance.choice("abx"), source=chance.choice(["shop", "app"]),
              quantity=chance.randrange(5), total=Decimal(chance.randrange(10**6)) / 100)
        for number in range(60) for version in range(1, chance.randrange(2, 5))
    ]  # fmt: skip
    chance.shuffle(versions)
    latest: dict[str, dict[str, Any]] = {}
    expected: Sales = {}
    for start in range(0, len(versions), 40):
        batch = versions[start : start + 40]
        lake.add(*batch)
        for each in batch:
            if each["version"] > latest.get(each["order_id"], {"version": 0})["version"]:
                latest[each["order_id"]] = each
        sums: defaultdict[tuple[str, str], tuple[int, int, Decimal]] = defaultdict(lambda: (0, 0, Decimal(0)))
        for each in latest.values():
            key = each["source"], states.get(each["customer_id"], "unknown")
            count, quantity, total = sums[key]
            sums[key] = count + 1, quantity + each["quantity"], total + each["total"]
        expected = dict(sums)
        assert lake.sales() == expected
    assert DIM_CUSTOMER.may_be_empty
