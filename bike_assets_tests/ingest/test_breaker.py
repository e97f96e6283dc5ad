"""A feed that is down is asked less and less, and as before once it answers."""

from bike_assets.ingest.breaker import FAILURES, PROBE_S, Breaker


def after_failures(count: int) -> Breaker:
    breaker = Breaker()
    for _ in range(count):
        breaker.tell(is_answered=False)
    return breaker


def test_a_few_failures_change_nothing() -> None:
    breaker = after_failures(FAILURES - 1)
    assert not breaker.is_open
    assert breaker.interval_s(60) == 60


def test_each_further_failure_doubles_the_interval_up_to_a_bound() -> None:
    intervals = [after_failures(FAILURES + more).interval_s(60) for more in range(6)]
    assert intervals == [120, 240, 480, PROBE_S, PROBE_S, PROBE_S]
    assert after_failures(10_000).interval_s(60) == PROBE_S


def test_a_feed_that_is_asked_seldom_is_never_asked_more_often_for_its_failures() -> None:
    assert after_failures(50).interval_s(3600) == 3600


def test_one_answer_closes_it_at_once() -> None:
    breaker = after_failures(50)
    breaker.tell(is_answered=True)
    assert not breaker.is_open
    assert breaker.interval_s(60) == 60
