"""Orders and members in a Cassandra of their own, whose disk is full for a time.

Its commit log is mapped into memory: where that gets no more pages, its Java ends; where a file cannot be written, it
stops answering (`disk_failure_policy: stop`). Either way somebody makes room, and starts it again.
"""

import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Cluster

from bike_assets.lake.forgotten import take_out_members
from bike_assets.stream.sinks import carrier, events
from bike_assets.stream.sinks.carrier import Carrier, run_sink
from bike_assets.stream.sinks.created_users import CreatedUsers
from bike_assets.stream.sinks.orders import OrdersCarrier, OrdersCassandra
from bike_assets.stream.sinks.users import UsersCarrier
from bike_assets_tests.cassandra import HOST, Cassandra
from bike_assets_tests.conftest import HOME
from bike_assets_tests.disks import SmallDisk, small_disk
from bike_assets_tests.lake.test_forgotten import add, id_of
from bike_assets_tests.stream.test_sales import Lake, order
from bike_assets_tests.waiting import wait_until

MANY = 6_000
SOME_ROOM, LITTLE_ROOM = 256 * 2**10, 32 * 2**10
"""Room for some of the orders; for the log of a few deletions, and not for files of all members."""


class FullAtTimes:
    """A Cassandra, and the disk that all its files are on."""

    def __init__(self, cassandra: Cassandra, disk: SmallDisk) -> None:
        self._cassandra, self.disk = cassandra, disk
        self.port = cassandra.start().port

    def url(self) -> str:
        """With a keyspace that is not made yet."""
        return f"cassandra://{HOST}:{self.port}/full_{uuid.uuid4().hex}"

    def make_room_and_start_again(self) -> None:
        self.disk.make_room()
        self._cassandra.kill()
        self._cassandra.start()


@pytest.fixture(scope="module")
def server() -> Iterator[FullAtTimes]:
    """The one that these tests share."""
    with small_disk() as disk, tempfile.TemporaryDirectory(prefix="bike-cassandra-") as root:
        cassandra = Cassandra(HOME, Path(root), disk.path)
        try:
            yield FullAtTimes(cassandra, disk)
        finally:
            cassandra.kill()


@contextmanager
def carrying(by: Carrier) -> Iterator[dict[str, Any]]:
    """What its heartbeat says, while it carries by itself."""
    said: dict[str, Any] = by.report()
    stop = threading.Event()
    thread = threading.Thread(target=run_sink, args=(by, said.update, stop))
    thread.start()
    try:
        yield said
    finally:
        stop.set()
        thread.join()


def await_all_there(said: dict[str, Any]) -> None:
    wait_until(lambda: said["trouble"] is None and said["behind"] == 0, 120)


def await_trouble(said: dict[str, Any]) -> None:
    wait_until(lambda: said["trouble"] is not None, 120)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier, "EVERY_S", 0.5)
    monkeypatch.setattr(carrier, "BEAT_S", 0.1)


def test_orders_wait_for_room_and_all_stand_there_once(
    server: FullAtTimes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOT", 200)  # so that some are noted before it ends
    lake, url = Lake(tmp_path), server.url()
    lake.add(order("0"))
    sink = OrdersCassandra(url)
    with carrying(OrdersCarrier(tmp_path, sink)) as said:
        await_all_there(said)
        server.disk.fill(left=SOME_ROOM)
        lake.add(*(order(str(number), kafka_offset=number) for number in range(1, MANY)))
        await_trouble(said)
        assert said["behind"] == MANY - said["written"] > 0
        server.make_room_and_start_again()
        await_all_there(said)
    sink.close()
    with Cluster([HOST], port=server.port) as cluster:
        session = cluster.connect(url.rpartition("/")[2])
        there = [row.order_id for row in session.execute("SELECT order_id FROM orders", timeout=30)]
    assert sorted(there) == sorted(str(number) for number in range(MANY))


def test_members_wait_for_room_and_who_was_forgotten_is_gone(server: FullAtTimes, tmp_path: Path) -> None:
    add(tmp_path, *range(1, MANY))
    sink = CreatedUsers(server.url())
    with carrying(UsersCarrier(tmp_path, sink)) as said:
        await_all_there(said)
        server.disk.fill(left=LITTLE_ROOM)
        take_out_members(tmp_path, [id_of(1), id_of(2)])
        await_trouble(said)
        add(tmp_path, MANY, MANY + 1)
        wait_until(lambda: said["behind"] == 2)
        server.make_room_and_start_again()
        await_all_there(said)
    assert sink.ids() == {id_of(number) for number in range(3, MANY + 2)}
    sink.close()
