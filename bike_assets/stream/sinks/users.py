"""What keeps a database's members as `events.users` is: who came is added, who was forgotten is gone."""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

import msgspec
from deltalake import DeltaTable

from bike_assets.lake.forgotten import forgettings
from bike_assets.lake.rows import read_rows
from bike_assets.lake.tables import open_table
from bike_assets.model.tables import EVENTS_USERS
from bike_assets.stream.sinks.events import STEP, EventsCarrier, EventsSink
from bike_assets.stream.sinks.progress import Progress

SETTLED_S, LOOKED_EVERY_S = 60.0, 0.5


class UsersSink(EventsSink, Protocol):
    """Where the members go."""

    def ids(self, beat: Callable[[], None]) -> set[str]:
        """Whom it holds; `beat` is called while they are read."""
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
            gone = sorted(self._users.ids(self.beat) - set(there["member_id"].to_pylist()))
            # With nobody to remove too: one that was broken off has removed them, maybe not yet from the files.
            for start in range(0, max(len(gone), 1), STEP):
                self._users.remove(gone[start : start + STEP])
                self.beat()


def await_settled(lake: Path, sink: UsersSink, wait_s: float = SETTLED_S) -> bool:
    """Whether who carries the members over has noted by then each time that some were taken out of the table.

    Until that is noted, rows may come that were read before it, though they were removed there meanwhile.
    """
    table = open_table(lake, EVENTS_USERS)
    table_id, taken_out = str(table.metadata().id), forgettings(table)
    ends = time.monotonic() + wait_s
    while (has := sink.progress()) is None or has.table_id != table_id or has.forgettings < taken_out:
        if time.monotonic() > ends:
            return False
        time.sleep(min(wait_s, LOOKED_EVERY_S))
    return True
