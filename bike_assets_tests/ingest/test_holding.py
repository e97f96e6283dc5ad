"""The partitions that a poller holds come and go: each has one lane, and what was lost writes nothing.

The lanes are real, Kafka is a stand-in; the hours are told by the test.
"""

import threading
from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import pytest

from bike_assets.ingest import holding
from bike_assets.ingest.holding import CONTESTED_S, Lanes
from bike_assets.ingest.lanes import Lane
from bike_assets.model import topics
from bike_assets.model.answers import Answer
from bike_assets.model.errors import Fenced
from bike_assets.model.messages import Poll
from bike_assets.model.topics import partition_of
from bike_assets_tests.ingest.builders import after, status
from bike_assets_tests.ingest.stand_in import StandInKafka
from bike_assets_tests.oracle.made import Station

WAIT_S, SETTLED_S, PARTITIONS = 10, 18.0, 3
ANSWERS = [status(after(minutes=n), {"1": Station(n)}) for n in range(6)]
SYSTEM = ANSWERS[0].system_id
OURS = partition_of(SYSTEM, PARTITIONS)
OTHER = (OURS + 1) % PARTITIONS


class Holding:
    """What a poller has, its clock, and what it was told to be safe."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.kafka = StandInKafka()
        self.lanes = Lanes(PARTITIONS, lambda partition: Lane(self.kafka.writer(partition), 0))
        self.now = 1_000.0
        self._safe: list[Poll] = []
        self._news = threading.Condition()
        patch.setattr(holding, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.lanes.begin(self._committed)

    def _committed(self, pairs: Iterable[tuple[Answer, Poll]]) -> None:
        with self._news:
            self._safe += [poll for _, poll in pairs]
            self._news.notify_all()

    @property
    def lane(self) -> Lane:
        lane = self.lanes.of(SYSTEM)
        assert lane is not None
        return lane

    def poll(self, number: int) -> None:
        """Give the system's next answer, and wait until it is safe."""
        at = ANSWERS[number].fetched_at
        self.lane.put(ANSWERS[number])
        with self._news:
            assert self._news.wait_for(lambda: any(poll.fetched_at == at for poll in self._safe), WAIT_S)

    def is_fenced_at(self, number: int) -> None:
        """Another opens the partition; our next answer finds it out."""
        self.kafka.writer(OURS).open()
        lane = self.lane
        lane.put(ANSWERS[number])
        lane._thread.join(WAIT_S)
        assert lane.has_ended

    def bikes(self) -> list[int]:
        """The readings that were committed, in their order."""
        return [row["bikes_available"] for row in self.kafka.rows(topics.STATION_STATUS)]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Holding]:
    made = Holding(monkeypatch)
    yield made
    made.lanes.stop(list(made.lanes.held))


def test_a_system_is_ours_with_its_partition_and_with_no_other(held: Holding) -> None:
    held.lanes.take([OTHER])
    assert held.lanes.of(SYSTEM) is None
    held.lanes.take([OURS])
    assert held.lanes.of(SYSTEM) is held.lanes.held[OURS]
    assert sorted(held.lanes.held) == sorted([OURS, OTHER])
    assert [each["partition"] for each in held.lanes.report()] == sorted([OURS, OTHER])


def test_what_is_given_up_commits_what_is_queued_and_is_ours_no_more(held: Holding) -> None:
    held.lanes.take(range(PARTITIONS))
    held.poll(0)
    before = held.lanes.written["polls"]
    held.lane.put(ANSWERS[1])
    held.lanes.stop([OURS])
    assert held.bikes() == [0, 1]
    assert held.lanes.of(SYSTEM) is None
    assert sorted(held.lanes.held) == sorted({*range(PARTITIONS)} - {OURS})
    assert held.lanes.written["polls"] == before + 1, "what it wrote stays counted"


