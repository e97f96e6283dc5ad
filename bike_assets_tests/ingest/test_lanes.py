"""A lane commits all that stands in it once, whatever becomes of its commits."""

import threading
from collections.abc import Iterable

import pytest

from bike_assets.ingest.lanes import Lane
from bike_assets.model import topics
from bike_assets.model.answers import Answer
from bike_assets.model.errors import Fenced
from bike_assets.model.messages import Poll
from bike_assets_tests.ingest.builders import after, status
from bike_assets_tests.ingest.stand_in import Fate, StandInKafka
from bike_assets_tests.oracle.made import Station

WAIT_S = 10
ANSWERS = [status(after(minutes=n), {"1": Station(n)}) for n in range(4)]


class Running:
    """A lane at work, and what it said was committed."""

    def __init__(self, kafka: StandInKafka) -> None:
        self.lane = Lane(kafka.writer(0), 0)  # so each answer is a commit of its own
        self.said: list[Poll] = []
        self._news = threading.Condition()
        self.lane.start(self._on_commit)

    def _on_commit(self, pairs: Iterable[tuple[Answer, Poll]]) -> None:
        with self._news:
            self.said += [poll for _, poll in pairs]
            self._news.notify_all()

    def put_and_wait(self, answer: Answer) -> None:
        """Give an answer and wait until it is said to be committed."""
        self.lane.put(answer)
        with self._news:
            assert self._news.wait_for(lambda: any(p.fetched_at == answer.fetched_at for p in self.said), WAIT_S)


def committed(kafka: StandInKafka) -> list[int]:
    return [row["bikes_available"] for row in kafka.rows(topics.STATION_STATUS)]


@pytest.fixture
def kafka() -> StandInKafka:
    return StandInKafka()


def test_what_is_queued_is_committed_in_its_order_also_at_the_stop(kafka: StandInKafka) -> None:
    running = Running(kafka)
    for answer in ANSWERS:
        running.lane.put(answer)
    running.lane.stop()
    assert committed(kafka) == [0, 1, 2, 3]
    assert [poll.fetched_at for poll in running.said] == [answer.fetched_at for answer in ANSWERS]
    running.lane.check()


def test_a_lost_commit_is_taken_again(kafka: StandInKafka) -> None:
    running = Running(kafka)
    running.put_and_wait(ANSWERS[0])
    kafka.fates += [Fate.LOST, Fate.LOST]
    for answer in ANSWERS[1:]:
        running.put_and_wait(answer)
    running.lane.stop()
    assert committed(kafka) == [0, 1, 2, 3]
    assert [row["bikes_before"] for row in kafka.rows(topics.STATION_STATUS)] == [None, 0, 1, 2]


def test_a_commit_that_was_stored_but_not_confirmed_is_not_doubled(kafka: StandInKafka) -> None:
    running = Running(kafka)
    running.put_and_wait(ANSWERS[0])
    kafka.fates.append(Fate.UNCONFIRMED)
    running.lane.put(ANSWERS[1])
    running.put_and_wait(ANSWERS[2])
    running.lane.stop()
    assert committed(kafka) == [0, 1, 2]
    assert [row["outcome"] for row in kafka.rows(topics.POLLS)] == ["ok", "ok", "ok"]


def test_a_fenced_writer_ends_its_lane_and_writes_nothing_more(kafka: StandInKafka) -> None:
    running = Running(kafka)
    running.put_and_wait(ANSWERS[0])
    kafka.writer(0).open()
    running.lane.put(ANSWERS[1])
    running.lane._thread.join(WAIT_S)
    with pytest.raises(Fenced):
        running.lane.check()
    assert committed(kafka) == [0]


def test_a_lane_is_full_at_half_its_queue(kafka: StandInKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bike_assets.ingest.lanes.QUEUE_ANSWERS", 4)
    lane = Lane(kafka.writer(0), 0.01)
    lane.put(ANSWERS[0])
    assert not lane.is_full
    lane.put(ANSWERS[1])
    assert lane.is_full
