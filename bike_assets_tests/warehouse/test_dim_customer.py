"""Customers as a dimension that changes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bike_assets.lake.duck import connect
from bike_assets.lake.tables import open_table
from bike_assets.model.errors import CustomersLost
from bike_assets.model.warehouse import DIM_CUSTOMER
from bike_assets.warehouse.customers import Customer, read_customers
from bike_assets.warehouse.dim_customer import FIRST, build_customers

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def listed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "customers.csv"
    path.write_text(text, encoding="utf-8")
    return path


def listed_customers(tmp_path: Path, text: str) -> dict[str, Customer]:
    return read_customers(listed(tmp_path, text))


def test_a_customer_who_moves_has_two_versions_and_one_who_goes_is_ended(tmp_path: Path) -> None:
    build_customers(tmp_path, listed_customers(tmp_path, "id,state,city\na,TX,Austin\nb,CA,LA\nc,NY,NY\n"), NOW)
    build_customers(tmp_path, listed_customers(tmp_path, "id,state,city\na,NY,NY\nb,CA,LA\nd,,x\n"), LATER)
    with connect(tmp_path, [DIM_CUSTOMER]) as con:
        rows = con.sql("SELECT customer_id, valid_from, state, valid_to, is_current FROM warehouse.dim_customer "
                       "ORDER BY ALL").fetchall()  # fmt: skip
    assert rows == [
        ("a", FIRST, "TX", LATER, False), ("a", LATER, "NY", None, True), ("b", FIRST, "CA", None, True),
        ("c", FIRST, "NY", LATER, False), ("d", FIRST, "unknown", None, True),
    ]  # fmt: skip


def test_one_who_comes_back_has_a_gap(tmp_path: Path) -> None:
    for text, at in (("a,TX\nb,CA\n", NOW), ("b,CA\n", LATER), ("a,TX\nb,CA\n", LATER + (LATER - NOW))):
        build_customers(tmp_path, listed_customers(tmp_path, f"id,state\n{text}"), at)
    with connect(tmp_path, [DIM_CUSTOMER]) as con:
        query = "SELECT valid_from, valid_to FROM warehouse.dim_customer WHERE customer_id = 'a' ORDER BY 1"
        assert con.sql(query).fetchall() == [(FIRST, LATER), (LATER + (LATER - NOW), None)]


@pytest.mark.parametrize(("left", "lost"), [("", "4"), ("a,TX\nnew,TX\nnewer,TX\n", "3")])
def test_a_list_that_lacks_most_of_its_customers_ends_nobody_unless_somebody_says_that_it_is_so(
    tmp_path: Path, left: str, lost: str
) -> None:
    build_customers(tmp_path, listed_customers(tmp_path, "id,state\na,TX\nb,CA\nc,NY\nd,OH\n"), NOW)
    version = open_table(tmp_path, DIM_CUSTOMER).version()
    few = listed_customers(tmp_path, f"id,state\n{left}")
    with pytest.raises(CustomersLost, match=rf"lacks {lost} of the 4 that it had.*--most-are-gone"):
        build_customers(tmp_path, few, LATER)
    assert open_table(tmp_path, DIM_CUSTOMER).version() == version
    build_customers(tmp_path, few, LATER, may_lose_most=True)
    with connect(tmp_path, [DIM_CUSTOMER]) as con:
        current = con.sql("SELECT customer_id FROM warehouse.dim_customer WHERE is_current").fetchall()
    assert {name for (name,) in current} == set(few)


def test_who_is_gone_already_is_not_lost_again_and_an_empty_list_may_be_the_first(tmp_path: Path) -> None:
    assert build_customers(tmp_path, {}, NOW) == 0
    for text in ("a,TX\nb,CA\n", "b,CA\n", "b,CA\nc,NY\n", "c,NY\n"):
        build_customers(tmp_path, listed_customers(tmp_path, f"id,state\n{text}"), LATER)


def test_the_same_list_again_writes_nothing(tmp_path: Path) -> None:
    path = listed(tmp_path, "id,state\na,TX\n")
    versions = []
    for at in (NOW, LATER):
        assert build_customers(tmp_path, read_customers(path), at) == 1
        versions.append(open_table(tmp_path, DIM_CUSTOMER).version())
    assert versions[0] == versions[1]
