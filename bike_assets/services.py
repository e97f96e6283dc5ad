"""Each service put together from the settings: the one place where layers meet outside Dagster."""

import json
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from bike_assets.allocator import give_back_early
from bike_assets.files import write_whole
from bike_assets.heartbeats import (
    MEMBERS_SINK,
    ORDERS,
    ORDERS_SINK,
    PAGE,
    POLLER,
    SALES_SINK,
    STREAM,
    end_heartbeat,
    heartbeat,
    note_start,
)
from bike_assets.locks import held, holder, is_held
from bike_assets.model.errors import BrokerUnavailable, HalfReplaced, LakeBroken, WrongSettings
from bike_assets.model.tables import EVENTS_ORDERS, EVENTS_REJECTIONS, EVENTS_USERS
from bike_assets.reporting import Reported, Reporter
from bike_assets.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bike_assets.ingest.asking import SourceAsker
    from bike_assets.ingest.raw import RawStore
    from bike_assets.lake.driver import Serving, SparkHome
    from bike_assets.model.personal import Keyed
    from bike_assets.sources.config import Source
    from bike_assets.sources.http import Fetcher
    from bike_assets.sources.plan import Defaults
    from bike_assets.stream.closing import Closed, Report
    from bike_assets.stream.service import StreamPlan
    from bike_assets.stream.sinks.carrier import Carrier
    from bike_assets.stream.sinks.created_users import CreatedUsers

SHOP, MEMBERS = "shop", "members"
GIVES_WAY = 10
"""The stream's niceness: who sends an order or looks at the page waits for the answer, the tables catch up."""

DATA = Path(__file__).parent / "data"
"""What the product carries: the recordings of the demo, and facts of JCDecaux's contracts."""


def until_told_to_stop() -> threading.Event:
    """An event that SIGTERM, Ctrl-C and a closed terminal set."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, on_signal)
    return stop


def run_poller(settings: Settings, partitions: int) -> None:
    """Poll the systems of the sources file, as it is at each moment, until told to stop."""
    from bike_assets.ingest.control import Control
    from bike_assets.ingest.holding import Lanes
    from bike_assets.ingest.lanes import Lane
    from bike_assets.ingest.poller import Poller
    from bike_assets.ingest.roster import Roster
    from bike_assets.ingest.sharing import Group
    from bike_assets.ingest.turns import Turns
    from bike_assets.ingest.writer import PartitionWriter

    give_back_early()
    stop = until_told_to_stop()
    roster = Roster(settings.sources, asker_maker(settings))
    with poller_lock(settings):

        def lane(partition: int) -> Lane:
            writer = PartitionWriter(settings.bootstrap_servers, partition, roster.profile_of)
            return Lane(writer, settings.commit_seconds)

        raw = raw_store(settings)
        raw.start()
        beat = Reported(heartbeat(settings.run, POLLER), Reporter(settings.dagster_ui), "messages")
        turns = Turns(settings.fetch_threads, settings.requests_per_host)
        share = Group(settings.bootstrap_servers)
        poller = Poller(roster, share, Lanes(partitions, lane), raw, turns, beat)
        control = Control(settings.run, poller.poll_now)
        control.start()
        try:
            poller.run(stop)
            end_heartbeat(settings.run, POLLER)
        finally:
            control.stop()
            raw.close()


def source_askers(sources: "Iterable[Source]", settings: Settings) -> "list[SourceAsker]":
    """What asks the sources, by one session for all. Raises WrongSettings where a JCDecaux source has no key."""
    ask_of = asker_maker(settings)
    return [ask_of(source) for source in sources]


def asker_maker(settings: Settings) -> "Callable[[Source], SourceAsker]":
    """Makes what asks a source, all of them by one session."""
    from bike_assets.ingest.asking import SourceAsker

    own, one = defaults(settings), fetcher(settings)
    return lambda source: SourceAsker(source, own, one)


def defaults(settings: Settings) -> "Defaults":
    """What holds for a source that says nothing else."""
    from bike_assets.sources.plan import Defaults

    return Defaults(settings.poll_seconds, settings.jcdecaux_url, settings.jcdecaux_key)


def fetcher(settings: Settings) -> "Fetcher":
    """The door to the network, with the deadlines and sizes of the settings."""
    from bike_assets.sources.http import Fetcher

    return Fetcher(settings.read_seconds, settings.max_body_mb * 1_000_000, settings.requests_per_host)


def raw_store(settings: Settings) -> "RawStore":
    from bike_assets.ingest.raw import RawStore

    return RawStore(settings.raw, settings.raw_days, int(settings.raw_gb * 1e9))


def poller_lock(settings: Settings) -> AbstractContextManager[None]:
    """Held by whoever writes the topics: a poller, a replay, a poll by hand."""
    return _refused_half_replaced(settings, _writers(settings))


def _writers(settings: Settings) -> AbstractContextManager[None]:
    return held(settings.run / "poller.lock", "A poller or a replay is at work in this home: end it first")


@contextmanager
def _refused_half_replaced(settings: Settings, lock: AbstractContextManager[None]) -> Iterator[None]:
    with lock:
        refuse_half_replaced(settings)
        yield


@contextmanager
def history_lock(settings: Settings) -> Iterator[None]:
    """Held by who replaces what the topics and tables hold, and finishes what was broken off of it."""
    with _writers(settings), _streams(settings):
        yield


def refuse_half_replaced(settings: Settings) -> None:
    """Raise HalfReplaced where a replacement was broken off: between topics and tables, or before its answers came."""
    said = half_replaced(settings)
    if said is not None:
        raise HalfReplaced(said)


def half_replaced(settings: Settings) -> str | None:
    """What is to be done about a replacement that was broken off, if one was."""
    if settings.replacement.exists():
        return (
            "A replay with --replace was broken off in this home, and topics and tables do not agree: "
            "do it again, or any other `bike replay --replace`, before anything else is written."
        )
    if settings.half_replayed.exists():
        again = json.loads(settings.half_replayed.read_bytes())["again"]
        return (
            "A replacement was broken off in this home before its answers were all replayed, and what it took out is "
            f"missing: do `{again}` again before anything else is written. If its answers are gone, what they told is "
            f"lost: then delete {settings.half_replayed}."
        )
    return None


def is_poller_up(settings: Settings) -> bool:
    return is_held(settings.run / "poller.lock")


def stream_lock(settings: Settings) -> AbstractContextManager[None]:
    """Held by whoever works on the stream's checkpoints."""
    return _refused_half_replaced(settings, _streams(settings))


