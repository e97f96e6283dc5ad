"""The resident stream, and the drain that does its work where it is not up."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from bike_assets.lake.driver import Serving, SparkHome
from bike_assets.lake.spark import STREAM_POOL, spark_session
from bike_assets.model.errors import LakeBroken, ServiceNotReady
from bike_assets.stream import events, live
from bike_assets.stream.offsets import topic_partitions
from bike_assets.stream.progress import EVENTS, LIVE
from bike_assets.stream.sales import SalesKeeper, ensure_sales, refresh

log = structlog.get_logger()

HEARTBEAT_S = 1.0
BATCH_ENDS_S = 8.0
"""So long all of them together may finish what they are in, for who stops the stream waits no longer than 20 s."""

BATCH_HANGS_S = 600.0
"""No batch takes so long: its messages are limited in number. Spark's driver hangs, and only a new one helps."""

RESTART_S = (2.0, 5.0, 15.0, 60.0)
"""How long a query that failed waits before it is started again; the last for every further time."""


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What the stream works on."""

    spark: SparkHome
    lake: Path
    bootstrap_servers: str
    trigger_s: float
    serving: Serving | None = None


Build = Callable[[SparkSession], DataStreamWriter]
Heartbeat = Callable[[Mapping[str, Any]], None]


def _queries(plan: StreamPlan, rows: Counter[str]) -> dict[str, Build]:
    """One query a failure domain, in the order in which data passes through them."""

    def build_events(spark: SparkSession) -> DataStreamWriter:
        partitions = topic_partitions(plan.bootstrap_servers)
        return events.events_query(spark, plan.lake, plan.bootstrap_servers, partitions, rows)

    return {EVENTS: build_events, LIVE: lambda spark: live.live_query(spark, plan.lake, rows)}


def drain(plan: StreamPlan) -> None:
    """Bring all that the topics hold now into the tables, in a session of its own, and stop.

    Raises LakeBroken with Spark's reason where a query fails. The caller holds the checkpoint's lock.
    """
    with draining(plan) as drain_now:
        drain_now()


class Drain:
    """Drains as often as it is called, in one session for all: its start takes longer than what it does."""

    def __init__(self, plan: StreamPlan, spark: SparkSession) -> None:
        self._plan, self._spark = plan, spark

    def __call__(self) -> None:
        """Bring all that the topics hold now into the tables."""
        _drain(self._plan, self._spark)

    def compute_minutes(self, of: Mapping[str, datetime]) -> None:
        """Compute these systems' minutes of `live` anew, in which the instants lie."""
        live.compute_minutes(self._spark, self._plan.lake, of)


@contextmanager
def draining(plan: StreamPlan) -> Iterator[Drain]:
    """A drain whose session ends with the block."""
    spark = spark_session(plan.spark, "bike drain")
    try:
        yield Drain(plan, spark)
    finally:
        spark.stop()


def _drain(plan: StreamPlan, spark: SparkSession) -> None:
    for name, build in _queries(plan, Counter()).items():
        query = build(spark).trigger(availableNow=True).start()
        try:
            query.awaitTermination()
        except StreamingQueryException as err:
            raise LakeBroken(f"The query {name} failed: {_reason(err)}") from None
    refresh(ensure_sales(plan.lake))


def run_stream(plan: StreamPlan, heartbeat: Heartbeat, stop: threading.Event) -> None:
    """Keep the queries running until `stop`; one that fails is started again, the others go on.

    The caller holds the checkpoint's lock.
    """
    spark = spark_session(plan.spark, "bike stream", plan.serving)
    spark.sparkContext.setLocalProperty("spark.scheduler.pool", STREAM_POOL)  # this thread starts the queries
    progress = ProgressListener()
    rows: Counter[str] = Counter()
    spark.streams.addListener(progress)
    keepers: list[QueryKeeper | SalesKeeper] = [
        QueryKeeper(name, build, spark, plan.trigger_s) for name, build in _queries(plan, rows).items()
    ]
    keepers.append(SalesKeeper(plan.lake, rows))
    try:
        while not stop.is_set():
            for keeper in keepers:
                keeper.keep()
            heartbeat({"rows": rows, "queries": {keeper.name: keeper.report(progress) for keeper in keepers}})
            stop.wait(HEARTBEAT_S)
    finally:
        ends = time.monotonic() + BATCH_ENDS_S
        for keeper in keepers:
            keeper.stop(ends)
        spark.stop()


