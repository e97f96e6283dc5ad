"""The service that keeps a database's members as `events.users` is: who came is added, who was forgotten is gone."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from bike_assets.lake.forgotten import forgettings
from bike_assets.lake.rows import read_rows
from bike_assets.lake.tables import OpenTables
from bike_assets.model.errors import LakeBroken, SinkUnavailable
from bike_assets.model.tables import EVENTS_USERS
from bike_assets.stream.sinks.progress import Progress

log = structlog.get_logger()


class UsersSink(Protocol):
    """Where the members go. Every method raises SinkUnavailable where it does not do what is asked."""

    def progress(self) -> Progress | None:
        """What it holds; None before the first."""
        ...

    def put(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add these rows, or put them in the place of what it has under their ids."""
        ...

    def ids(self) -> set[str]:
        """Whom it holds."""
        ...

    def remove(self, member_ids: Collection[str]) -> None:
        """Remove them, where they are there."""
        ...

    def note(self, progress: Progress) -> None:
        """Note what it holds now."""
        ...


class UsersCarrier:
    """Carries members over where the table has changed; says what keeps it, and how many wait.

    Rows first, then the note: what was killed in between is done again, and comes to the same.
    """

    def __init__(self, lake: Path, sink: UsersSink) -> None:
        self._tables, self._sink = OpenTables(lake), sink
        self.written = 0
        self.behind: int | None = None
        self.trouble: str | None = None
        self.caught_up_at: datetime | None = None
        self._last: Progress | None = None

    def carry(self) -> None:
        """Look once. What fails is `trouble`, until a later look."""
        looked_at = datetime.now(UTC)
        try:
            delta = self._tables.newest(EVENTS_USERS)
            newest = Progress(str(delta.metadata().id), delta.version(), {}, forgettings(delta))
            if self._last is not None:  # how many wait, though the database may not say what it has
                self.behind = self._waiting(self._last, newest).num_rows
            # Asked each time: the database may have been put back to an older state.
            self._last = self._sink.progress() or Progress(newest.table_id, -1, {})
            if (self._last.table_id, self._last.version) != (newest.table_id, newest.version):
                self._bring(self._last, newest)
        except (SinkUnavailable, LakeBroken) as err:
            if self.trouble is None:
                log.warning("the members wait", reason=str(err))
            self.trouble = str(err)
            return
        self.trouble, self.caught_up_at, self.behind = None, looked_at, 0

    def report(self) -> dict[str, Any]:
        """What the heartbeat says."""
        at = self.caught_up_at
        return {"written": self.written, "behind": self.behind, "trouble": self.trouble,
                "caught_up_at": at and at.isoformat()}  # fmt: skip

    def _bring(self, before: Progress, newest: Progress) -> None:
        rows = self._waiting(before, newest)
        self.behind = rows.num_rows
        if rows.num_rows:
            self._sink.put(rows.to_pylist())
            self.written += rows.num_rows
        if (before.table_id, before.forgettings) != (newest.table_id, newest.forgettings):
            self._sink.remove(self._sink.ids() - set(self._all()["member_id"].to_pylist()))
        offsets = dict(before.offsets) if before.table_id == newest.table_id else {}
        for row in rows.select(["kafka_partition", "kafka_offset"]).to_pylist():
            place = str(row["kafka_partition"])
            offsets[place] = max(offsets.get(place, 0), row["kafka_offset"] + 1)
        self._sink.note(msgspec.structs.replace(newest, offsets=offsets))
        self._last = msgspec.structs.replace(newest, offsets=offsets)

    def _all(self) -> pa.Table:
        return read_rows(self._tables.newest(EVENTS_USERS), EVENTS_USERS)

    def _waiting(self, before: Progress, newest: Progress) -> pa.Table:
        """The rows that the database lacks; all of another table."""
        if (before.table_id, before.version) == (newest.table_id, newest.version):
            return self._all().slice(0, 0)
        rows = self._all()
        if before.table_id != newest.table_id:
            return rows
        has = pa.array([False] * rows.num_rows)
        for partition, offset in before.offsets.items():
            own = pc.equal(rows["kafka_partition"], int(partition))
            has = pc.or_(has, pc.and_(own, pc.less(rows["kafka_offset"], offset)))
        return rows.filter(pc.invert(has))
