"""The members in a real Cassandra: as the lake's are, whatever it goes through."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from cassandra.cluster import Cluster

from bike_assets.lake.forgotten import take_out_members
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import SinkUnavailable, WrongSettings
from bike_assets.stream.sinks.created_users import CreatedUsers
from bike_assets.stream.sinks.users import UsersCarrier
from bike_assets_tests.cassandra import CassandraServer
from bike_assets_tests.lake.test_forgotten import add, id_of


class Down:
    """A database that does not answer, whatever it is asked."""

    def __getattr__(self, name: str) -> object:
        raise SinkUnavailable("it is down")


@pytest.fixture
def sink(cassandra_running: CassandraServer) -> Iterator[CreatedUsers]:
    """One with a keyspace of this test's own, not made yet."""
    made = CreatedUsers(f"cassandra://127.0.0.1:{cassandra_running.port}/members_{uuid.uuid4().hex}")
    yield made
    made.close()


def carried(lake: Path, sink: CreatedUsers) -> UsersCarrier:
    """A carrier as after a restart, that has looked once."""
    carrier = UsersCarrier(lake, sink)
    carrier.carry()
    assert carrier.trouble is None
    return carrier


def test_members_come_once_and_a_restart_adds_nothing(tmp_path: Path, sink: CreatedUsers) -> None:
    add(tmp_path, 1, 2)
    assert carried(tmp_path, sink).written == 2
    assert carried(tmp_path, sink).written == 0
    add(tmp_path, 3)
    assert carried(tmp_path, sink).written == 1
    assert sink.ids() == {id_of(1), id_of(2), id_of(3)}
    with Cluster(["127.0.0.1"], port=sink._url.port) as cluster:
        row = cluster.connect(sink._keyspace).execute("SELECT * FROM created_users").all()[0]
    assert (row.city, row.birth_year, row.postcode_area, len(row.email_hash)) == ("Oslo", 1990, "01", 64)


def test_one_that_was_down_gets_who_came_and_loses_who_was_forgotten(tmp_path: Path, sink: CreatedUsers) -> None:
    add(tmp_path, 1, 2)
    carrier = carried(tmp_path, sink)
    carrier._sink = Down()  # type: ignore[assignment]
    add(tmp_path, 3, 4)
    take_out_members(tmp_path, [id_of(1)])
    carrier.carry()
    assert (carrier.trouble, carrier.behind) == ("it is down", 2)
    assert sink.ids() == {id_of(1), id_of(2)}
    carrier._sink = sink
    carrier.carry()
    assert (carrier.trouble, carrier.behind) == (None, 0)
    assert sink.ids() == {id_of(2), id_of(3), id_of(4)}


def test_one_that_was_killed_before_its_note_does_it_again_and_comes_to_the_same(
    tmp_path: Path, sink: CreatedUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, 1, 2)

    def killed(*_: object) -> None:
        raise SinkUnavailable("killed")

    with monkeypatch.context() as patched:
        patched.setattr(sink, "note", killed)
        UsersCarrier(tmp_path, sink).carry()
    assert sink.progress() is None
    assert carried(tmp_path, sink).written == 2
    assert sink.ids() == {id_of(1), id_of(2)}


def test_tables_that_somebody_dropped_are_made_and_filled_again(tmp_path: Path, sink: CreatedUsers) -> None:
    add(tmp_path, 1, 2)
    carrier = carried(tmp_path, sink)
    with Cluster(["127.0.0.1"], port=sink._url.port) as cluster:
        cluster.connect().execute(f"DROP KEYSPACE {sink._keyspace}", timeout=30)
    carrier.carry()  # finds them gone
    carrier.carry()
    assert sink.ids() == {id_of(1), id_of(2)}


def test_one_that_is_down_is_told_without_the_password() -> None:
    (port,) = free_ports(1)
    with pytest.raises(SinkUnavailable, match=rf"^Cassandra at 127\.0\.0\.1:{port}/spark_streams ") as told:
        CreatedUsers(f"cassandra://me:secret@127.0.0.1:{port}").ids()
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("url", ["nonsense", "postgresql://me:secret@h/x", "cassandra://", "cassandra://h/x;drop"])
def test_another_url_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(WrongSettings) as told:
        CreatedUsers(url)
    assert "secret" not in str(told.value)
