"""All settings, read once: from the environment (`BIKE_*`), `.env`, and `bike.toml`, in that order.

Layers get values, never this object; only the command line, the services and `defs/resources.py` read it.
"""

import os
import re
import tomllib
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from bike_assets.model.errors import WrongSettings

ENV_FILE = Path(".env")
DATABASES = ("postgres", "mysql", "mssql", "cassandra", "duckdb")
"""The settings that name a database to serve the warehouse from."""

SETTINGS_FILE = Path("bike.toml")
NO_SETTINGS = frozenset({"BIKE_SUPERVISED_HOME", "BIKE_CHILD_OF", "BIKE_TEST_HOME"})
"""Variables by which processes of ours are known, and the tests' home."""


class Settings(BaseSettings):
    """What a person may set. Every default works on one laptop with nothing else set up."""

    model_config = SettingsConfigDict(
        env_prefix="BIKE_", env_file=ENV_FILE, toml_file=SETTINGS_FILE, extra="ignore"
    )

    home: Path = Field(Path("var"), description="where all state lives: raw, kafka, lake, dagster, jars, logs")
    sources: Path = Field(Path("sources.toml"), description="the systems to poll")
    customers: Path | None = Field(
        None, description="customers with `id`, `state` and more: a CSV, a .parquet, or a Delta table's directory")
    customers_database: SecretStr | None = Field(
        None, description="the SQLAlchemy URL of a database with a table of them instead")
    customers_table: str = Field("customers", description="the name of that table, with its schema where it needs one")
    host: str = Field("127.0.0.1", description="the address that services listen on")
    page_port: int = Field(8088, ge=1, le=65535, description="of the live page")
    dagster_port: int = Field(3000, ge=1, le=65535, description="of Dagster's UI")
    dagster_url: str | None = Field(None, description="of Dagster's UI, where it is not on this machine's port")
    orders_port: int = Field(8089, ge=1, le=65535, description="of the service that takes orders")
    kafka_port: int = Field(19092, ge=1, le=65535, description="of the local broker")
    kafka_controller_port: int = Field(19093, ge=1, le=65535, description="of the local broker")
    simulator_port: int = Field(18080, ge=1, le=65535, description="of the demo's simulator")

    kafka: str | None = Field(None, description="bootstrap servers; without them a local broker is started")
    partitions: PositiveInt = Field(4, description="of each topic, when it is made")
    java_home: Path | None = Field(None, description="a Java of 17 or newer; without it the one that pip brought")
    spark_master: str = Field("local[2]", description="where Spark runs")
    spark_port: int = Field(15002, ge=1, le=65535, description="of the resident Spark driver, for runs")
    spark_memory: str = Field("1g", pattern=r"^\d+[mg]$", description="the heap of Spark's driver")

    events_days: int | None = Field(None, ge=4, description="days that events are kept, but for orders; else all")
    first_day: date = Field(date(2014, 1, 1), description="the first day that the warehouse has a partition for")

    service_level: float = Field(0.95, ge=0, le=1, description="share of its day that a system should be seen in")

    poll_seconds: PositiveInt = Field(60, description="s between polls, where a feed's ttl asks for no more")
    read_seconds: PositiveFloat = Field(20, description="s that an answer may take as a whole")
    max_body_mb: PositiveInt = Field(64, description="MB of an answer, decompressed; a larger one is refused")
    fetch_threads: PositiveInt = Field(32, description="requests under way at once")
    requests_per_host: PositiveInt = Field(4, description="requests under way at once with one host")
    commit_seconds: PositiveFloat = Field(0.2, description="s that polls wait to share a Kafka transaction")
    orders_per_second: PositiveInt = Field(50_000, description="orders that a client may send in a second")
    orders_days: PositiveInt = Field(90, description="days that an order may be late; older ones are refused")
    sales_database: SecretStr | None = Field(
        None, description="the SQLAlchemy URL of a PostgreSQL, MySQL or MariaDB that gets the sales")
    orders_cassandra: SecretStr | None = Field(
        None, description="a Cassandra that gets the orders: cassandra://user:password@host:9042, ?ssl=true encrypts")
    members_url: SecretStr | None = Field(
        None, description="a members API of randomuser.me's format; without it, none")
    members_key: SecretStr | None = Field(
        None, description="with it members' addresses and ids are hashed, 32 characters or more")
    members_cassandra: SecretStr | None = Field(
        None, description="a Cassandra that gets the members: cassandra://user:password@host:9042, ?ssl=true encrypts")
    raw_days: PositiveInt = Field(7, description="days that raw answers are kept")
    raw_gb: PositiveFloat = Field(5, description="GB that raw answers may take, the oldest go first")
    trigger_seconds: PositiveFloat = Field(10, description="s between batches of the stream")

    jcdecaux_key: SecretStr | None = Field(None, description="the key of JCDecaux's API")
    jcdecaux_url: str = Field("https://api.jcdecaux.com", description="JCDecaux's API")

    schema_registry_url: SecretStr | None = Field(
        None, validation_alias=AliasChoices("schema_registry_url", "bike_schema_registry_url"),
        description="a registry that is told the topics' schemas; SCHEMA_REGISTRY_URL names it too",
    )

    postgres: SecretStr | None = Field(None, description="a PostgreSQL that the warehouse is served from")

    mysql: SecretStr | None = Field(None, description="a MariaDB or MySQL that the warehouse is served from")
    mssql: SecretStr | None = Field(None, description="a SQL Server that the warehouse is served from")
    cassandra: SecretStr | None = Field(None, description="a Cassandra that the warehouse is served from")
    duckdb: Path | None = Field(None, description="a DuckDB file that the warehouse is served from")

    alert_webhook: SecretStr | None = Field(None, description="where each incident is posted as JSON")
    slack_webhook: SecretStr | None = Field(None, description="Slack's incoming webhook for incidents")
    alert_email: str | None = Field(None, description="who gets incidents by mail, with commas between them")
    smtp_host: str = Field("127.0.0.1", description="the server that takes the mail")
    smtp_port: int = Field(25, ge=1, le=65535, description="of the mail server")
    smtp_starttls: bool = Field(False, description="whether mail goes encrypted")
    smtp_user: str | None = Field(None, description="with which the mail server knows us; without it, it need not")
    smtp_password: SecretStr | None = Field(None, description="of that user")
    smtp_from: str | None = Field(None, description="the sender of the mail; without it, its first recipient")

    dagster_days: PositiveInt = Field(30, description="days that Dagster keeps what is no longer needed of its runs")

    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$",
                           description="DEBUG, INFO, WARNING or ERROR")
    log_json: bool = Field(False, description="a JSON object a line instead of text")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def bootstrap_servers(self) -> str:
        """Where Kafka is: the broker that the user named, or the local one."""
        return self.kafka or f"127.0.0.1:{self.kafka_port}"

    @property
    def dagster_ui(self) -> str:
        """Where services report to, and where a reader is sent."""
        return self.dagster_url or f"http://{self.host}:{self.dagster_port}"

    @property
    def page_url(self) -> str:
        """Where the live page is."""
        return f"http://{self.host}:{self.page_port}"

    @property
    def orders_url(self) -> str:
        """Where orders are taken."""
        return f"http://{self.host}:{self.orders_port}"

    @property
    def exports(self) -> Path:
        """Days of systems as files, for whoever takes them."""
        return self.home / "exports"

    @property
    def has_customers(self) -> bool:
        """Whether a list of customers is named."""
        return self.customers is not None or self.customers_database is not None

    @property
    def databases(self) -> list[str]:
        """Those that the warehouse is served from."""
        return [name for name in DATABASES if getattr(self, name) is not None]

    def export_note(self, name: str) -> Path:
        """What the last export into this database saw of it."""
        return self.run / f"export-{name}.json"

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @property
    def raw(self) -> Path:
        return self.home / "raw"

    @property
    def run(self) -> Path:
        """Locks, heartbeats and the addresses of what runs."""
        return self.home / "run"

    @property
    def members_key_file(self) -> Path:
        """Where the key is read from that no setting gives: the demo makes one."""
        return self.home / "members.key"

    @property
    def members_note(self) -> Path:
        """What the last poll of the members API gave."""
        return self.run / "members.json"

    @property
    def forgotten(self) -> Path:
        """The record of the members that were forgotten, without anything of them."""
        return self.home / "forgotten.jsonl"

    @property
    def incidents(self) -> Path:
        """What is wrong, and which alerts are still to be sent."""
        return self.run / "incidents"

    @property
    def closed_days(self) -> Path:
        """Which days of the stream's tables Dagster was told of."""
        return self.run / "closed_days.json"

    @property
    def replacement(self) -> Path:
        """What is being taken out of topics and tables; there only while that is under way, or was broken off."""
        return self.run / "replacement.json"

    @property
    def half_replayed(self) -> Path:
        """What was taken out and is not all replayed; there only while that is under way, or was broken off."""
        return self.run / "half_replayed.json"

    @property
    def spark_token(self) -> Path:
        """The file with which a run shows the resident Spark driver that it may ask."""
        return self.run / "spark.token"

    @property
    def alert_recipients(self) -> list[str]:
        return [each.strip() for each in (self.alert_email or "").split(",") if each.strip()]

    @property
    def logs(self) -> Path:
        return self.home / "logs"


