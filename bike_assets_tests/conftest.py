"""What many tests need: Java, the jars, and a real broker. Ports are free ones, all on 127.0.0.1."""

import os
import signal
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from bike_assets.local.broker import LocalBroker
from bike_assets.local.jars import Jars, ensure_jars
from bike_assets.local.ports import free_ports
from bike_assets_tests.cassandra import CassandraServer, cassandra_server
from bike_assets_tests.java import short_lived_java
from bike_assets_tests.mariadb import MariaDb, mariadb_server
from bike_assets_tests.postgres import Postgres, postgres_server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HEAVY = {
    "test_kills.py": 1, "test_demo.py": 1, "test_killed_runs.py": 1, "test_alerts.py": 1,
    "test_replay.py": 2, "test_checked_recordings.py": 2, "test_containers.py": 2, "test_by_hand.py": 2,
    "test_sentences.py": 2, "test_replace.py": 2, "test_killed_sales.py": 2, "test_forgotten_member.py": 2,
}  # fmt: skip
"""Tests that start brokers, Sparks and services as a user would, in two lots, one for each worker: more of them at
once would wait for each other.
"""

CHECKOUT = Path(__file__).parents[1]
HOME = Path(os.environ.get("BIKE_TEST_HOME", CHECKOUT / "var")).absolute()
"""Holds the jars, so that they are fetched once; nothing else is kept there."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """A file's tests share its fixtures, and so a worker; so do the heavy ones of a lot."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        lot = HEAVY.get(Path(file).name)
        return file if lot is None else f"heavy {lot}"


def pytest_configure() -> None:
    """The tests are to end what they start wherever they run.

    A script's background ignores SIGINT, and Dagster, as part of a test, gives SIGTERM what SIGINT has; what is started
    after that would ignore it too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """How the two workers share the tests."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, a lot after the other."""
    items.sort(key=lambda item: HEAVY.get(item.path.name, 3))


@pytest.fixture(scope="session")
def java() -> Path:
    """A JAVA_HOME that Spark and Kafka run on."""
    return short_lived_java(HOME)


@pytest.fixture(scope="session")
def jars(java: Path) -> Jars:
    """The class paths of Spark's extensions and of the broker."""
    return ensure_jars(HOME, java)


@pytest.fixture(scope="session")
def broker(java: Path, jars: Jars, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of a broker that all tests share: tell systems apart by their `system_id`."""
    with LocalBroker(tmp_path_factory.mktemp("broker"), java, jars.kafka, *free_ports(2)) as running:
        yield running.bootstrap


@pytest.fixture(scope="module")
def fresh_broker(java: Path, jars: Jars, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of a broker that is this module's alone, without topics at first."""
    with LocalBroker(tmp_path_factory.mktemp("fresh-broker"), java, jars.kafka, *free_ports(2)) as running:
        yield running.bootstrap


@pytest.fixture(scope="session")
def spark(java: Path, jars: Jars) -> Iterator["SparkSession"]:
    """One Spark session for all tests that need one: a start costs some seconds."""
    from bike_assets.lake.driver import SparkHome
    from bike_assets.lake.spark import spark_session

    session = spark_session(SparkHome("local[2]", "1g", java, jars.spark), "tests")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def postgres_running() -> Iterator[Postgres]:
    """The PostgreSQL that all tests share."""
    with postgres_server() as running:
        yield running


@pytest.fixture
def postgres(postgres_running: Postgres) -> Postgres:
    """An empty database of this test's own."""
    name = f"test_{uuid.uuid4().hex}"
    postgres_running.psql(f"CREATE DATABASE {name}")
    return replace(postgres_running, database=name)


@pytest.fixture(scope="session")
def mariadb_running() -> Iterator[MariaDb]:
    """The MariaDB that all tests share."""
    with mariadb_server() as running:
        yield running


@pytest.fixture
def mariadb(mariadb_running: MariaDb) -> MariaDb:
    """An empty database of this test's own."""
    name = f"test_{uuid.uuid4().hex}"
    mariadb_running.as_root(f"CREATE DATABASE {name}")
    return replace(mariadb_running, database=name)


@pytest.fixture(scope="session")
def cassandra_running() -> Iterator[CassandraServer]:
    """The Cassandra that all tests share."""
    with cassandra_server(HOME) as running:
        yield running


@pytest.fixture
def bare_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to stand in, and no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("BIKE_"):
            monkeypatch.delenv(name)
    return tmp_path
