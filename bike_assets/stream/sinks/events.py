"""A table of events carried into a database: each row once, in the order of their offsets."""

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import msgspec
from deltalake import DeltaTable

from bike_assets.lake.duck import rows_of
from bike_assets.model.schema import Table
from bike_assets.stream.sinks.carrier import Carrier
from bike_assets.stream.sinks.progress import Progress

LOT = 5_000
"""So many rows are brought at most between two notes: what was brought and not noted is brought again."""

STEP = 128
"""So many are brought between two beats of the heart: with 5 s for each write, and 64 at once, 10 s at the most."""

LOOK_S = 3.0
"""So long a look brings rows where many wait; then what was brought is noted, however few a slow database took."""

UNSETTLED = -1
"""What is not settled of another table is, once all of this one is brought."""


class EventsSink(Protocol):
    """Where the rows go. Every method raises SinkUnavailable where it does not do what is asked."""

    def progress(self) -> Progress | None:
        """What it holds; None before the first."""
        ...

    def put(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add these rows, or put them in the place of what it has under their keys."""
        ...

    def note(self, progress: Progress) -> None:
        """Note what it holds now."""
        ...


class EventsCarrier(Carrier):
    """Carries a table's rows over; says too how many wait.

    A lot first, then the note of it: what was killed in between is done again, and comes to the same.
    """

    table: ClassVar[Table]

    def __init__(self, lake: Path, sink: EventsSink) -> None:
        super().__init__(lake)
        self._lake, self._sink = lake, sink
        self.behind: int | None = None
        self._last: Progress | None = None

    def report(self) -> dict[str, Any]:
        """What the heartbeat says."""
        return {**super().report(), "behind": self.behind}

    def _look(self) -> bool:
        ends = time.monotonic() + LOOK_S
        newest = self._newest(self._tables.newest(self.table))
        if self._last is not None:  # how many wait, though the database may not say what it has
            self._count(self._last, newest)
        # Asked each time: the database may have been put back to an older state.
        self._last = self._sink.progress() or Progress(newest.table_id, -1, {})
        self.beat()
        self._count(self._last, newest)
        while not _is_same(self._last, newest) and time.monotonic() < ends:
            self._bring(self._last, newest, ends)
        return bool(self.behind)

    def _newest(self, delta: DeltaTable) -> Progress:
        """What a database holds that has all of this table."""
        return Progress(str(delta.metadata().id), delta.version(), {})

    @abstractmethod
    def _settle(self, before: Progress, newest: Progress) -> None:
        """Do what is to be done once all rows are brought, before that is noted."""

    def _bring(self, before: Progress, newest: Progress, ends: float) -> None:
        # By offset, whatever the partition: so what is left of each partition lies behind what was brought of it.
        query = f"SELECT * FROM {self.table.name} WHERE {_beyond(before, newest)} ORDER BY kafka_offset LIMIT {LOT}"
        waiting = rows_of(self._lake, self.table, query)
        rows = waiting[: self._put(waiting, ends)]
        is_of_table = before.table_id == newest.table_id
        offsets = dict(before.offsets) if is_of_table else {}
        for row in rows:
            place = str(row["kafka_partition"])
            offsets[place] = max(offsets.get(place, 0), row["kafka_offset"] + 1)
        done = msgspec.structs.replace(newest, offsets=offsets)
        if len(rows) == len(waiting) < LOT:
            self._settle(before, newest)
        else:
            settled = before.forgettings if is_of_table else UNSETTLED
            done = msgspec.structs.replace(done, version=-1, forgettings=settled)
        self._sink.note(done)
        self._last = done
        self.written += len(rows)
        self._count(done, newest)

    def _put(self, rows: Sequence[Mapping[str, Any]], ends: float) -> int:
        """How many of the rows were brought by the time that the look ends; a step at least."""
        for start in range(0, len(rows), STEP):
            self._sink.put(rows[start : start + STEP])
            self.beat()
            if time.monotonic() >= ends:
                return min(start + STEP, len(rows))
        return len(rows)

    def _count(self, before: Progress, newest: Progress) -> None:
        if _is_same(before, newest):
            self.behind = 0
            return
        query = f"SELECT count(*) AS waiting FROM {self.table.name} WHERE {_beyond(before, newest)}"
        self.behind = rows_of(self._lake, self.table, query)[0]["waiting"]


def _is_same(before: Progress, newest: Progress) -> bool:
    return (before.table_id, before.version) == (newest.table_id, newest.version)


def _beyond(before: Progress, newest: Progress) -> str:
    """Which rows the database lacks; all of another table."""
    offsets = before.offsets if before.table_id == newest.table_id else {}
    has = [f"(kafka_partition = {int(place)} AND kafka_offset < {offset:d})" for place, offset in offsets.items()]
    return f"NOT ({' OR '.join(has)})" if has else "true"
