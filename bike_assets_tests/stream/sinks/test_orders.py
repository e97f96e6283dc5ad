"""The orders in a real Cassandra: as the lake's are, whatever it goes through."""

import os
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Cluster, Session

from bike_assets.heartbeats import FRESH_S
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import SinkUnavailable
from bike_assets.stream.sinks import events
from bike_assets.stream.sinks.orders import OrdersCarrier, OrdersCassandra
from bike_assets_tests.cassandra import HOST, CassandraServer
from bike_assets_tests.stream.test_sales import NOON, Lake, order


@pytest.fixture
def server(cassandra_running: CassandraServer) -> CassandraServer:
    """One with a keyspace of this test's own, not made yet."""
    return replace(cassandra_running, keyspace=f"orders_{uuid.uuid4().hex}")


@pytest.fixture
def cql(server: CassandraServer) -> Iterator[Session]:
    with Cluster([HOST], port=server.port) as cluster:
        session = cluster.connect()
        session.default_timeout = 30
        yield session


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def kept(cql: Session, server: CassandraServer) -> list[tuple[Any, ...]]:
    cql.set_keyspace(server.keyspace)
    return sorted(tuple(row) for row in cql.execute("SELECT order_id, version, source, quantity, total FROM orders"))


def carried(lake: Lake, server: CassandraServer) -> OrdersCarrier:
    """A carrier as after a restart, that has looked once."""
    carrier = OrdersCarrier(lake.path, OrdersCassandra(server.url))
    carrier.carry()
    assert (carrier.trouble, carrier.behind) == (None, 0)
    assert carrier.caught_up_at is not None
    return carrier


def test_each_version_comes_once_with_every_cent_and_a_restart_adds_nothing(
    lake: Lake, server: CassandraServer, cql: Session
) -> None:
    lake.add(order("1", total=Decimal("9999999999.99")), order("1", 2, quantity=0, total=Decimal(0), kafka_offset=1))
    assert carried(lake, server).written == 2
    assert carried(lake, server).written == 0
    lake.add(order("2", source="app", kafka_partition=3))
    assert carried(lake, server).written == 1
    assert kept(cql, server) == [
        ("1", 1, "shop", 2, Decimal("9999999999.99")), ("1", 2, "shop", 0, Decimal("0.00")),
        ("2", 1, "app", 2, Decimal("0.10")),
    ]  # fmt: skip
    newest = cql.execute("SELECT version, created_at FROM orders WHERE order_id = '1' LIMIT 1").one()
    assert (newest.version, newest.created_at) == (2, NOON.replace(tzinfo=None))


def test_many_come_in_lots_and_one_that_is_killed_between_lot_and_note_comes_to_the_same(
    lake: Lake, server: CassandraServer, cql: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOT", 7)
    # Offsets of the partitions are not in the order of the batches that brought them.
    lake.add(*(order(str(n), kafka_partition=n % 3, kafka_offset=n // 3) for n in range(0, 60, 2)))
    lake.add(*(order(str(n), kafka_partition=n % 3, kafka_offset=n // 3) for n in range(1, 60, 2)))
    sink = OrdersCassandra(server.url)
    first = OrdersCarrier(lake.path, sink)
    note, notes = sink.note, iter(range(4))

    def killed(progress: Any) -> None:
        if next(notes) == 3:
            raise SinkUnavailable("killed")
        note(progress)

    with monkeypatch.context() as patched:
        patched.setattr(sink, "note", killed)
        first.carry()
    assert (first.written, first.behind, first.trouble) == (21, 39, "killed")
    assert carried(lake, server).written == 39
    assert {row[0] for row in kept(cql, server)} == {str(n) for n in range(60)}


def test_a_look_that_has_brought_for_long_lets_the_heart_beat_and_goes_on(
    lake: Lake, server: CassandraServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOT", 1)
    monkeypatch.setattr(events, "LOOK_S", 0.0)
    lake.add(order("1"), order("2", kafka_offset=1))
    carrier = OrdersCarrier(lake.path, OrdersCassandra(server.url))
    assert (carrier.carry(), carrier.behind, carrier.caught_up_at) == (True, 2, None)
    monkeypatch.setattr(events, "LOOK_S", 5.0)
    assert (carrier.carry(), carrier.behind) == (False, 0)


def test_one_that_hangs_is_told_in_time_with_what_waits_and_catches_up(
    lake: Lake, server: CassandraServer, cql: Session
) -> None:
    lake.add(order("1"))
    carrier = carried(lake, server)
    lake.add(order("2", kafka_offset=1))
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for _ in range(2):  # with the session it had, and for a new one
            began = time.monotonic()
            carrier.carry()
            assert time.monotonic() - began < FRESH_S - 5
            assert (carrier.behind, carrier.trouble is None) == (1, False)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    carrier.carry()
    assert (carrier.behind, carrier.trouble) == (0, None)
    assert [row[0] for row in kept(cql, server)] == ["1", "2"]


def test_one_that_takes_no_writes_is_told_and_catches_up(lake: Lake, server: CassandraServer, cql: Session) -> None:
    lake.add(order("1"))
    carrier = carried(lake, server)
    lake.add(order("2", kafka_offset=1))
    cql.execute(f"ALTER TABLE {server.keyspace}.orders DROP quantity")
    carrier.carry()
    assert "quantity" in (carrier.trouble or "")
    assert carrier.behind == 1
    cql.execute(f"ALTER TABLE {server.keyspace}.orders ADD quantity int")
    carrier.carry()
    assert (carrier.behind, carrier.trouble) == (0, None)
    assert kept(cql, server)[1][0] == "2"


def test_one_that_was_emptied_gets_all_again(lake: Lake, server: CassandraServer, cql: Session) -> None:
    lake.add(order("1"), order("2", kafka_offset=1))
    carrier = carried(lake, server)
    cql.execute(f"DROP KEYSPACE {server.keyspace}")
    carrier.carry()  # finds it gone
    carrier.carry()
    assert [row[0] for row in kept(cql, server)] == ["1", "2"]


def test_one_that_is_down_is_told_without_the_password_and_nothing_is_counted_as_brought(lake: Lake) -> None:
    (port,) = free_ports(1)
    lake.add(order("1"))
    carrier = OrdersCarrier(lake.path, OrdersCassandra(f"cassandra://me:secret@{HOST}:{port}"))
    carrier.carry()
    assert (carrier.trouble or "").startswith(f"Cassandra at {HOST}:{port}/spark_streams does not take the orders: ")
    assert "secret" not in (carrier.trouble or "")
    assert carrier.report() == {"written": 0, "behind": None, "trouble": carrier.trouble, "caught_up_at": None}
