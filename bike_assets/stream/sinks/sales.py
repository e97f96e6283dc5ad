"""What keeps a database's sales as the lake's are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bike_assets.lake.rows import read_rows
from bike_assets.model.tables import LIVE_ORDERS_BY_SOURCE_STATE
from bike_assets.stream.sinks.carrier import Carrier


class Sink(Protocol):
    """Where the sales go."""

    def version(self) -> str | None:
        """What it holds."""
        ...

    def write(self, rows: Sequence[Mapping[str, Any]], version: str) -> int:
        """Make its rows these; how many were written for it."""
        ...


class SalesCarrier(Carrier):
    """Carries the sales over where they have changed."""

    what = "sales"

    def __init__(self, lake: Path, sink: Sink) -> None:
        super().__init__(lake)
        self._sink = sink

    def _look(self) -> bool:
        sales = self._tables.newest(LIVE_ORDERS_BY_SOURCE_STATE)
        version = f"{sales.metadata().id}/{sales.version()}"
        # Asked each time: the database may have been put back to an older state.
        if self._sink.version() != version:
            rows = read_rows(sales, LIVE_ORDERS_BY_SOURCE_STATE).to_pylist()
            self.written += self._sink.write(rows, version)
        return False
