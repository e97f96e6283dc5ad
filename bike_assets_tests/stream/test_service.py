"""The keeper of a query."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession

from bike_assets.model.errors import ServiceNotReady
from bike_assets.stream import service
from bike_assets.stream.service import QueryKeeper


class Clock:
    """A clock that is set."""

    now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(service, "time", made)
    return made


def keeper_of(query: Any) -> QueryKeeper:
    """The keeper of a stand-in for a query: a real one cannot be made to hang."""
    keeper = QueryKeeper("events", cast("Any", None), cast("SparkSession", None), 1.0)
    keeper._query = query
    return keeper


def test_a_batch_that_hangs_ends_the_service(clock: Clock) -> None:
    query = SimpleNamespace(isActive=True, status={"isTriggerActive": True}, lastProgress={"batchId": 3})
    keeper = keeper_of(query)
    keeper.keep()
    clock.now_s += service.BATCH_HANGS_S
    keeper.keep()
    query.lastProgress = {"batchId": 4}
    clock.now_s += 1
    keeper.keep()
    clock.now_s += service.BATCH_HANGS_S + 1
    with pytest.raises(ServiceNotReady, match="The query events has been in one batch for 600 s"):
        keeper.keep()


def test_a_query_that_waits_for_its_next_trigger_does_not_hang(clock: Clock) -> None:
    keeper = keeper_of(SimpleNamespace(isActive=True, status={"isTriggerActive": False}, lastProgress=None))
    keeper.keep()
    clock.now_s += 10 * service.BATCH_HANGS_S
    keeper.keep()


def test_two_queries_that_do_not_come_to_an_end_are_broken_off_at_the_same_instant(clock: Clock) -> None:
    broken_off: list[float] = []
    ends = clock.now_s + service.BATCH_ENDS_S
    for _ in range(2):
        status = {"isTriggerActive": True}
        query = SimpleNamespace(isActive=True, status=status, stop=lambda: broken_off.append(clock.now_s))
        keeper_of(query).stop(ends)
    assert broken_off == pytest.approx([ends, ends], abs=0.1)
