"""The members in a real Cassandra: as the lake's are, whatever it goes through."""

import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cassandra.cluster import Cluster

from bike_assets.lake.forgotten import take_out_members
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import SinkUnavailable, WrongSettings
from bike_assets.stream.sinks import created_users
from bike_assets.stream.sinks.created_users import CreatedUsers
from bike_assets.stream.sinks.users import UsersCarrier
from bike_assets_tests.cassandra import CassandraServer
from bike_assets_tests.lake.test_forgotten import add, id_of
from bike_assets_tests.model.builders import user
from bike_assets_tests.waiting import wait_until


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
    with Cluster(["127.0.0.1"], port=sink._there._url.port) as cluster:
        row = cluster.connect(sink._there.keyspace).execute("SELECT * FROM created_users").all()[0]
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
    with Cluster(["127.0.0.1"], port=sink._there._url.port) as cluster:
        cluster.connect().execute(f"DROP KEYSPACE {sink._there.keyspace}", timeout=30)
    carrier.carry()  # finds them gone
    carrier.carry()
    assert sink.ids() == {id_of(1), id_of(2)}


def test_a_removed_member_is_in_no_file_of_the_database_once_it_has_made_them_anew(
    sink: CreatedUsers, cassandra_running: CassandraServer
) -> None:
    """Neither in its tables' files nor in its commit log, as id or as anything else."""
    ids = [str(uuid.uuid4()) for _ in range(40)]
    traces = {each: (uuid.UUID(each).bytes, f"hash of {each}".encode()) for each in ids}
    assert sink.ids() == set()
    leave_uncompressed(sink)
    sink.put([member(each) for each in ids[:20]])
    sink.remove([])
    sink.put([member(each) for each in ids[20:]])

    def files_of(member_id: str) -> set[str]:
        return kinds_with(cassandra_running.root, traces[member_id])

    assert files_of(ids[3]) == {"data"}
    assert files_of(ids[33]) == {"commitlog"}
    sink.remove([ids[3], ids[33]])
    wait_until(lambda: not files_of(ids[3]) | files_of(ids[33]), 30)
    assert files_of(ids[4]) == files_of(ids[34]) == {"data"}
    assert sink.ids() == {*ids} - {ids[3], ids[33]}


def test_a_removal_that_was_broken_off_before_its_files_were_made_anew_has_that_done_after_it(
    tmp_path: Path, sink: CreatedUsers, cassandra_running: CassandraServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, stays = 7_700_001, 7_700_002
    traces = {each: (uuid.UUID(id_of(each)).bytes, f"{each:064}".encode()) for each in (gone, stays)}
    assert sink.ids() == set()
    leave_uncompressed(sink)
    add(tmp_path, gone, stays)
    carrier = carried(tmp_path, sink)
    sink.remove([])  # brings them into a file
    take_out_members(tmp_path, [id_of(gone)])
    with monkeypatch.context() as patched:
        patched.setattr(created_users, "CLOSING", "no name")
        carrier.carry()
    assert "name" in (carrier.trouble or "")
    assert sink.ids() == {id_of(stays)}
    assert kinds_with(cassandra_running.root, traces[gone])
    carrier.carry()
    assert carrier.trouble is None
    wait_until(lambda: not kinds_with(cassandra_running.root, traces[gone]))
    assert kinds_with(cassandra_running.root, traces[stays]) == {"data"}


def test_a_member_that_is_removed_before_any_file_was_written_comes_into_none(
    sink: CreatedUsers, cassandra_running: CassandraServer
) -> None:
    """The deletion too names whom it is of, and a file that is alone is not made anew by itself."""
    gone, stays = (str(uuid.uuid4()) for _ in range(2))
    assert sink.ids() == set()
    leave_uncompressed(sink)
    sink.put([member(gone), member(stays)])
    traces = {each: (uuid.UUID(each).bytes, f"hash of {each}".encode()) for each in (gone, stays)}
    assert kinds_with(cassandra_running.root, traces[gone]) == {"commitlog"}
    sink.remove([gone])
    wait_until(lambda: not kinds_with(cassandra_running.root, traces[gone]), 30)
    assert kinds_with(cassandra_running.root, traces[stays]) == {"data"}
    assert sink.ids() == {stays}


def leave_uncompressed(sink: CreatedUsers) -> None:
    """What is compressed is not found by looking for it."""
    with Cluster(["127.0.0.1"], port=sink._there._url.port) as cluster:
        plain = "ALTER TABLE created_users WITH compression = {'enabled': false}"
        cluster.connect(sink._there.keyspace).execute(plain)


def kinds_with(root: Path, traces: Collection[bytes]) -> set[str]:
    """The kinds of a database's files that hold a trace."""
    own = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).parts[0] for path in own if any(each in read(path) for each in traces)}


def member(member_id: str) -> dict[str, Any]:
    return msgspec.structs.asdict(user(member_id=member_id, email_hash=f"hash of {member_id}"))


def read(path: Path) -> bytes:
    """What a file holds; nothing where it went meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


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
