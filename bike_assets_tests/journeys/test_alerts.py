"""The daemon with the project's own definitions: what is wrong is told within a minute, and shown in the UI."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from bike_assets.local.home import CHECKOUT
from bike_assets_tests.alerts.servers import HttpServer
from bike_assets_tests.journeys.dagsters import Dagster
from bike_assets_tests.journeys.homes import BIN, Home, home, wait_until

CANARY = "canary-0123456789"
SEEN_S = 60.0
TICKS = """{ sensorsOrError(repositorySelector: {repositoryLocationName: "bike_assets.definitions",
  repositoryName: "__repository__"}) { ... on Sensors { results { name sensorState { status ticks(limit: 10) {
  status skipReason error { message } } } } } } }"""
PLOTTED = """{ assetOrError(assetKey: {path: ["raw", "answers"]}) { ... on Asset { assetObservations(limit: 5) {
  metadataEntries { label ... on FloatMetadataEntry { floatValue } } } } } }"""


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    running = HttpServer()
    yield running
    running.close()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, server: HttpServer) -> Iterator[Home]:
    """A home in which Dagster alone runs, and the poller was killed a while ago."""
    with home(tmp_path_factory.mktemp("alerts"), ALERT_WEBHOOK=f"{server.url}/{CANARY}") as made:
        dagster_home = made.path / "dagster"
        dagster_home.mkdir()
        (dagster_home / "dagster.yaml").write_text((CHECKOUT / "dagster.yaml").read_text())
        made.environment["DAGSTER_HOME"] = str(dagster_home)
        beats(made, age_s=100)
        workspace = ("-w", CHECKOUT / "workspace.yaml")
        listens = ("-h", "127.0.0.1", "-p", made.ports["DAGSTER_PORT"])
        made.start(*workspace, *listens, command=(str(BIN / "dagster-webserver"),), log="webserver")
        wait_until(lambda: answers(made), 60, "the webserver answers")
        made.start("run", *workspace, command=(str(BIN / "dagster-daemon"),), log="daemon")
        yield made


def beats(made: Home, age_s: float) -> None:
    """What a poller of that age left."""
    run = made.path / "run"
    run.mkdir(exist_ok=True)
    at = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat()
    (run / "poller.heartbeat.json").write_text(json.dumps({"pid": 1, "at": at, "systems": 2, "quiet": {}, "lanes": []}))


def answers(made: Home) -> bool:
    try:
        return requests.get(f"{made.url('DAGSTER_PORT')}/server_info", timeout=1).ok
    except requests.RequestException:
        return False


def ask(made: Home, query: str) -> Any:
    return Dagster(made.url("DAGSTER_PORT")).ask(query)


def ticks(made: Home) -> dict[str, list[dict[str, Any]]]:
    """The ticks of each sensor so far."""
    found = ask(made, TICKS)["sensorsOrError"]["results"]
    return {each["name"]: each["sensorState"]["ticks"] for each in found}


def test_every_sensor_runs_and_none_fails_and_a_dead_service_is_told_within_a_minute(
    room: Home, server: HttpServer
) -> None:
    seen_s = wait_until(lambda: bool(server.taken), SEEN_S, "the dead poller is told")
    assert [(each["event"], each["incident"]) for each in server.taken] == [("open", "service/poller")], seen_s
    wait_until(lambda: all(ticks(room).values()), SEEN_S, "every sensor has ticked")
    wait_until(lambda: ticks(room)["later_rows"][0]["status"] != "STARTED", SEEN_S, "automation has looked")
    for name, each in ticks(room).items():
        assert {tick["status"] for tick in each} <= {"SKIPPED", "STARTED"}, (name, each)
    told = "The poller is dead or hangs: its last sign of life"
    wait_until(lambda: any((tick["skipReason"] or "").startswith(told) for tick in ticks(room)["services"]), SEEN_S,
               "the tick that told it has ended and says so")  # fmt: skip


def test_the_age_of_the_heartbeat_is_plotted_on_its_assets_page(room: Home) -> None:
    def plotted() -> list[dict[str, float]]:
        found = ask(room, PLOTTED)["assetOrError"].get("assetObservations", [])
        return [{each["label"]: each.get("floatValue") for each in one["metadataEntries"]} for one in found]

    wait_until(lambda: bool(plotted()), SEEN_S, "an observation is there")
    assert plotted()[0]["heartbeat_age_s"] > 100


def test_it_is_told_once_when_the_service_is_back(room: Home, server: HttpServer) -> None:
    def is_over() -> bool:
        beats(room, age_s=0)
        return len(server.taken) > 1

    wait_until(is_over, SEEN_S, "the end is told")
    assert [(each["event"], each["incident"]) for each in server.taken] == [
        ("open", "service/poller"), ("over", "service/poller")]


def test_no_secret_is_in_what_dagster_and_the_home_keep(room: Home, server: HttpServer) -> None:
    assert server.paths[0] == f"/{CANARY}"
    files = [path for top in (room.path / "dagster", room.path / "run", room.directory)
             for path in top.rglob("*") if path.is_file()]  # fmt: skip
    assert len(files) > 5
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
    assert CANARY not in json.dumps(ticks(room))
