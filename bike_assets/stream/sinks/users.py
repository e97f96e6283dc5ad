"""What keeps a database's members as `events.users` is: who came is added, who was forgotten is gone."""

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

import msgspec
from deltalake import DeltaTable

from bike_assets.lake.forgotten import forgettings
from bike_assets.lake.rows import read_rows
from bike_assets.model.tables import EVENTS_USERS
from bike_assets.stream.sinks.events import EventsCarrier, EventsSink
from bike_assets.stream.sinks.progress import Progress


class UsersSink(EventsSink, Protocol):
    """Where the members go."""

    def ids(self) -> set[str]:
        """Whom it holds."""
        ...

    def remove(self, member_ids: Collection[str]) -> None:
        """Remove them, where they are there."""
        ...


class UsersCarrier(EventsCarrier):
    """Carries members over, and takes out whom the table has no more."""

    what, table = "members", EVENTS_USERS

    def __init__(self, lake: Path, sink: UsersSink) -> None:
        super().__init__(lake, sink)
        self._users = sink

    def _newest(self, delta: DeltaTable) -> Progress:
        return msgspec.structs.replace(super()._newest(delta), forgettings=forgettings(delta))

    def _settle(self, before: Progress, newest: Progress) -> None:
        if (before.table_id, before.forgettings) != (newest.table_id, newest.forgettings):
            there = read_rows(self._tables.newest(EVENTS_USERS), EVENTS_USERS)
            self._users.remove(self._users.ids() - set(there["member_id"].to_pylist()))
