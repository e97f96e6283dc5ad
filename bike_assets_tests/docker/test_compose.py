"""What stands in docker/: valid, closed to others, healthy or not by a command, and without a secret."""

import os
import subprocess
from typing import Any

import pytest
import yaml

from bike_assets.heartbeats import BEATING, ORDERS, PAGE
from bike_assets.local.control_room import control_room
from bike_assets.settings import Settings, load_settings
from bike_assets_tests.conftest import CHECKOUT
from bike_assets_tests.docker.compose import (
    CHOSEN,
    DOCKER,
    FILE,
    OF_THE_CONTAINERS,
    OTHERS,
    PROFILES,
    compose_command,
    ours,
    services,
)

every_service = pytest.mark.parametrize(("name", "service"), services().items(), ids=lambda value: value
                                        if isinstance(value, str) else "")  # fmt: skip


def config(**given: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != CHOSEN}
    return subprocess.run([*compose_command(), "-f", str(FILE), "config"], env=environment | given,
                          capture_output=True, text=True, check=False)  # fmt: skip


def test_compose_takes_the_file() -> None:
    done = config(**{CHOSEN: "x", "COMPOSE_PROFILES": ",".join(PROFILES)})
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(services())


def test_what_not_everybody_needs_starts_when_it_is_asked_for() -> None:
    found = {
        profile: {name for name, service in services().items() if profile in service.get("profiles", [])}
        for service in services().values() for profile in service.get("profiles", [])
    }  # fmt: skip
    assert found == PROFILES


def test_no_two_are_published_on_one_port() -> None:
    ports = [port.rpartition(":")[0] for service in services().values() for port in service.get("ports", [])]
    assert sorted(ports) == sorted(set(ports))


def test_whoever_is_told_of_by_a_heartbeat_is_a_service_with_that_check() -> None:
    checked = {service["healthcheck"]["test"][-1] for service in ours().values()
               if service["healthcheck"]["test"][1:3] == ["bike", "status"]}  # fmt: skip
    assert checked == set(BEATING) - {PAGE, ORDERS}, "these two are asked over HTTP"


def test_whoever_writes_heartbeats_is_started_anew_where_it_hangs() -> None:
    commands = {name: service["command"] for name, service in ours().items()}
    assert {name: commands[name] for name in BEATING} == {name: ["bike", "watch", name] for name in BEATING}


def test_without_a_password_it_says_where_to_write_one() -> None:
    done = config()
    assert done.returncode != 0
    assert "choose a password and write it to docker/.env" in done.stderr


@every_service
def test_every_service_has_a_check_of_its_health_and_comes_back(name: str, service: dict[str, Any]) -> None:
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"


@every_service
def test_what_is_published_is_published_on_loopback(name: str, service: dict[str, Any]) -> None:
    assert [port for port in service.get("ports", []) if not str(port).startswith("127.0.0.1:")] == []


def test_all_of_ours_run_one_image_with_one_home() -> None:
    assert set(services()) > OTHERS
    assert {service["image"] for service in ours().values()} == {"bike-assets"}
    assert {service["environment"]["BIKE_HOME"] for service in ours().values()} == {"/var/lib/bike"}
    assert all("bike:/var/lib/bike" in service["volumes"] for service in ours().values())


def test_what_a_container_is_told_is_a_setting() -> None:
    told = {name for service in ours().values() for name in service["environment"] if name.startswith("BIKE_")}
    assert {name.removeprefix("BIKE_").lower() for name in told} <= set(Settings.model_fields)


def test_every_setting_that_is_a_users_comes_into_every_container() -> None:
    users = Settings.model_fields.keys() - OF_THE_CONTAINERS
    names = {"SCHEMA_REGISTRY_URL" if each == "schema_registry_url" else f"BIKE_{each.upper()}" for each in users}
    done = config(**{CHOSEN: "x", "COMPOSE_PROFILES": ",".join(PROFILES)}, **{name: f"of {name}" for name in names})
    assert done.returncode == 0, done.stderr
    told = yaml.safe_load(done.stdout)["services"]
    for service in ours():
        missing = {name for name in names if told[service]["environment"].get(name) != f"of {name}"}
        assert not missing, service


def test_who_talks_on_loopback_shares_a_network() -> None:
    sharing = {name for name, service in services().items() if service.get("network_mode") == "service:pod"}
    assert sharing == {"poller", "stream", "code-server"}


def test_the_code_server_gets_what_it_gets_from_bike_up_but_for_where_it_listens() -> None:
    here = control_room(load_settings(), CHECKOUT, {})[0].command[1:]
    there = ours()["code-server"]["command"][1:]
    assert (here[2], there[2:6:2]) == ("--socket", ["--host", "--port"])
    assert [*here[:2], *here[4:]] == [*there[:2], *there[6:]]


def test_the_instance_is_the_checkouts_with_its_record_in_postgres() -> None:
    here = yaml.safe_load((DOCKER / "dagster.yaml").read_text())
    storage = here.pop("storage")
    assert here == yaml.safe_load((CHECKOUT / "dagster.yaml").read_text())
    assert storage["postgres"]["postgres_db"]["password"] == {"env": "DAGSTER_POSTGRES_PASSWORD"}


def test_the_image_is_made_from_locked_packages_and_runs_as_no_root() -> None:
    lines = (DOCKER / "Dockerfile").read_text().splitlines()
    assert "FROM python:3.11-slim" in lines
    assert "RUN pip install --require-hashes -r docker/requirements.lock" in lines
    assert [line for line in lines if line.startswith("USER ")] == ["USER bike"]
    assert lines.index("USER bike") < lines.index("RUN bike setup")


def test_only_what_is_named_comes_into_the_image() -> None:
    lines = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    named = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert [line for line in lines if line and line[0] not in "#!"] == ["*", "**/__pycache__"]
    copied = {word for line in (DOCKER / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")
              for word in line.split()[1:-1]}  # fmt: skip
    assert copied == named
    assert all((CHECKOUT / each).exists() for each in named)


def test_the_lock_of_the_image_is_ours_and_the_driver_of_postgres() -> None:
    def pinned(path: str) -> set[str]:
        lines = (CHECKOUT / path).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))}

    more = pinned("docker/requirements.lock") - pinned("requirements.lock")
    assert pinned("requirements.lock") <= pinned("docker/requirements.lock")
    assert {each.split("==")[0] for each in more} == {"dagster-postgres", "psycopg2-binary"}