def test_what_is_lost_writes_nothing_and_goes_on_where_it_comes_back(held: Holding) -> None:
    held.lanes.take([OURS])
    held.poll(0)
    lane = held.lane
    held.lanes.hold([OURS])
    lane.put(ANSWERS[1])
    lane.put(ANSWERS[3])
    another = held.kafka.writer(OURS)
    another.open()
    another.write([ANSWERS[2]])
    assert held.bikes() == [0, 2], "ours wait"
    held.lanes.take([OURS])
    assert held.lane is lane
    held.poll(4)
    assert held.bikes() == [0, 2, 3, 4], "what another committed meanwhile is not told again, nor what is older"
    held.lanes.check(SETTLED_S)


def test_what_was_lost_and_went_to_another_ends_and_drops_what_was_queued(held: Holding) -> None:
    held.lanes.take([OURS, OTHER])
    held.poll(0)
    held.lanes.hold([OURS, OTHER])
    held.lane.put(ANSWERS[1])
    held.lanes.take([OTHER])
    assert list(held.lanes.held) == [OTHER]
    assert held.bikes() == [0]
    held.lanes.check(SETTLED_S)


def test_a_partition_that_comes_back_after_its_lane_ended_gets_a_new_one(held: Holding) -> None:
    held.lanes.take([OURS])
    held.poll(0)
    written = held.lanes.written["polls"]
    held.is_fenced_at(1)
    held.lanes.take([OURS])
    held.poll(2)
    assert held.bikes() == [0, 2]
    assert held.lanes.written["polls"] == written + 1
    held.lanes.check(SETTLED_S)


def test_who_shares_with_nobody_stops_as_soon_as_it_is_fenced(held: Holding) -> None:
    held.lanes.take([OURS])
    held.is_fenced_at(0)
    with pytest.raises(Fenced):
        held.lanes.check(0.0)


def test_who_is_fenced_waits_until_it_is_told_that_the_partition_is_anothers(held: Holding) -> None:
    held.lanes.take([OURS, OTHER])
    held.is_fenced_at(0)
    held.lanes.check(SETTLED_S)
    held.now += SETTLED_S - 1
    held.lanes.check(SETTLED_S)
    assert held.lane.has_ended
    held.lanes.stop([OURS])
    held.now += 2
    held.lanes.check(SETTLED_S)
    assert list(held.lanes.held) == [OTHER]


def test_who_is_fenced_and_out_of_the_group_takes_nothing_back(held: Holding) -> None:
    held.lanes.take([OURS])
    held.is_fenced_at(0)
    held.lanes.check(SETTLED_S)
    held.lanes.hold([OURS])
    held.now += SETTLED_S + 1
    held.lanes.check(SETTLED_S)
    assert held.lane.has_ended


def test_a_partition_that_is_ours_still_is_taken_back_once(held: Holding) -> None:
    held.lanes.take([OURS])
    held.poll(0)
    held.is_fenced_at(1)
    held.lanes.check(SETTLED_S)
    held.now += SETTLED_S + 1
    held.lanes.check(SETTLED_S)
    held.poll(2)
    assert held.bikes() == [0, 2]
    held.is_fenced_at(3)
    held.now += 1
    with pytest.raises(Fenced, match="took the partition over"):
        held.lanes.check(SETTLED_S)


def test_after_a_while_it_may_be_taken_back_again(held: Holding) -> None:
    held.lanes.take([OURS])
    for number in (0, 2):
        held.is_fenced_at(number)
        held.now += CONTESTED_S + 1
        held.lanes.check(SETTLED_S)
        held.now += SETTLED_S + 1
        held.lanes.check(SETTLED_S)
        held.poll(number + 1)
    assert held.bikes() == [1, 3]


def test_any_other_end_of_a_lane_is_raised_at_once(held: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a bug")

    held.lanes.take([OURS])
    monkeypatch.setattr(held.lane._writer, "write", broken)
    held.lane.put(ANSWERS[0])
    held.lane._thread.join(WAIT_S)
    with pytest.raises(KeyError, match="a bug"):
        held.lanes.check(SETTLED_S)
