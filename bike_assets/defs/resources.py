"""What assets and checks are handed: the command line for work, the lake for questions."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from pydantic import Field, PrivateAttr, SecretStr

from bike_assets.heartbeats import FRESH_S, read_heartbeat
from bike_assets.model.errors import LakeBroken, SparkLost, WrongSettings
from bike_assets.model.schema import Table
from bike_assets.model.tables import TABLES
from bike_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    from bike_assets.alerts.desk import Desk
    from bike_assets.lake.duck import Views
    from bike_assets.lake.tables import OpenTables
    from bike_assets.sources.config import Source
    from bike_assets.sources.redaction import Secrets
    from bike_assets.warehouse.build import Builder
    from bike_assets.warehouse.customers import Customer

SPARKS_LOST = 2
"""How often a step is begun again whose Spark driver went away."""

SPARK_STARTS_S = 20.0


class Bike(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The command line, as a process of its own.

    A command does its work by the services that are up, or starts what it needs and stops it after; its
    memory, and Spark's, goes with it.
    """

    command: list[str] = Field(default_factory=lambda: [sys.executable, "-m", "bike_assets"])
    """How it is called; the tests put a stand-in here."""

    def run(self, *arguments: str) -> Any:
        """What the command answers, from its JSON. Raises Failure with its one sentence."""
        command = [*self.command, *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise dg.Failure(_sentence(done.stderr), metadata={"said": done.stderr[-2000:]})
        return json.loads(done.stdout)


def _sentence(stderr: str) -> str:
    """What the command said was wrong: its last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "The command failed and said nothing."


class Lake(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The lake: read by DuckDB, built by Spark, kept by deltalake."""

    path: str
    events_days: int | None = None
    _tables: "OpenTables | None" = PrivateAttr(default=None)
    _views: "Views | None" = PrivateAttr(default=None)
    _builder: "Builder | None" = PrivateAttr(default=None)

    @property
    def directory(self) -> Path:
        return Path(self.path)

    @property
    def tables(self) -> "OpenTables":
        """The tables, which stay open for all the steps of a run."""
        from bike_assets.lake.tables import OpenTables

        if self._tables is None:
            self._tables = OpenTables(self.directory)
        return self._tables

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        if self._views is not None:
            self._views.close()

    def customers(self) -> "Mapping[str, Customer] | None":
        """What the list of customers says now; None where the settings name none.

        A database's address holds a secret: it is read here, and is no part of Dagster's configuration.
        """
        from bike_assets.warehouse.customers import read_list

        settings = load_settings()
        if not settings.has_customers:
            return None
        return read_list(settings.customers, _shown(settings.customers_database), settings.customers_table)

    def today(self) -> date:
        """The UTC date."""
        return datetime.now(UTC).date()

    @contextmanager
    def duckdb(self, *tables: Table) -> "Iterator[duckdb.DuckDBPyConnection]":
        """A connection with these tables, or all, as views, as they are now: one for all the steps of a run.

        Raises Failure naming a broken table.
        """
        import duckdb

        from bike_assets.lake.duck import Views, broken_table

        if self._views is None:
            self._views = Views(self.tables)
        try:
            yield self._views.newest(tables or TABLES)
        except duckdb.Error as err:
            self._views.close()  # some of them break the connection
            broken = broken_table(self.directory, err)
            if broken is None:
                raise
            raise dg.Failure(str(broken)) from None

    def days(self, table: Table) -> tuple[date, date]:
        """The first and the last day that the table has; today where it has none."""
        from bike_assets.lake.tables import rows_by_day

        there = [day for day in rows_by_day(self.directory, table) if day is not None]
        return min(there, default=self.today()), max(there, default=self.today())

    def days_over(self, table: Table) -> list[date]:
        """The days of the table to which little is added any more: all before today's UTC date."""
        from bike_assets.lake.tables import rows_by_day

        return [day for day in rows_by_day(self.directory, table) if day is not None and day < self.today()]

    def build(self, session: "SparkSession", table: Table, days: tuple[date, date] | None) -> int:
        """Build a table of the warehouse; how many rows it has then. Raises Failure naming what is broken, or gone.

        Where Spark went away meanwhile, the step is done again with the driver that the supervisor starts.
        """
        from bike_assets.warehouse.build import Builder

        self._refuse_forgotten(days)
        if self._builder is None or self._builder.spark is not session:
            self._builder = Builder(session, self.tables)
        try:
            return self._builder.build(table, days)
        except SparkLost as err:
            session.stop()  # else the next one asked for would be this one
            raise dg.RetryRequested(SPARKS_LOST, SPARK_STARTS_S) from err
        except LakeBroken as err:
            raise dg.Failure(str(err)) from None

    def _refuse_forgotten(self, days: tuple[date, date] | None) -> None:
        """Raise Failure for days whose events are gone: they would be replaced by nothing."""
        if self.events_days is None or days is None:
            return
        # A day's first hours are known by the events of the day before.
        first = self.today() - timedelta(days=self.events_days - 1)
        if days[0] < first:
            raise dg.Failure(
                f"{days[0]} cannot be built again: BIKE_EVENTS_DAYS keeps events of {self.events_days} days, which is "
                f"enough from {first} on. What was built of it stays."
            )


class Spark(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Spark for a run: the resident driver's, which starts at once, or a driver of the run's own."""

    bike: dg.ResourceDependency[Bike]
    run_directory: str
    port: int
    master: str
    memory: str
    _at_resident: "ConnectSession | None" = PrivateAttr(default=None)

    def session(self) -> "SparkSession":
        """A session. Raises Failure where the resident driver's token cannot be read."""
        from dagster_pyspark import LazyPySparkResource

        resident = self._resident()
        session: SparkSession = LazyPySparkResource(spark_config=resident or self._own()).spark_session
        if resident:
            self._at_resident = cast("ConnectSession", session)
        return session

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Give a session of the resident driver back: it would keep what the run asked of it for an hour.

        A driver that is gone has kept nothing, and would be asked for minutes whether it has.
        """
        if self._at_resident is not None:
            self._at_resident.release_session_on_close = _listens(self.port)
            self._at_resident.stop()

    def _resident(self) -> dict[str, str] | None:
        """Where the resident driver is; None where the stream is not up, or beats on another machine."""
        from bike_assets.lake.driver import Serving

        beat = read_heartbeat(Path(self.run_directory), "stream")
        if beat is None or beat.age_s(datetime.now(UTC)) > FRESH_S or not _listens(self.port):
            return None
        token = Path(self.run_directory, "spark.token").read_text()
        return {"spark.remote": Serving(self.port, token).url}

    def _own(self) -> dict[str, str]:
        from bike_assets.lake.driver import SparkHome
        from bike_assets.lake.spark import prepare_environment, spark_config

        found = self.bike.run("setup")
        home = SparkHome(self.master, self.memory, Path(found["java_home"]), [Path(jar) for jar in found["spark_jars"]])
        prepare_environment(home)
        return spark_config(home, "bike build")


def _listens(port: int) -> bool:
    """Whether something does on this machine's loopback: containers share a home and not that."""
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        return False
    return True


class Sources(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The systems that are polled, and how well each should be seen."""

    path: str
    service_level: float = 0.95

    def system_ids(self) -> list[str]:
        """Every system of the sources file. Raises Failure where there is no such file, or it is wrong."""
        return [id_ for source in self._all() for id_ in source.system_ids]

    def service_levels(self) -> dict[str, float]:
        """The systems that have a level of their own; none where there is no sources file."""
        if not Path(self.path).exists():
            return {}
        return {
            id_: source.service_level
            for source in self._all() for id_ in source.system_ids
            if source.service_level is not None
        }  # fmt: skip

    def _all(self) -> "tuple[Source, ...]":
        from bike_assets.sources.config import load_sources

        try:
            return load_sources(Path(self.path))
        except WrongSettings as err:
            raise dg.Failure(str(err)) from None


class Exports(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where days are written as files."""

    path: str

    @property
    def directory(self) -> Path:
        return Path(self.path)


class Record(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Dagster's own record: how long what is overtaken is kept."""

    days: int


class Alerts(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where incidents are kept, and the channels of the settings.

    The channels hold secrets: they are read where an alert is sent, and are no part of Dagster's configuration,
    which the UI shows.
    """

    run_directory: str
    book_directory: str
    dagster_url: str

    @property
    def directory(self) -> Path:
        return Path(self.run_directory)

    def desk(self, watcher: str, now: datetime) -> "Desk":
        """The desk of one that looks on."""
        from bike_assets.alerts.channels import MailServer, channels
        from bike_assets.alerts.desk import Desk

        settings = load_settings()
        server = MailServer(settings.smtp_host, settings.smtp_port, settings.smtp_starttls, settings.smtp_user,
                            _shown(settings.smtp_password))
        there = channels(
            self.dagster_url,
            webhook_url=_shown(settings.alert_webhook), slack_url=_shown(settings.slack_webhook),
            recipients=settings.alert_recipients, mail_server=server, sender=settings.smtp_from,
        )  # fmt: skip
        return Desk(Path(self.book_directory) / f"{watcher}.json", there, now)

    def secrets(self) -> "Secrets":
        """What must never be told, whatever an error says."""
        from bike_assets.sources.redaction import Secrets

        values = [getattr(load_settings(), name) for name in Settings.model_fields]
        return Secrets(value.get_secret_value() for value in values if isinstance(value, SecretStr))


def _shown(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def resources() -> dict[str, dg.ConfigurableResource[Any]]:
    """The resources, from the settings."""
    settings = load_settings()
    bike = Bike()
    spark = Spark(
        bike=bike,
        run_directory=str(settings.run),
        port=settings.spark_port,
        master=settings.spark_master,
        memory=settings.spark_memory,
    )
    return {
        "bike": bike,
        "spark": spark,
        "lake": Lake(path=str(settings.lake), events_days=settings.events_days),
        "exports": Exports(path=str(settings.exports)),
        "sources": Sources(path=str(settings.sources), service_level=settings.service_level),
        "record": Record(days=settings.dagster_days),
        "alerts": Alerts(
            run_directory=str(settings.run),
            book_directory=str(settings.incidents),
            dagster_url=settings.dagster_ui,
        ),
    }
