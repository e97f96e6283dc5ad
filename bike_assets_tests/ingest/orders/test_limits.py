import pytest

from bike_assets.ingest.orders.limits import CLIENTS, ORDER_BYTES, Rate, Unacceptable


def asked(rate: Rate, client: str, orders: int) -> None:
    """What a request of so many orders takes."""
    rate.begin(client)
    rate.take(client, orders)


def test_a_client_gets_its_rate_and_no_more_and_others_are_not_held_up() -> None:
    now = [0.0]
    rate = Rate(10, lambda: now[0])
    asked(rate, "a", 10)
    with pytest.raises(Unacceptable) as told:
        asked(rate, "a", 1)
    assert (told.value.status, told.value.retry_after_s) == (429, 1)
    asked(rate, "b", 10)
    now[0] = 0.5
    asked(rate, "a", 5)
    with pytest.raises(Unacceptable):
        asked(rate, "a", 1)


def test_a_request_larger_than_a_second_holds_is_paid_off_after_it() -> None:
    now = [0.0]
    rate = Rate(10, lambda: now[0])
    asked(rate, "a", 30)
    now[0] = 2.9
    with pytest.raises(Unacceptable):
        asked(rate, "a", 10)
    now[0] = 3.1
    asked(rate, "a", 10)


def test_what_is_read_in_vain_counts_as_the_orders_that_it_could_have_held() -> None:
    now = [0.0]
    rate = Rate(10, lambda: now[0])
    rate.begin("a")
    rate.charge("a", 15 * ORDER_BYTES)
    now[0] = 0.6
    with pytest.raises(Unacceptable):
        rate.begin("a")
    now[0] = 0.8
    rate.begin("a")


def test_a_request_of_a_whole_second_is_not_kept_out_by_its_own_first_order() -> None:
    rate = Rate(10, lambda: 0.0)
    rate.begin("a")
    rate.take("a", 10)
    with pytest.raises(Unacceptable):
        rate.begin("a")


def test_many_clients_take_no_more_memory() -> None:
    rate = Rate(1, lambda: 0.0)
    for number in range(CLIENTS + 10):
        asked(rate, str(number), 1)
    assert len(rate._buckets) == CLIENTS