def _streams(settings: Settings) -> AbstractContextManager[None]:
    return held(settings.run / "stream.lock", "A stream or a drain is at work in this home: wait, or end it")


def is_stream_up(settings: Settings) -> bool:
    return is_held(settings.run / "stream.lock")


def streams_pid(settings: Settings) -> str:
    """Of whoever works on the stream's checkpoints."""
    return holder(settings.run / "stream.lock")


def run_stream(settings: Settings, spark: "SparkHome") -> None:
    """Carry the topics into the tables until told to stop."""
    from bike_assets.stream.behind import Behind
    from bike_assets.stream.closing import ClosingDays
    from bike_assets.stream.offsets import end_offsets
    from bike_assets.stream.progress import EVENTS
    from bike_assets.stream.service import run_stream as run

    os.nice(GIVES_WAY)
    stop = until_told_to_stop()
    reporter = Reporter(settings.dagster_ui)
    beat_heart = heartbeat(settings.run, STREAM)
    reported = Reported(beat_heart, reporter, "rows", lambda key: refused_lately(settings.lake, key))
    report = day_report(reporter, settings.lake)
    days = ClosingDays(settings.lake, settings.closed_days, report, settings.events_days)

    behind = Behind(lambda: end_offsets(settings.bootstrap_servers), datetime.now(UTC))
    behind.start()

    def beat(details: Mapping[str, Any]) -> None:
        done = details["queries"][EVENTS].get("offsets") or {}
        reported({**details, "lag": behind.report(done)})
        with suppress(BrokerUnavailable):  # then nothing is polled either, and it is looked again in a moment
            days.look(datetime.now(UTC), done, lambda: end_offsets(settings.bootstrap_servers))

    plan = replace(stream_plan(settings, spark), serving=serving(settings))
    with stream_lock(settings):
        run(plan, beat, stop)
    end_heartbeat(settings.run, STREAM)


