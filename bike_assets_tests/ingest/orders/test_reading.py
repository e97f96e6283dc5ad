"""What is taken for an order, and what is told of all else."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bike_assets.ingest.orders.reading import MAX_ORDERS, OrdersRefused, _exact, _validated, read_orders
from bike_assets_tests.ingest.orders.builders import body, sent

NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)
DAYS = 10_000
TEXT = body(sent(total=12.5)).decode()


def refused(raw: bytes | str) -> tuple[int, str]:
    """The status and the first field that is named."""
    with pytest.raises(OrdersRefused) as told:
        read_orders(raw if isinstance(raw, bytes) else raw.encode(), NOW, DAYS)
    assert all(each.says for each in told.value.problems)
    return told.value.status, told.value.problems[0].field


@pytest.mark.parametrize(("name", "value"), [
    ("total", float("nan")), ("total", float("inf")), ("total", -float("inf")), ("total", "NaN"), ("total", "Infinity"),
    ("total", -1), ("total", "-0.01"), ("total", "1.005"), ("total", 1.005), ("total", "12345678901.00"),
    ("total", "1_000"), ("total", "1E+5"), ("total", "٣"), ("total", " 1"), ("total", True), ("total", None),
    ("total", 123456789012345678901234567890), ("total", "123456789012345678901234567890"),
    ("quantity", -1), ("quantity", 1.5), ("quantity", 1.0), ("quantity", "2"), ("quantity", 10**9),
    ("quantity", True), ("version", 0), ("version", -3), ("version", 2**70), ("version", None),
    ("order_id", ""), ("order_id", "a b"), ("order_id", "a\n"), ("order_id", "x" * 65), ("order_id", 7),
    ("customer_id", None), ("source", ["shop"]), ("source", "å"),
    ("created_at", "2026-02-30T00:00:00Z"), ("created_at", "2026-11-20T12:00:00"), ("created_at", "2026-11-20"),
    ("created_at", 1763640000), ("created_at", "1763640000"), ("created_at", "1999-12-31T23:59:59Z"),
    ("created_at", "2026-11-21T13:00:01Z"), ("created_at", "20.11.2026"), ("created_at", "0000-01-01T00:00:00Z"),
])  # fmt: skip
def test_a_wrong_value_is_refused_by_the_name_of_its_field(name: str, value: Any) -> None:
    assert refused(body(sent(**{name: value}))) == (422, name)
    assert refused(body(sent(), sent(**{name: value}))) == (422, f"[1].{name}")


@pytest.mark.parametrize("name", sent())
def test_a_field_that_lacks_or_stands_twice_is_named(name: str) -> None:
    lacks = sent()
    value = lacks.pop(name)
    assert refused(body(lacks)) == (422, name)
    twice = TEXT.replace(f'"{name}"', f'"{name}": {json.dumps(value)}, "{name}"')
    assert refused(twice) == (400, name)
    assert refused(f"[{TEXT}, {twice}]") == (400, f"[1].{name}")


def test_a_doubled_name_is_found_however_it_is_written() -> None:
    assert refused(TEXT.replace('"total"', r'"tot\u0061l": 1, "total"')) == (400, "total")
    assert refused(TEXT.replace('"quantity"', '"quantity":1,"quantity"').replace('"shop"', '"quantity"')) == (
        400, "quantity",
    )  # fmt: skip


def test_a_name_that_stands_in_a_value_is_no_double() -> None:
    (order,) = read_orders(body(sent(source="total", customer_id="version")), NOW, DAYS)
    assert (order.source, order.customer_id) == ("total", "version")


@pytest.mark.parametrize("number", ["0.100000000000000000000000000001", "12.5000000000000000000000000001", "1e400",
                                    "99999999999999999999999999999.9", "12.49999999999999999", "1e5"])  # fmt: skip
def test_no_digit_of_an_amount_is_lost_before_it_is_judged(number: str) -> None:
    assert refused(TEXT.replace("12.5", number)) == (422, "total")


def test_an_unknown_field_is_refused_by_its_name_without_what_could_harm_a_terminal() -> None:
    assert refused(body(sent(colour="red"))) == (422, "colour")
    assert refused(body(sent(**{"\x1b[2J": 1}))) == (422, "?[2J")


@pytest.mark.parametrize("raw", [b"", b"{", b"[", b"\xff\xfe", b"{'a': 1}", b"[" * 100_000, b'{"a":' * 50_000,
                                 TEXT.encode()[:-1], TEXT.encode() + b"x", b'{"a": %s}' % (b"1" * 10_000)])  # fmt: skip
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    assert refused(raw)[0] in {400, 422}


@pytest.mark.parametrize("raw", [b"1", b'"order"', b"null", b"[]", b"[1]", b"[[]]", b"{}"])
def test_json_that_holds_no_order_is_refused(raw: bytes) -> None:
    assert refused(raw)[0] == 422


def test_a_list_has_its_limit() -> None:
    orders = [sent(order_id=f"A-{number}") for number in range(MAX_ORDERS + 1)]
    assert len(read_orders(body(*orders[:-1]), NOW, DAYS)) == MAX_ORDERS
    assert refused(body(*orders)) == (413, "")


def test_the_same_order_is_the_same_however_it_is_spelled() -> None:
    spelled = [
        sent(), sent(total=12.5), sent(total="12.5"), sent(created_at="2026-11-20T13:00:00+01:00"),
        sent(created_at="2026-11-20T12:00:00.000900Z"),
    ]  # fmt: skip
    (first, *others) = [read_orders(body(each), NOW, DAYS) for each in spelled]
    assert all(each == first for each in others)
    assert first[0].total == Decimal("12.50")


AMOUNTS = st.one_of(
    st.decimals(0, 10**10 - 1, places=2), st.integers(-3, 10**12), st.decimals(allow_nan=False, allow_infinity=False)
).map(lambda each: format(each, "f"))


@given(amount=AMOUNTS, as_text=st.booleans())
def test_an_amount_is_taken_exactly_or_not_at_all(amount: str, as_text: bool) -> None:
    raw = TEXT.replace("12.5", f'"{amount}"' if as_text else amount)
    exact = Decimal(amount)
    is_amount = 0 <= exact < 10**10 and exact == exact.quantize(Decimal("0.01")) if exact < 10**20 else False
    # More digits than an amount has are refused even where they are zeros.
    if is_amount and len(amount.partition(".")[2]) <= 2:
        (order,) = read_orders(raw.encode(), NOW, DAYS)
        assert order.total == exact
    elif not is_amount:
        assert refused(raw) == (422, "total")


@given(st.lists(st.fixed_dictionaries({
    "order_id": st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64),
    "version": st.integers(1, 10**6), "quantity": st.integers(0, 10**6),
    "total": st.decimals(0, 10**10 - 1, places=2).map(lambda each: format(each, "f")),
    "created_at": st.datetimes(datetime(2000, 1, 2), datetime(2026, 11, 19)).map(lambda at: f"{at.isoformat()}Z"),  # noqa: DTZ001
}), min_size=1, max_size=5))  # fmt: skip
def test_the_quick_and_the_exact_reader_agree(orders: list[dict[str, Any]]) -> None:
    raw = json.dumps([sent(**each) for each in orders]).encode()
    assert _validated(_exact(raw), is_list=True) == _validated(raw, is_list=True)
    read = read_orders(raw, NOW, DAYS)
    assert [each.total for each in read] == [Decimal(each["total"]) for each in orders]


def test_an_order_is_as_old_as_is_remembered_at_the_most() -> None:
    oldest = NOW - timedelta(days=90)
    assert read_orders(body(sent(created_at=oldest.isoformat())), NOW, 90)
    with pytest.raises(OrdersRefused) as told:
        read_orders(body(sent(created_at=(oldest - timedelta(milliseconds=1)).isoformat())), NOW, 90)
    assert told.value.problems[0].field == "created_at"
    assert "since 2026-08-22T13:00:00Z" in told.value.problems[0].says


def test_a_clock_may_be_a_day_ahead() -> None:
    ahead = (NOW + timedelta(days=1)).isoformat()
    assert read_orders(body(sent(created_at=ahead)), NOW, DAYS)
