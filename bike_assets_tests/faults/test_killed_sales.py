"""kill -9 of what takes orders, of stream and sink, and a database that goes and comes, while orders are sent.

At the end the lake and the database hold what was acknowledged, each version once, to the cent.
"""

import os
import random
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from bike_assets.heartbeats import read_heartbeat
from bike_assets.local.jars import Jars
from bike_assets.services import GIVES_WAY
from bike_assets_tests.faults.test_kills import kill
from bike_assets_tests.journeys.homes import Home, end, home, is_broker_up, is_streaming, wait_until
from bike_assets_tests.postgres import Postgres, Server, restartable_postgres

API, STREAM, SINK, DATABASE = "orders", "stream", "sales-sink", "database"
KILLS = {API: 5, STREAM: 2, SINK: 4, DATABASE: 2}
SENDERS, PAUSE_S = 4, 0.05
"""Senders without a pause would have both cores, and the stream's starts take all the test's time."""

SEED = 20_261_126
STATES = {"c0": "TX", "c1": "CA", "c2": "NY"}
"""The customers; c3 is one that nobody knows."""

READY_S = 90.0
pytestmark = pytest.mark.timeout(400)

Sales = dict[tuple[str, str], tuple[int, int, Decimal]]


@dataclass
class Shop:
    """Senders that send the same again until it is acknowledged, as the service asks of them."""

    url: str
    is_over: threading.Event
    acknowledged: list[dict[str, Any]] = field(default_factory=list)
    unanswered: int = 0

    def send(self, number: int) -> None:
        """Requests of some orders each, new ones and corrections, one after the other."""
        chance, count = random.Random(SEED + number), 0
        latest: dict[str, int] = {}
        with requests.Session() as session:
            while not self.is_over.is_set():
                asked = []
                for _ in range(chance.randint(1, 20)):
                    is_correction = bool(latest) and chance.random() < 0.2
                    order_id = chance.choice(list(latest)) if is_correction else f"{number}-{count}"
                    count += not is_correction
                    latest[order_id] = latest.get(order_id, 0) + 1
                    asked.append(self._order(chance, order_id, latest[order_id]))
                self._until_acknowledged(session, asked)
                self.is_over.wait(PAUSE_S)

    def _order(self, chance: random.Random, order_id: str, version: int) -> dict[str, Any]:
        return {
            "order_id": order_id, "version": version, "customer_id": f"c{chance.randrange(4)}",
            "source": chance.choice(["shop", "app"]), "quantity": chance.randrange(5),
            "total": f"{chance.randrange(10**6) / 100:.2f}", "created_at": datetime.now(UTC).isoformat(),
        }  # fmt: skip

    def _until_acknowledged(self, session: requests.Session, asked: list[dict[str, Any]]) -> None:
        while True:
            try:
                answer = session.post(f"{self.url}/orders", json=asked, timeout=5)
            except requests.RequestException:
                self.unanswered += 1
                threading.Event().wait(0.1)  # nobody is there: not as fast as can be
                continue
            if answer.ok:
                self.acknowledged += asked  # of a list, in one step
                return
            assert answer.status_code == 503, answer.text
            threading.Event().wait(0.1)


def told(orders: list[dict[str, Any]]) -> Sales:
    """What the sales come to, in plain Python: each order by its latest version."""
    latest: dict[str, dict[str, Any]] = {}
    for each in sorted(orders, key=lambda each: each["version"]):
        latest[each["order_id"]] = each
    sums: defaultdict[tuple[str, str], tuple[int, int, Decimal]] = defaultdict(lambda: (0, 0, Decimal(0)))
    for each in latest.values():
        key = each["source"], STATES.get(each["customer_id"], "unknown")
        count, quantity, total = sums[key]
        sums[key] = count + 1, quantity + each["quantity"], total + Decimal(each["total"])
    return dict(sums)


