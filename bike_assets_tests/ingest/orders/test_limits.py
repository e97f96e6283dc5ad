import pytest

from bike_assets.ingest.orders.limits import CLIENTS, Rate, Unacceptable


def test_a_client_gets_its_rate_and_no_more_and_others_are_not_held_up() -> None:
    now = [0.0]
    rate = Rate(10, lambda: now[0])
    rate.take("a", 10)
    with pytest.raises(Unacceptable) as told:
        rate.take("a", 1)
    assert (told.value.status, told.value.retry_after_s) == (429, 1)
    rate.take("b", 10)
    now[0] = 0.5
    rate.take("a", 5)
    with pytest.raises(Unacceptable):
        rate.take("a", 1)


def test_a_request_larger_than_a_second_holds_is_paid_off_after_it() -> None:
    now = [0.0]
    rate = Rate(10, lambda: now[0])
    rate.take("a", 30)
    now[0] = 2.9
    with pytest.raises(Unacceptable):
        rate.take("a", 10)
    now[0] = 3.1
    rate.take("a", 10)


def test_many_clients_take_no_more_memory() -> None:
    rate = Rate(1, lambda: 0.0)
    for number in range(CLIENTS + 10):
        rate.take(str(number), 1)
    assert len(rate._buckets) == CLIENTS
