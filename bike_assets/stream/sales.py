"""Committed `events.orders` to `live.orders_by_source_state`: what came since is added to what was known of each order.

No query of Spark's: a step takes less time than a job of Spark's takes to start, and as long as what came has rows,
however many orders there are. From which versions of the tables it was computed stands in the commit, so nothing is
done where nothing has changed, whoever was killed.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import structlog
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from bike_assets.lake.duck import connect
from bike_assets.lake.rows import read_files, replace_all
from bike_assets.lake.tables import OpenTables, arrow_schema, ensure_table, files_added
from bike_assets.model.errors import BikeAssetsError, LakeBroken
from bike_assets.model.tables import EVENTS_ORDERS, LIVE_ORDERS_BY_SOURCE_STATE
from bike_assets.model.warehouse import DIM_CUSTOMER
from bike_assets.stream.latest import Latest, Made, OrderRow, opened_latest
from bike_assets.stream.progress import SALES

log = structlog.get_logger()

MADE_OF = (EVENTS_ORDERS, DIM_CUSTOMER)
LOOK_S = 1.0
UNKNOWN = "unknown"

MEMORY = "1GB"
"""What may be used where all orders are read; the rest of what is sorted lies on the disk."""

AT_ONCE = 50_000

_STATED = f"""
    SELECT it.order_id, it.version, it.source, coalesce(customer.state, '{UNKNOWN}') AS state, it.quantity,
           (it.total * 100)::BIGINT AS cents
    FROM {{rows}} AS it LEFT JOIN warehouse.dim_customer AS customer
         ON customer.customer_id = it.customer_id AND it.created_at >= customer.valid_from
            AND (customer.valid_to IS NULL OR it.created_at < customer.valid_to)
    ORDER BY it.order_id, it.version"""
"""Under the state that its customer had when the order was made."""


def refresh(tables: OpenTables) -> int | None:
    """Bring the table to what it is made of; its rows, or None where nothing had to be done.

    Each order counts once, by its highest version.
    """
    opened = {table.name: tables.newest(table) for table in MADE_OF}
    versions = {name: delta.version() for name, delta in opened.items()}
    live = tables.newest(LIVE_ORDERS_BY_SOURCE_STATE)
    if all(live.transaction_version(name) == version for name, version in versions.items()):
        return None
    with opened_latest(latest_path(tables.lake)) as latest:
        bring(tables.lake, latest, opened)
        sums = latest.sums()
    rows = pa.Table.from_pylist(sums, arrow_schema(LIVE_ORDERS_BY_SOURCE_STATE))
    replace_all(live, LIVE_ORDERS_BY_SOURCE_STATE, rows, versions)
    return int(rows.num_rows)


def latest_path(lake: Path) -> Path:
    """What is known of each order: beside the tables, for it is made of them, and made anew where it lacks."""
    return lake / "_sales" / "latest.sqlite"


def bring(lake: Path, latest: Latest, opened: Mapping[str, DeltaTable]) -> None:
    """Bring what is known of each order to these tables: by what came, or by all of it where that cannot be said.

    What comes meanwhile may be in it too, and counts once: it is no higher version than is known then.
    """
    now = {name: Made(str(delta.metadata().id), delta.version()) for name, delta in opened.items()}
    orders = opened[EVENTS_ORDERS.name]
    came = _came(orders, latest.made_of(), now)
    if came is not None:
        try:
            with latest.changed(now), connect(lake, [DIM_CUSTOMER]) as con:
                for files in filter(None, came):
                    con.register("came", read_files(orders, EVENTS_ORDERS, files))
                    latest.add(_rows(con, "came"))
            return
        except LakeBroken:  # a file that was compacted since, and is gone: its rows are in another
            log.info("all orders are read for the sales")
    with latest.changed(now), connect(lake, MADE_OF) as con, TemporaryDirectory(dir=latest.path.parent) as scratch:
        con.execute(f"SET memory_limit = '{MEMORY}'")
        con.execute("SET temp_directory = $1", [scratch])
        latest.add_all(_rows(con, EVENTS_ORDERS.name))


def _came(orders: DeltaTable, before: Mapping[str, Made], now: Mapping[str, Made]) -> list[list[str]] | None:
    """The files of orders that came since, by version; None where all is to be read: another table, or customers."""
    name, customers = EVENTS_ORDERS.name, DIM_CUSTOMER.name
    was = before.get(name)
    is_known = was is not None and was.table_id == now[name].table_id and was.version <= now[name].version
    if was is None or not is_known or before.get(customers) != now[customers]:
        return None
    return files_added(orders, was.version)


def _rows(con: duckdb.DuckDBPyConnection, relation: str) -> Iterator[OrderRow]:
    for batch in con.sql(_STATED.format(rows=relation)).to_arrow_reader(AT_ONCE):
        yield from map(OrderRow._make, zip(*(column.to_pylist() for column in batch.columns), strict=True))


def ensure_sales(lake: Path) -> OpenTables:
    """The tables, made where they are missing."""
    for table in (*MADE_OF, LIVE_ORDERS_BY_SOURCE_STATE):
        ensure_table(lake, table)
    return OpenTables(lake)


class SalesKeeper:
    """Keeps the table as the orders are, in a thread of its own; what fails is tried again."""

    name = SALES

    def __init__(self, lake: Path, rows: Counter[str]) -> None:
        self._lake, self._rows = lake, rows
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=SALES, daemon=True)
        self._report: dict[str, Any] = {"state": "waiting", "failures": 0, "reason": None}

    def keep(self) -> None:
        """Start it, the first time."""
        if self._thread.ident is None:
            self._thread.start()

    def report(self, _: object) -> Mapping[str, Any]:
        """What the heartbeat says of it."""
        return self._report

    def stop(self, ends: float) -> None:
        """Let it finish what it is in, until `ends`; what is broken off is done again at the next start."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(max(0.0, ends - time.monotonic()))

    def _run(self) -> None:
        tables: OpenTables | None = None
        failures = 0
        while not self._stop.is_set():
            looked_at, began = datetime.now(UTC), time.monotonic()
            try:
                tables = tables or ensure_sales(self._lake)
                rows = refresh(tables)
            except (BikeAssetsError, DeltaError, duckdb.Error, OSError) as err:
                failures += 1
                reason = (str(err).strip() or type(err).__name__).splitlines()[0][:500]
                self._report = {**self._report, "state": "waiting", "failures": failures, "reason": reason}
                log.error("the sales cannot be computed", reason=reason)
                self._stop.wait(min(2.0**failures, 60.0))
                continue
            failures = 0
            seconds = round(time.monotonic() - began, 3)
            # The time of the last computation, not of a look that found nothing new.
            done = self._report if rows is None else {"rows": rows, "seconds": seconds}
            self._rows["live/orders_by_source_state"] += rows or 0
            self._report = {**done, "state": "running", "failures": 0, "reason": None,
                            "looked_at": looked_at.isoformat()}  # fmt: skip
            self._stop.wait(LOOK_S)