@dataclass
class Disturber:
    """Kills each role at seeded moments, and starts it again, until each was killed often enough."""

    home: Home
    server: Server
    kills: Counter[str] = field(default_factory=Counter)
    is_broken: threading.Event = field(default_factory=threading.Event)

    def disturb(self) -> None:
        roles: list[Callable[[], None]] = [
            lambda: self._services(API, 0.2, 4.0), lambda: self._services(SINK, 0.5, 6.0), self._stream, self._database,
        ]  # fmt: skip
        with ThreadPoolExecutor(len(roles)) as pool:
            for done in [pool.submit(self._until_broken, role) for role in roles]:
                done.result()

    def _until_broken(self, role: Callable[[], None]) -> None:
        try:
            role()
        except BaseException:
            self.is_broken.set()
            raise

    def _goes_on(self, role: str) -> bool:
        """All are killed until the last of them was killed often enough."""
        is_enough = all(self.kills[each] >= count for each, count in KILLS.items())
        return not is_enough and not self.is_broken.is_set()

    def _services(self, name: str, low: float, high: float) -> None:
        chance = random.Random(f"{SEED} {name}")
        while self._goes_on(name):
            process = self.home.start("run", name)
            wait_until(lambda pid=process.pid: self._beats(name, pid), READY_S, f"{name} is up")  # type: ignore[misc]
            self.is_broken.wait(chance.uniform(low, high))
            assert process.poll() is None, f"{name} ended by itself: see run-{name}.log in {self.home.directory}"
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            self.kills[name] += 1

    def _beats(self, name: str, pid: int) -> bool:
        beat = read_heartbeat(self.home.path / "run", name)
        return beat is not None and beat.pid == pid

    def _stream(self) -> None:
        chance = random.Random(f"{SEED} {STREAM}")
        while self._goes_on(STREAM):
            process = self.home.start("run", STREAM)
            wait_until(lambda pid=process.pid: is_streaming(self.home, pid), READY_S, "the stream is up")  # type: ignore[misc]
            self.is_broken.wait(chance.uniform(0.5, 5))
            spark = psutil.Process(process.pid).children(recursive=True)
            assert all(each.nice() >= GIVES_WAY for each in spark), "it keeps no order waiting"
            os.kill(process.pid, signal.SIGKILL)
            if self.kills[STREAM] % 2 == 0:  # else Spark goes on until it sees that nobody is there
                kill(spark)
            process.wait()
            self.kills[STREAM] += 1

    def _database(self) -> None:
        chance = random.Random(f"{SEED} {DATABASE}")
        while self._goes_on(DATABASE):
            self.is_broken.wait(chance.uniform(3, 8))
            self.server.stop(signal.SIGQUIT)
            self.is_broken.wait(chance.uniform(1, 6))
            self.server.start()
            self.kills[DATABASE] += 1


def in_database(postgres: Postgres) -> Sales:
    rows = postgres.psql("SELECT source, state, orders, quantity, total FROM orders_by_source_state").splitlines()
    split = [row.split("|") for row in rows]
    return {(source, state): (int(orders), int(quantity), Decimal(total))
            for source, state, orders, quantity, total in split}  # fmt: skip


@dataclass
class Ended:
    """What was acknowledged, what was killed, and where all of it is to be."""

    home: Home
    shop: Shop
    kills: Counter[str]
    postgres: Postgres


@pytest.fixture(scope="module")
def ended(java: Path, jars: Jars, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """Everything killed while orders are sent, then all up again, and the database at rest."""
    customers = tmp_path_factory.mktemp("customers") / "customers.csv"
    customers.write_text("id,state\n" + "".join(f"{name},{state}\n" for name, state in STATES.items()))
    with (
        restartable_postgres() as server,
        home(tmp_path_factory.mktemp("sales"), TRIGGER_SECONDS="0.5", JAVA_HOME=str(java), LOG_LEVEL="WARNING",
             CUSTOMERS=str(customers)) as made,
    ):  # fmt: skip
        postgres = server.start()
        made.environment |= {"BIKE_KAFKA": made.bootstrap, "BIKE_SALES_DATABASE": postgres.url}
        made.answer("customers")
        with made.running("run", "broker", until=lambda: is_broker_up(made)), ThreadPoolExecutor(SENDERS) as pool:
            shop, disturber = Shop(made.url("ORDERS_PORT"), threading.Event()), Disturber(made, server)
            sending = [pool.submit(shop.send, number) for number in range(SENDERS)]
            services = []
            try:
                disturber.disturb()
                services = [made.start("run", name) for name in (API, STREAM, SINK)]
                shop.is_over.set()
                for each in sending:
                    each.result(READY_S)
                _wait_for(postgres, told(shop.acknowledged))
            finally:
                shop.is_over.set()
                for service in services:
                    end(service)
            yield Ended(made, shop, disturber.kills, postgres)


def _wait_for(postgres: Postgres, expected: Sales) -> None:
    """Wait until the database has it; where it never does, the test says by its assertion what it has."""
    with suppress(AssertionError):
        wait_until(lambda: in_database(postgres) == expected, READY_S, "the database is at rest", every_s=0.5)


def test_all_was_killed_while_orders_were_taken(ended: Ended) -> None:
    assert all(ended.kills[role] >= count for role, count in KILLS.items())
    assert ended.shop.unanswered > 0
    assert len(ended.shop.acknowledged) > 1_000


def test_each_acknowledged_version_is_in_the_lake_once_and_nothing_else_is(ended: Ended) -> None:
    rows = ended.home.rows("SELECT order_id, version, total::VARCHAR AS total FROM events.orders")
    assert sorted((row["order_id"], row["version"], row["total"]) for row in rows) == sorted(
        (each["order_id"], each["version"], each["total"]) for each in ended.shop.acknowledged)


def test_the_sales_of_the_lake_and_of_the_database_are_those_of_what_was_acknowledged(ended: Ended) -> None:
    expected = told(ended.shop.acknowledged)
    assert {state for _, state in expected} == {*STATES.values(), "unknown"}
    rows = ended.home.rows("SELECT * REPLACE (total::VARCHAR AS total) FROM live.orders_by_source_state")
    in_lake = {(row["source"], row["state"]): (row["orders"], row["quantity"], Decimal(row["total"])) for row in rows}
    assert in_lake == expected
    assert in_database(ended.postgres) == expected