def load_settings(**given: Any) -> Settings:
    """The settings, with `given` before all else. Raises WrongSettings naming file, line and key."""
    try:
        settings = Settings(**given)
    except tomllib.TOMLDecodeError as err:
        raise WrongSettings(f"{SETTINGS_FILE} is no TOML: {err}.") from None
    except ValidationError as err:
        raise WrongSettings(_explained(err)) from None
    unknown = sorted(_in_file() - Settings.model_fields.keys())
    if unknown:
        raise WrongSettings(f"{_place(unknown[0])}: no such setting; `bike config` lists them all.")
    return settings.model_copy(update={"home": settings.home.absolute()})


def unknown_variables() -> list[str]:
    """A sentence for each `BIKE_*` of the environment and `.env` that sets nothing, with what may be meant."""
    known = [_variable(name) for name in Settings.model_fields]
    given = {*os.environ, *dotenv_values(ENV_FILE)}
    sentences = []
    for name in sorted(given):
        if name.upper().startswith("BIKE_") and name.upper() not in {*known, *NO_SETTINGS}:
            near = get_close_matches(name.upper(), known, 1)
            meant = f" Did you mean {near[0]}?" if near else " `bike config` lists them all."
            sentences.append(f"{name} is no setting.{meant}")
    return sentences


def _variable(key: str) -> str:
    return f"BIKE_{key.upper()}"


def _in_file() -> set[str]:
    return set(tomllib.loads(SETTINGS_FILE.read_text())) if SETTINGS_FILE.exists() else set()


def _explained(err: ValidationError) -> str:
    """The first mistake, without the value: it could be a key."""
    first = err.errors(include_input=False, include_url=False)[0]
    key = str(first["loc"][0]) if first["loc"] else "settings"
    return f"{_place(key)}: {first['msg']}."


def _place(key: str) -> str:
    """Where a setting was given: the variable, or the line of the file."""
    variable = _variable(key)
    if variable in map(str.upper, os.environ):
        return variable
    for file, name in ((ENV_FILE, variable), (SETTINGS_FILE, key)):
        lines = file.read_text().splitlines() if file.exists() else []
        for number, line in enumerate(lines, start=1):
            if re.match(rf"\s*(export\s+)?{re.escape(name)}\s*=", line, re.IGNORECASE):
                return f"{file}, line {number}, {name}"
    return variable