class ProgressListener(StreamingQueryListener):
    """How far each query has come: `looked_at`, the start of its last trigger that is done, and offsets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self._by_query: dict[str, dict[str, Any]] = {}

    def of(self, name: str) -> dict[str, Any]:
        with self._lock:
            return dict(self._by_query.get(name, {}))

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802  Spark's name
        with self._lock:
            self._names[str(event.runId)] = str(event.name)

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802
        done = event.progress
        ends = [source.endOffset for source in done.sources]
        with self._lock:
            self._by_query[str(done.name)] = {
                "looked_at": done.timestamp,
                "batch_id": done.batchId,
                "rows": done.numInputRows,
                "seconds": (done.durationMs or {}).get("triggerExecution", 0) / 1000,
                "offsets": _offsets(ends),
            }

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: N802
        with self._lock:
            name = self._names.get(str(event.runId))
            if name is not None:
                self._by_query.setdefault(name, {})["looked_at"] = event.timestamp

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802
        """Nothing to do: the keeper sees it by itself."""


def _offsets(ends: list[Any]) -> dict[str, Any]:
    """Kafka's end offsets of a query; a Delta source's are no offsets of topics."""
    offsets = json.loads(ends[0]) if ends and isinstance(ends[0], str) else {}
    is_kafka = bool(offsets) and all(isinstance(each, dict) for each in offsets.values())
    return offsets if is_kafka else {}


class QueryKeeper:
    """Starts a query, and starts it again after it failed, each time later."""

    def __init__(self, name: str, build: Build, spark: SparkSession, trigger_s: float) -> None:
        self.name = name
        self._build = build
        self._spark = spark
        self._trigger = f"{trigger_s * 1000:.0f} milliseconds"
        self._query: StreamingQuery | None = None
        self._failures = 0
        self._next_try = 0.0
        self._reason: str | None = None
        self._batch: tuple[bool, object] = (False, None)
        self._batch_since = 0.0

    def keep(self) -> None:
        """Start it where it is not running and its wait is over. Raises ServiceNotReady where a batch hangs."""
        if self._query is not None and self._query.isActive:
            self._watch(self._query)
            if self._query.lastProgress is not None:
                self._failures = 0
            return
        if self._query is not None:
            self._failed(self._query.exception())
        if time.monotonic() < self._next_try:
            return
        try:
            self._query = self._build(self._spark).trigger(processingTime=self._trigger).start()
        except Exception as err:
            self._failed(err)

    def _watch(self, query: StreamingQuery) -> None:
        batch = (bool(query.status["isTriggerActive"]), query.lastProgress and query.lastProgress["batchId"])
        if batch != self._batch:
            self._batch, self._batch_since = batch, time.monotonic()
        elif batch[0] and time.monotonic() - self._batch_since > BATCH_HANGS_S:
            raise ServiceNotReady(f"The query {self.name} has been in one batch for {BATCH_HANGS_S:.0f} s.")

    def _failed(self, err: BaseException | None) -> None:
        self._query = None
        self._reason = _reason(err) if err else "stopped"
        wait = RESTART_S[min(self._failures, len(RESTART_S) - 1)]
        self._failures += 1
        self._next_try = time.monotonic() + wait
        log.error("query failed", query=self.name, reason=self._reason, again_in_s=wait)

    def report(self, progress: ProgressListener) -> dict[str, Any]:
        """What the heartbeat says of it."""
        state = "running" if self._query is not None else "waiting"
        return {"state": state, "failures": self._failures, "reason": self._reason, **progress.of(self.name)}

    def stop(self, ends: float) -> None:
        """End it between two batches; one that goes on at `ends` is broken off, and done again at the next start."""
        if self._query is None:
            return
        while self._query.isActive and self._query.status["isTriggerActive"] and time.monotonic() < ends:
            time.sleep(0.05)
        self._query.stop()


def _reason(err: BaseException) -> str:
    """The first line: what follows is Spark's plan."""
    return (str(err).strip() or type(err).__name__).splitlines()[0][:500]
