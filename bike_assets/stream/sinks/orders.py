"""The service that keeps the orders of a Cassandra as `events.orders` is: `spark_streams.orders`, a row a version."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
import msgspec
import structlog

from bike_assets.lake.duck import broken_table, connect
from bike_assets.lake.tables import OpenTables
from bike_assets.model.errors import LakeBroken, SinkUnavailable
from bike_assets.model.tables import EVENTS_ORDERS
from bike_assets.stream.sinks.cassandra import CassandraSink, Place
from bike_assets.stream.sinks.progress import Progress

log = structlog.get_logger()

LOT = 5_000
"""So many orders are brought between two notes: what was brought and not noted is brought again."""

LOOK_S = 3.0
"""So long a look brings lots where many wait: between looks the heart beats."""

_PLACE = Place("orders", EVENTS_ORDERS, "(order_id), version", options="CLUSTERING ORDER BY (version DESC)")


class OrdersCassandra(CassandraSink):
    """A Cassandra that holds the orders; an order's versions lie together, the newest first."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "BIKE_ORDERS_CASSANDRA", _PLACE)


class OrdersSink(Protocol):
    """Where the orders go. Every method raises SinkUnavailable where it does not do what is asked."""

    def progress(self) -> Progress | None:
        """What it holds; None before the first."""
        ...

    def put(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add these rows, or put them in the place of what it has under their keys."""
        ...

    def note(self, progress: Progress) -> None:
        """Note what it holds now."""
        ...


class OrdersCarrier:
    """Carries orders over in the order of their offsets; says what keeps it, and how many wait.

    A lot first, then the note of it: what was killed in between is done again, and comes to the same.
    """

    def __init__(self, lake: Path, sink: OrdersSink) -> None:
        self._lake, self._tables, self._sink = lake, OpenTables(lake), sink
        self.written = 0
        self.behind: int | None = None
        self.trouble: str | None = None
        self.caught_up_at: datetime | None = None
        self._last: Progress | None = None

    def carry(self) -> bool:
        """Look once; whether more could be brought at once. What fails is `trouble`, until a later look."""
        looked_at, ends = datetime.now(UTC), time.monotonic() + LOOK_S
        try:
            delta = self._tables.newest(EVENTS_ORDERS)
            newest = Progress(str(delta.metadata().id), delta.version(), {})
            if self._last is not None:  # how many wait, though the database may not say what it has
                self._count(self._last, newest)
            # Asked each time: the database may have been put back to an older state.
            self._last = self._sink.progress() or Progress(newest.table_id, -1, {})
            self._count(self._last, newest)
            while not _is_same(self._last, newest) and time.monotonic() < ends:
                self._bring(self._last, newest)
        except (SinkUnavailable, LakeBroken) as err:
            if self.trouble is None:
                log.warning("the orders wait", reason=str(err))
            self.trouble = str(err)
            return False
        self.trouble = None
        if not self.behind:
            self.caught_up_at = looked_at
        return bool(self.behind)

    def report(self) -> dict[str, Any]:
        """What the heartbeat says."""
        at = self.caught_up_at
        return {"written": self.written, "behind": self.behind, "trouble": self.trouble,
                "caught_up_at": at and at.isoformat()}  # fmt: skip

    def _bring(self, before: Progress, newest: Progress) -> None:
        # By offset, whatever the partition: so what is left of each partition lies behind what was brought of it.
        rows = self._ask(f"SELECT * FROM {EVENTS_ORDERS.name} WHERE {_beyond(before, newest)} "
                         f"ORDER BY kafka_offset LIMIT {LOT}")  # fmt: skip
        offsets = dict(before.offsets) if before.table_id == newest.table_id else {}
        for row in rows:
            place = str(row["kafka_partition"])
            offsets[place] = max(offsets.get(place, 0), row["kafka_offset"] + 1)
        if rows:
            self._sink.put(rows)
        is_all = len(rows) < LOT
        done = msgspec.structs.replace(newest, version=newest.version if is_all else -1, offsets=offsets)
        self._sink.note(done)
        self._last = done
        self.written += len(rows)
        self._count(done, newest)

    def _count(self, before: Progress, newest: Progress) -> None:
        if _is_same(before, newest):
            self.behind = 0
            return
        query = f"SELECT count(*) AS waiting FROM {EVENTS_ORDERS.name} WHERE {_beyond(before, newest)}"
        self.behind = self._ask(query)[0]["waiting"]

    def _ask(self, query: str) -> list[dict[str, Any]]:
        try:
            with connect(self._lake, [EVENTS_ORDERS]) as con:
                return con.sql(query).to_arrow_table().to_pylist()  # type: ignore[no-any-return]
        except duckdb.Error as err:
            raise broken_table(self._lake, err) or LakeBroken(str(err).splitlines()[0]) from None


def _is_same(before: Progress, newest: Progress) -> bool:
    return (before.table_id, before.version) == (newest.table_id, newest.version)


def _beyond(before: Progress, newest: Progress) -> str:
    """Which rows the database lacks; all of another table."""
    offsets = before.offsets if before.table_id == newest.table_id else {}
    has = [f"(kafka_partition = {int(place)} AND kafka_offset < {offset:d})" for place, offset in offsets.items()]
    return f"NOT ({' OR '.join(has)})" if has else "true"
