"""`events.users` in Cassandra: `spark_streams.created_users`, a row a member.

A row that is deleted there stays on the disk until its file is compacted with that of its deletion, and in the commit
log until the segment goes. So both are made to happen at once, see `remove`. The table is made with
`gc_grace_seconds = 0`, by which a compaction drops the deletion too; that is right for one replica, which is what the
keyspace is made with.
"""

import time
import uuid
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from bike_assets.model.tables import EVENTS_USERS
from bike_assets.stream.sinks.cassandra import ANSWER_S, CassandraSink, Place

if TYPE_CHECKING:
    from cassandra.cluster import Session

TABLE, CLOSING = "created_users", "bike_closing"
PAGE = 1_000
ONE_FILE_BYTES = 2**30
_OPTIONS = (
    "gc_grace_seconds = 0 "
    # Two files of the table are made one, whatever their sizes: it is small, and seldom written.
    "AND compaction = {'class': 'SizeTieredCompactionStrategy', 'min_threshold': '2', "
    f"'min_sstable_size': '{ONE_FILE_BYTES}'}}"
)
_PLACE = Place(TABLE, EVENTS_USERS, "id", {"member_id": "uuid"}, {"member_id": "id"}, _OPTIONS)

NOBODY = uuid.UUID(int=0)

_GRACE_S = 1.1
"""A compaction drops a deletion of an earlier second, not one of its own."""


class CreatedUsers(CassandraSink):
    """A Cassandra that holds the members."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "BIKE_MEMBERS_CASSANDRA", _PLACE)

    def ids(self, beat: Callable[[], None] = lambda: None) -> set[str]:
        """Whom it holds; `beat` is called while they are read."""
        found: set[str] = set()
        with self._told() as session:
            for row in session.execute(f"SELECT id FROM {self._there.name(TABLE)}"):
                found.add(str(row.id))
                if len(found) % PAGE == 1:
                    beat()
        return found

    def remove(self, member_ids: Collection[str]) -> None:
        """Remove them, where they are there, and have the files made anew that hold them.

        Cassandra closes its commit log, with all that is in it brought into files, when a table is dropped: one is
        made and dropped for that. The deletion is in a file of its own then, and a compaction of both follows, within
        seconds, where the table is as it is made here.

        Where it is the only file, as of a member who was in none yet, it would stay, and it names whom it is of: so
        another file comes beside it, with the deletion of nobody.
        """
        with self._told() as session:
            for ids in ([uuid.UUID(each) for each in member_ids], [NOBODY]):
                self._delete_into_a_file(session, ids)

    def _delete_into_a_file(self, session: "Session", ids: Collection[uuid.UUID]) -> None:
        delete = f"DELETE FROM {self._there.name(TABLE)} WHERE id = ?"
        self._all(session, delete, ([each] for each in ids))
        time.sleep(_GRACE_S)
        session.execute(f"CREATE TABLE IF NOT EXISTS {self._there.name(CLOSING)} (id int PRIMARY KEY)")
        session.execute(f"DROP TABLE IF EXISTS {self._there.name(CLOSING)}", timeout=2 * ANSWER_S)

    def _value(self, name: str, value: Any) -> Any:
        return uuid.UUID(value) if name == "member_id" else value
