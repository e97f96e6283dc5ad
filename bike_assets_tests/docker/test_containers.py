"""Each service's very command, as the compose file has it, in a clean virtual environment made from the image's lock.

Hosts, ports and directories of the containers are those of this machine; Kafka and Postgres are real, and ours.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from bike_assets.local.ports import free_ports
from bike_assets.model.warehouse import FACT_STATION_HOUR
from bike_assets_tests.browser import chromium
from bike_assets_tests.conftest import CHECKOUT, HOME
from bike_assets_tests.docker.compose import DOCKER, ours
from bike_assets_tests.journeys.apis import GOOD, apis
from bike_assets_tests.journeys.control_room import double_a_row, room
from bike_assets_tests.journeys.homes import end, wait_until
from bike_assets_tests.postgres import Postgres

KEY = "canary/5f3e9d+0a"
HEALTHY_S = 240.0
_SOURCES = """\
[[systems]]
kind = "jcdecaux"
version = 1
contract = "x"
"""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a virtual environment that holds what the image holds."""
    root = tmp_path_factory.mktemp("image")
    uv = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--system-certs", "--python",
          str(root / "bin" / "python")]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", str(root)],
        [*uv, "--require-hashes", "-r", str(DOCKER / "requirements.lock")],
        [*uv, "--no-deps", "--no-build-isolation", "-e", str(CHECKOUT)],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return root / "bin"


