"""How far the stream is behind, from where it is and where the topics end."""

from datetime import datetime, timedelta
from typing import Any

from bike_assets.model.errors import BrokerUnavailable
from bike_assets.stream.behind import Behind
from bike_assets.stream.offsets import Offsets
from bike_assets_tests.model.builders import NOON


class Topics:
    """A topic of one partition; `end` None where Kafka does not answer."""

    def __init__(self) -> None:
        self.end: int | None = 10
        self.behind = Behind(self.ends, NOON)

    def ends(self) -> Offsets:
        if self.end is None:
            raise BrokerUnavailable("Kafka does not answer.")
        return at(self.end)

    def after(self, seconds: float, end: int | None, done: int) -> tuple[Any, float]:
        """Messages that wait, and how long ago none did, where the topics ended so and the stream was so far."""
        self.end = end
        self.behind.ask(NOON + timedelta(seconds=seconds))
        said = self.behind.report(at(done))
        lasts = NOON + timedelta(seconds=seconds) - datetime.fromisoformat(said["caught_up_at"])
        return said["messages"], lasts.total_seconds()


def at(offset: int) -> Offsets:
    return {"polls": {"0": offset}}


def test_a_stream_that_holds_all_is_not_behind() -> None:
    assert Topics().after(10, end=10, done=10) == (0, 0)


def test_a_stream_that_stands_still_falls_behind_from_when_it_last_held_all() -> None:
    topics = Topics()
    topics.after(10, end=10, done=10)
    assert topics.after(20, end=15, done=10) == (5, 10)
    assert topics.after(300, end=40, done=10) == (30, 290)


def test_a_stream_that_works_on_is_as_far_behind_as_what_it_has_reached_is_old() -> None:
    topics = Topics()
    topics.after(10, end=10, done=5)
    assert topics.after(20, end=15, done=10) == (5, 10), "it holds what the topics held at 10"
    assert topics.after(30, end=15, done=15)[0] == 0


def test_a_stream_knows_of_nothing_that_it_held_before_it_has_caught_up_once() -> None:
    topics = Topics()
    topics.behind.ask(NOON)
    assert [topics.behind.report(at(done))["has_caught_up"] for done in (5, 10, 10)] == [False, True, True]


def test_where_kafka_does_not_answer_nobody_knows_how_many_wait() -> None:
    assert Topics().after(10, end=None, done=10)[0] is None
