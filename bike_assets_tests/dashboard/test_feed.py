import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bike_assets.dashboard.feed import Connection, Follower
from bike_assets.dashboard.live import Changes
from bike_assets_tests.dashboard.builders import description, polled, station, system
from bike_assets_tests.dashboard.memory_feed import MemoryFeed

PATIENCE_S = 10.0


class Listener:
    """Waits for what a follower says to come true; woken by the follower, not by the clock."""

    def __init__(self) -> None:
        self._said = threading.Condition()

    def wake(self) -> None:
        with self._said:
            self._said.notify_all()

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        with self._said:
            assert self._said.wait_for(is_so, PATIENCE_S)


@contextmanager
def following(feed: MemoryFeed) -> Iterator[tuple[Follower, Listener]]:
    follower, listener = Follower(feed), Listener()
    follower.start(listener.wake)
    try:
        yield follower, listener
    finally:
        follower.stop()


def is_live(follower: Follower) -> Callable[[], bool]:
    return lambda: follower.status().connection is Connection.LIVE


def taken_until(follower: Follower, listener: Listener, key: str) -> Changes:
    found: list[Changes] = []

    def has_come() -> bool:
        found.append(follower.take()[1])
        return any(one.key == key for one in found[-1].stations)

    listener.wait_for(has_come)
    return found[-1]


def test_what_is_there_comes_as_a_snapshot_and_what_follows_as_changes() -> None:
    feed = MemoryFeed(system(), description(), station(bikes_available=5), polled())
    with following(feed) as (follower, listener):
        listener.wait_for(is_live(follower))
        _, snapshot = follower.snapshot()
        assert [one.bikes_available for one in snapshot.stations] == [5]
        assert follower.take()[1] == Changes([], [], [])
        feed.put(station(bikes_available=4))
        changes = taken_until(follower, listener, "oslo/1")
        assert [one.bikes_available for one in changes.stations] == [4]


def test_nothing_is_shown_before_all_that_was_there_has_been_read() -> None:
    feed = MemoryFeed(station("1"), station("2"), station("1", bikes_available=8), at_once=1)
    with following(feed) as (follower, listener):
        listener.wait_for(lambda: follower.generation == 1)
        _, snapshot = follower.snapshot()
        assert [(one.key, one.bikes_available) for one in snapshot.stations] == [("oslo/1", 8), ("oslo/2", 5)]


def test_of_many_changes_of_a_station_only_the_newest_is_taken() -> None:
    feed = MemoryFeed(station())
    with following(feed) as (follower, listener):
        listener.wait_for(is_live(follower))
        feed.put(*(station(bikes_available=bikes) for bikes in range(9)), station("2"))
        changes = taken_until(follower, listener, "oslo/2")
        assert [(one.key, one.bikes_available) for one in changes.stations] == [("oslo/1", 8), ("oslo/2", 5)]


def test_a_broker_that_is_down_is_said_and_waited_for() -> None:
    feed = MemoryFeed(station())
    feed.break_down()
    with following(feed) as (follower, listener):
        listener.wait_for(lambda: follower.status().connection is Connection.DOWN)
        assert "does not answer" in (follower.status().reason or "")
        assert follower.is_alive
        feed.mend()
        listener.wait_for(is_live(follower))
        assert (follower.status().stations, follower.status().reason) == (1, None)


def test_while_the_broker_is_down_the_state_stays_and_what_came_back_takes_its_place() -> None:
    feed = MemoryFeed(station("1"), station("2"))
    with following(feed) as (follower, listener):
        listener.wait_for(is_live(follower))
        before = follower.generation
        feed.break_down(station("2"), station("3"))
        listener.wait_for(lambda: follower.status().connection is Connection.DOWN)
        assert follower.status().stations == 2
        feed.mend()
        listener.wait_for(is_live(follower))
        generation, snapshot = follower.snapshot()
        assert generation == before + 1
        assert [one.key for one in snapshot.stations] == ["oslo/2", "oslo/3"]
        assert feed.opened == 2


def test_a_follower_whose_thread_ended_is_not_alive() -> None:
    follower = Follower(MemoryFeed())
    follower.start(lambda: None)
    assert follower.is_alive
    follower.stop()
    assert not follower.is_alive