@dataclass
class Containers:
    """The services of the compose file as processes of this machine."""

    programs: Path
    root: Path
    here: dict[str, str]
    """What a name, an address or a directory of the containers is on this machine."""
    given: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.here[port]}"

    def mapped(self, text: str) -> str:
        # In one pass: what stands in its place can hold a name of theirs too.
        return re.sub("|".join(map(re.escape, self.here)), lambda found: self.here[found[0]], text)

    def environment(self, service: dict[str, Any]) -> dict[str, str]:
        told = {name: self.mapped(value) for name, value in service["environment"].items() if value is not None}
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        return kept | told | self.given | {"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": str(self.root)}

    def command(self, words: list[str]) -> list[str]:
        own = self.programs / words[0]
        return [str(own) if own.exists() else words[0], *map(self.mapped, words[1:])]

    def start(self, name: str) -> None:
        service = ours()[name]
        with (self.root / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                self.command(service["command"]), env=self.environment(service), cwd=self.root,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def is_healthy(self, name: str) -> bool:
        """What its health check says, by the same command."""
        assert self.running[name].poll() is None, f"{name} ended: {self.said(name)[-3000:].decode()}"
        service = ours()[name]
        done = subprocess.run(self.command(service["healthcheck"]["test"][1:]), env=self.environment(service),
                              cwd=self.root, capture_output=True, timeout=60, check=False)  # fmt: skip
        return done.returncode == 0

    def said(self, name: str) -> bytes:
        return (self.root / f"{name}.log").read_bytes()

    def ask(self, query: str, **variables: Any) -> Any:
        answer = requests.post(f"{self.url('3000')}/graphql", json={"query": query, "variables": variables}, timeout=60)
        return answer.json()["data"]

    def stop(self) -> None:
        for process in reversed(self.running.values()):
            end(process)
        for left in psutil.process_iter():
            with suppress(psutil.Error):
                if left.environ().get("BIKE_HOME") == self.here["/var/lib/bike"]:
                    left.kill()


@contextmanager
def containers(programs: Path, root: Path, kafka: str, postgres: Postgres) -> Iterator[Containers]:
    """All services of ours, started in the order of the file, each healthy before the next."""
    home = root / "home"
    (home / "instance").mkdir(parents=True)
    (root / "docker").mkdir()
    # As the image links what is its own into the volume.
    (home / "jars").symlink_to(HOME / "jars", target_is_directory=True)
    (home / "instance" / "dagster.yaml").symlink_to(root / "docker" / "dagster.yaml")
    (root / "sources.toml").write_text(_SOURCES)
    ports = dict(zip(("3000", "4000", "8088", "8089"), map(str, free_ports(4)), strict=True))
    here = {
        "/var/lib/bike": str(home), "/opt/bike/docker": str(root / "docker"), "0.0.0.0": "127.0.0.1",  # noqa: S104
        "/etc/bike/sources.toml": str(root / "sources.toml"), "kafka:9092": kafka,
        "webserver:": "127.0.0.1:", "code-server": "127.0.0.1", **ports,
    }  # fmt: skip
    spark, nobody = free_ports(2)
    with apis() as api, ExitStack() as last:
        given = {
            "DAGSTER_POSTGRES_HOST": postgres.host, "DAGSTER_POSTGRES_PORT": str(postgres.port),
            "DAGSTER_POSTGRES_PASSWORD": postgres.password, "BIKE_JCDECAUX_KEY": KEY, "BIKE_SPARK_PORT": str(spark),
            "BIKE_JCDECAUX_URL": f"{api}/{GOOD}", "BIKE_PAGE_PORT": ports["8088"], "BIKE_POLL_SECONDS": "5",
            "BIKE_ORDERS_PORT": ports["8089"], "BIKE_SALES_DATABASE": postgres.url,
            "BIKE_ORDERS_CASSANDRA": f"cassandra://127.0.0.1:{nobody}",
            "BIKE_MEMBERS_CASSANDRA": f"cassandra://127.0.0.1:{nobody}",
        }  # fmt: skip
        made = Containers(programs, root, here, given)
        for name in ("dagster.yaml", "workspace.yaml"):
            (root / "docker" / name).write_text(made.mapped((DOCKER / name).read_text()))
        last.callback(made.stop)
        for name in ours():
            made.start(name)
            wait_until(lambda each=name: made.is_healthy(each), HEALTHY_S, f"{name} is healthy", every_s=1)  # type: ignore[misc]
        yield made


@pytest.fixture(scope="module")
def database(postgres_running: Postgres) -> Postgres:
    """What the image of Postgres makes at its first start: a user and a database, both called dagster."""
    postgres_running.psql(f"CREATE ROLE dagster LOGIN PASSWORD '{postgres_running.password}'")
    postgres_running.psql("CREATE DATABASE dagster OWNER dagster")
    return Postgres(postgres_running.port, "dagster", user="dagster")


@pytest.fixture(scope="module")
def up(
    clean: Path, fresh_broker: str, database: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Containers]:
    with containers(clean, tmp_path_factory.mktemp("containers"), fresh_broker, database) as made:
        yield made


@pytest.mark.timeout(900)
def test_every_service_becomes_healthy(up: Containers) -> None:
    assert set(up.running) == set(ours())
    assert {name for name in up.running if not up.is_healthy(name)} == set()


def test_a_day_is_closed_in_the_ui_by_a_run_whose_record_is_in_postgres(up: Containers, database: Postgres) -> None:
    with chromium(draws_map=False) as browser, room(browser, up.url("3000")) as operator:
        assert operator.close_day(datetime.now(UTC).date()) == "Success"
        operator.expect_built(FACT_STATION_HOUR, days=1)
        assert operator.check(FACT_STATION_HOUR, "keys_are_unique") == "Passed"
        double_a_row(up.root / "home" / "lake", FACT_STATION_HOUR)
        assert operator.check(FACT_STATION_HOUR, "keys_are_unique") == "Failed"
    assert database.psql("SELECT status FROM runs WHERE pipeline_name = 'close_day'") == "SUCCESS"
    assert int(database.psql("SELECT count(*) FROM event_logs")) > 0


def test_nothing_is_written_where_the_image_is(up: Containers) -> None:
    assert sorted(path.name for path in (up.root / "docker").iterdir()) == ["dagster.yaml", "workspace.yaml"]
    assert (up.root / "home" / "instance" / "dagster.yaml").is_symlink()


def test_the_sales_are_in_the_database_and_a_sink_whose_database_is_down_is_healthy_and_says_so(
    up: Containers, database: Postgres
) -> None:
    # The sales of no order are none: that they were brought is noted.
    wait_until(lambda: int(database.psql("SELECT count(*) FROM bike_progress")) > 0, 90, "the sales are there")
    service = ours()["orders-sink"]
    done = subprocess.run(up.command(["bike", "status"]), env=up.environment(service) | {"COLUMNS": "300"}, cwd=up.root,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert "Cassandra not there yet" in done.stdout
    assert "does not take the orders" in done.stdout


def test_the_poller_reports_to_the_webserver(up: Containers, database: Postgres) -> None:
    observed = "SELECT count(*) FROM event_logs WHERE asset_key = '[\"topics\", \"station_status\"]'"
    wait_until(lambda: int(database.psql(observed)) > 0, 90, "the poller has reported", every_s=1)


def test_the_key_is_in_no_record_and_no_log(up: Containers, database: Postgres) -> None:
    assert (up.root / "poller.log").stat().st_size > 0
    assert b"station_status" in database.dump()
    assert KEY.encode() not in database.dump()
    assert [name for name in up.running if KEY.encode() in up.said(name)] == []
    answer = up.ask("{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }")
    assert json.dumps(answer).count("LOADED") == 1
