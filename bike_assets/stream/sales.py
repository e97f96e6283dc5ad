"""Committed `events.orders` to `live.orders_by_source_state`: computed whole from the tables, never added to.

No query of Spark's: DuckDB sums a million orders in less time than a job of Spark's takes to start. Which versions of
the tables it was computed from stands in the commit, so nothing is done where nothing has changed, whoever was killed.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import structlog
from deltalake.exceptions import DeltaError

from bike_assets.lake.duck import connect
from bike_assets.lake.rows import replace_all
from bike_assets.lake.tables import OpenTables, arrow_schema, ensure_table
from bike_assets.model.errors import BikeAssetsError
from bike_assets.model.tables import EVENTS_ORDERS, LIVE_ORDERS_BY_SOURCE_STATE
from bike_assets.model.warehouse import DIM_CUSTOMER
from bike_assets.stream.progress import SALES

log = structlog.get_logger()

MADE_OF = (EVENTS_ORDERS, DIM_CUSTOMER)
LOOK_S = 1.0
ENDS_S = 8.0
UNKNOWN = "unknown"

_LATEST = """
    SELECT order_id, arg_max(struct_pack(customer_id, source, quantity, total, created_at), version) AS it
    FROM events.orders GROUP BY order_id"""

_SALES = f"""
    WITH latest AS ({_LATEST})
    SELECT it.source AS source, coalesce(customer.state, '{UNKNOWN}') AS state, count(*) AS orders,
           sum(it.quantity)::BIGINT AS quantity, sum(it.total)::DECIMAL(28,2) AS total
    FROM latest LEFT JOIN warehouse.dim_customer AS customer
         ON customer.customer_id = it.customer_id AND it.created_at >= customer.valid_from
            AND (customer.valid_to IS NULL OR it.created_at < customer.valid_to)
    GROUP BY ALL ORDER BY ALL"""


def sales(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """Rows of `live.orders_by_source_state`.

    In:  a connection with `events.orders` and `warehouse.dim_customer`.
    Out: each order once, by its highest version, under the state that its customer had when it was made.
    """
    return con.sql(_SALES).to_arrow_table().cast(arrow_schema(LIVE_ORDERS_BY_SOURCE_STATE))


def refresh(tables: OpenTables) -> int | None:
    """Compute the table anew where what it is made of has changed; its rows, or None where nothing had to be done."""
    versions = {table.name: tables.newest(table).version() for table in MADE_OF}
    live = tables.newest(LIVE_ORDERS_BY_SOURCE_STATE)
    if all(live.transaction_version(name) == version for name, version in versions.items()):
        return None
    with connect(tables.lake, MADE_OF) as con:
        rows = sales(con)
    # What came in between is in the rows and not in the versions: it is computed once more, and gives the same.
    replace_all(live, LIVE_ORDERS_BY_SOURCE_STATE, rows, versions)
    return int(rows.num_rows)


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

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(ENDS_S)

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
