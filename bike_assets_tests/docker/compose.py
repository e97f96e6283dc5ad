"""The compose file, as it stands and as it is checked."""

import shutil
import subprocess
from typing import Any

import yaml

from bike_assets.model.errors import SomethingMissing
from bike_assets_tests.conftest import CHECKOUT

DOCKER = CHECKOUT / "docker"
FILE = DOCKER / "compose.yaml"
CHOSEN = "POSTGRES_PASSWORD"
"""What a user has to choose."""
OTHERS = {"kafka", "postgres", "kafka-ui", "mssql", "sales-database", "superset", "cassandra"}
"""Services of images that are not ours."""

OF_THE_CONTAINERS = {
    "home", "sources", "host", "kafka", "page_port", "orders_port", "dagster_port", "dagster_url", "log_json",
    # Within a container nobody is in the way.
    "spark_port",
    # The image brings its Java, and starts neither broker nor simulator.
    "java_home", "kafka_port", "kafka_controller_port", "simulator_port",
}  # fmt: skip
"""The settings that are no user's there."""

PROFILES = {
    "kafka-ui": {"kafka-ui"}, "mssql": {"mssql"}, "superset": {"sales-database", "sales-sink", "superset"},
    "sales": {"sales-sink"}, "cassandra": {"cassandra", "orders-sink", "members-sink"},
}  # fmt: skip
"""What starts only when it is asked for."""


def services() -> dict[str, dict[str, Any]]:
    """Every service, with what it shares with others merged in."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    """The services that run our image."""
    return {name: service for name, service in services().items() if name not in OTHERS}


def compose_command() -> list[str]:
    """Docker's plugin, or the program of before. Raises SomethingMissing with how to get one."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    if found := shutil.which("docker-compose"):
        return [found]
    raise SomethingMissing("Neither `docker compose` nor docker-compose is there: `apt-get install docker-compose`.")
