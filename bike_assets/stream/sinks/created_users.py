"""`events.users` in Cassandra: `spark_streams.created_users`, a row a member.

A row that is deleted there stays on the disk until a compaction, and in the commit log until its segment is used
again. The table is made with `gc_grace_seconds = 0`, so that any compaction of its files drops it; that is right for
one replica, which is what the keyspace is made with.
"""

import uuid
from collections.abc import Collection
from typing import Any

from bike_assets.model.tables import EVENTS_USERS
from bike_assets.stream.sinks.cassandra import CassandraSink, Place

TABLE = "created_users"
_PLACE = Place(TABLE, EVENTS_USERS, "id", {"member_id": "uuid"}, {"member_id": "id"}, "gc_grace_seconds = 0")


class CreatedUsers(CassandraSink):
    """A Cassandra that holds the members."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "BIKE_MEMBERS_CASSANDRA", _PLACE)

    def ids(self) -> set[str]:
        """Whom it holds."""
        with self._told() as session:
            return {str(row.id) for row in session.execute(f"SELECT id FROM {self._name(TABLE)}")}

    def remove(self, member_ids: Collection[str]) -> None:
        """Remove them, where they are there."""
        with self._told() as session:
            delete = session.prepare(f"DELETE FROM {self._name(TABLE)} WHERE id = ?")
            self._all(session, delete, ([uuid.UUID(each)] for each in member_ids))

    def _value(self, name: str, value: Any) -> Any:
        return uuid.UUID(value) if name == "member_id" else value