def refused_lately(lake: Path, key: Sequence[str]) -> Mapping[str, Any]:
    """What is told of the rejections beside how many they are: the last day's, by system and reason."""
    if tuple(key) != EVENTS_REJECTIONS.path:
        return {}
    return _by_reason(lake, datetime.now(UTC) - timedelta(days=1), None)


def _by_reason(lake: Path, since: datetime, until: datetime | None) -> Mapping[str, Any]:
    from bike_assets.lake.rejections import counted

    try:
        return {"by_reason": counted(lake, since, until)}
    except LakeBroken as err:
        return {"by_reason": str(err)}  # told where it is looked for; the stream itself fails by its own reasons


def day_report(reporter: Reporter, lake: Path) -> "Report":
    """How a closed day is told to Dagster: as a partition of its table."""

    def report(each: "Closed", heard: Callable[[], None]) -> None:
        said = f"{each.rows} rows of {each.day}"
        metadata: dict[str, Any] = {"dagster/partition_row_count": each.rows}
        if each.table is EVENTS_REJECTIONS:
            begin = datetime.combine(each.day, time(), UTC)
            metadata |= _by_reason(lake, begin, begin + timedelta(days=1))
        reporter.materialized(each.table.path, metadata, said, each.day.isoformat(), heard)

    return report


def serving(settings: Settings) -> "Serving":
    """How the resident Spark driver serves runs; its token is made at the first start of this home."""
    from bike_assets.lake.driver import Serving

    path = settings.spark_token
    if not path.exists():
        write_whole(path, secrets.token_urlsafe(32).encode(), mode=0o600)
    return Serving(settings.spark_port, path.read_text())


def stream_plan(settings: Settings, spark: "SparkHome") -> "StreamPlan":
    from bike_assets.stream.service import StreamPlan

    return StreamPlan(spark, settings.lake, settings.bootstrap_servers, settings.trigger_seconds)


def run_page(settings: Settings) -> None:
    """Serve the live page until told to stop."""
    from bike_assets.dashboard.app import run_page as run

    beat = Reported(heartbeat(settings.run, PAGE), Reporter(settings.dagster_ui), "messages")
    run(settings.host, settings.page_port, settings.bootstrap_servers, settings.dagster_ui, beat)


def run_orders(settings: Settings, partitions: int) -> None:
    """Take orders over HTTP until told to stop."""
    from bike_assets.ingest.orders.app import run_orders as run

    beat = Reported(heartbeat(settings.run, ORDERS), Reporter(settings.dagster_ui), "messages")
    with held(settings.run / "orders.lock", "Orders are taken in this home already: end that service first"):
        book = settings.home / "orders.sqlite"
        run(settings.host, settings.orders_port, settings.bootstrap_servers, partitions, book,
            settings.orders_per_second, settings.orders_days, beat)  # fmt: skip
    end_heartbeat(settings.run, ORDERS)


def run_sales_sink(settings: Settings) -> None:
    """Keep the sales of an external database as the lake's are, until told to stop. Raises WrongSettings."""
    from bike_assets.stream.sinks.sales import SalesCarrier
    from bike_assets.stream.sinks.sql import SqlSink

    if settings.sales_database is None:
        raise WrongSettings("BIKE_SALES_DATABASE names no database: there is nothing to carry the sales to.")
    note_start(settings.run, SALES_SINK)
    sink = SqlSink(settings.sales_database.get_secret_value())
    _run_sink(settings, SALES_SINK, SalesCarrier(settings.lake, sink), sink.close)


def run_orders_sink(settings: Settings) -> None:
    """Keep the orders of a Cassandra as `events.orders` is, until told to stop. Raises WrongSettings."""
    from bike_assets.lake.tables import ensure_table
    from bike_assets.stream.sinks.orders import OrdersCarrier, OrdersCassandra

    if settings.orders_cassandra is None:
        raise WrongSettings("BIKE_ORDERS_CASSANDRA names no Cassandra: there is nothing to carry the orders to.")
    note_start(settings.run, ORDERS_SINK)
    sink = OrdersCassandra(settings.orders_cassandra.get_secret_value())
    ensure_table(settings.lake, EVENTS_ORDERS)
    _run_sink(settings, ORDERS_SINK, OrdersCarrier(settings.lake, sink), sink.close)


def run_members_sink(settings: Settings) -> None:
    """Keep the members of a Cassandra as `events.users` is, until told to stop. Raises WrongSettings."""
    from bike_assets.lake.tables import ensure_table
    from bike_assets.stream.sinks.users import UsersCarrier

    sink = members_sink(settings)
    if sink is None:
        raise WrongSettings("BIKE_MEMBERS_CASSANDRA names no Cassandra: there is nothing to carry the members to.")
    note_start(settings.run, MEMBERS_SINK)
    ensure_table(settings.lake, EVENTS_USERS)
    _run_sink(settings, MEMBERS_SINK, UsersCarrier(settings.lake, sink), sink.close)


def _run_sink(settings: Settings, name: str, carrier: "Carrier", close: Callable[[], None]) -> None:
    from bike_assets.stream.sinks.carrier import run_sink

    stop = until_told_to_stop()
    with sink_lock(settings, name, f"The {carrier.what} are carried over in this home already"):
        run_sink(carrier, heartbeat(settings.run, name), stop)
    close()
    end_heartbeat(settings.run, name)


def sink_lock(settings: Settings, name: str, refusal: str) -> AbstractContextManager[None]:
    """Held by the sink of this name, or by who writes into its database beside it."""
    return held(settings.run / f"{name}.lock", refusal)


def sink_databases(settings: Settings) -> dict[str, SecretStr | None]:
    """The sinks, and the database that a setting names for each, if one does."""
    return {SALES_SINK: settings.sales_database, ORDERS_SINK: settings.orders_cassandra,
            MEMBERS_SINK: settings.members_cassandra}  # fmt: skip


def members_sink(settings: Settings) -> "CreatedUsers | None":
    """The Cassandra that gets the members; None where no setting names one."""
    from bike_assets.stream.sinks.created_users import CreatedUsers

    url = settings.members_cassandra
    return None if url is None else CreatedUsers(url.get_secret_value())


def members_lock(settings: Settings) -> AbstractContextManager[None]:
    """Held by who polls members, or forgets one."""
    return held(settings.run / "members.lock", "Members are polled, or one is forgotten, in this home: wait")


def members_keyed(settings: Settings) -> "Keyed":
    """What hashes with the key of the settings, or of the home's file. Raises WrongSettings where there is none."""
    from bike_assets.ingest.members.writer import key_missing
    from bike_assets.model.personal import Keyed

    if settings.members_key is not None:
        return Keyed(settings.members_key.get_secret_value())
    if not settings.members_key_file.exists():
        raise key_missing()
    return Keyed(settings.members_key_file.read_text().strip())


def run_shop(settings: Settings, seed: int) -> None:
    """Send the demo's orders until told to stop."""
    from bike_assets.simulator.orders import run_orders as run

    run(f"{settings.orders_url}/orders", seed, until_told_to_stop())


def bring_customers(settings: Settings, *, may_lose_most: bool = False) -> int:
    """Bring `warehouse.dim_customer` to what the list of customers says now; its rows.

    Raises WrongSettings, CustomersUnavailable, CustomersLost.
    """
    from bike_assets.warehouse.customers import read_list
    from bike_assets.warehouse.dim_customer import build_customers

    secret = settings.customers_database
    url = None if secret is None else secret.get_secret_value()
    customers = read_list(settings.customers, url, settings.customers_table)
    return build_customers(settings.lake, customers, datetime.now(UTC), may_lose_most=may_lose_most)


def run_simulator(settings: Settings, seed: int) -> None:
    """Serve the demo's two cities over HTTP until told to stop."""
    from bike_assets.simulator.server import run_simulator as run

    run(settings.simulator_port, seed, demo_recordings(), _simulated_since(settings.run, datetime.now(UTC)))


def _simulated_since(run: Path, now: datetime) -> datetime:
    """When the simulated cities began: a restart goes on with them as if it had never stopped.

    After a day they begin anew, for all that happened since would have to happen first.
    """
    note = run / "simulator.since"
    if note.exists():
        since = datetime.fromisoformat(note.read_text())
        if now - since < timedelta(days=1):
            return since
    run.mkdir(parents=True, exist_ok=True)
    note.write_text(now.isoformat())
    return now


def demo_recordings() -> list[Path]:
    """The real recordings that the product carries."""
    return sorted((DATA / "recordings").glob("*.jsonl.xz"))
