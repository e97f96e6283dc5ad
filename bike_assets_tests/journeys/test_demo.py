"""`bike up --demo` for real: from its start to its end, again in the same home, and after it was killed."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psutil
import pytest
import requests
from playwright.sync_api import Browser, Page

from bike_assets.local.control_room import is_code_server_up
from bike_assets.model.tables import TABLES
from bike_assets.model.warehouse import FACT_STATION_HOUR
from bike_assets.settings import load_settings
from bike_assets.stream.closing import closes_at
from bike_assets_tests.browser import chromium
from bike_assets_tests.journeys.control_room import double_a_row, room
from bike_assets_tests.journeys.dagsters import Dagster
from bike_assets_tests.journeys.homes import Home, end, is_one_sentence, wait_until
from bike_assets_tests.journeys.test_replay import REAL, WARNINGS

CITIES = {"jcdecaux:besancon": 30, "oslobysykkel": 255}
"""The stations of the two cities that the recordings begin and the simulator goes on with."""
SHOWN_S = 180
RECORDED = timedelta(hours=23, minutes=32)
"""How long the longer recording is, which ends where a new demo begins."""

ASSETS = """{ assetNodes { assetKey { path }
    assetMaterializations(limit: 1) { timestamp } assetObservations(limit: 1) { timestamp } } }"""
CHECKS = "{ assetNodes { assetKey { path } assetChecksOrError { ... on AssetChecks { checks { name } } } } }"
LAST_CHECK = """query($asset: AssetKeyInput!, $check: String!) {
    assetCheckExecutions(assetKey: $asset, checkName: $check, limit: 1) { evaluation { success } } }"""


@dataclass(frozen=True)
class Demo:
    """A demo that is up."""

    home: Home
    process: subprocess.Popen[bytes]

    @property
    def dagster(self) -> Dagster:
        """Its control room."""
        return Dagster(self.home.url("DAGSTER_PORT"))

    def materialised(self) -> set[str]:
        """The assets that Dagster shows as materialised."""
        return self._told("assetMaterializations")

    def observed(self) -> set[str]:
        """The assets that Dagster shows as observed."""
        return self._told("assetObservations")

    def _told(self, events: str) -> set[str]:
        try:
            nodes = self.dagster.ask(ASSETS)["assetNodes"]
        except requests.ConnectionError:
            return set()
        return {"/".join(node["assetKey"]["path"]) for node in nodes if node[events]}

    def materialise(self, *keys: str) -> str:
        """Launch a run of today of these assets with their checks, as the button in the UI does; its status at its end.
        """
        assets = [{"path": key.split("/")} for key in keys]
        tags = {"dagster/partition": f"{datetime.now(UTC):%Y-%m-%d}"}
        run_id = self.dagster.launch("__ASSET_JOB", tags=tags, assetSelection=assets)
        return str(self.dagster.ended(run_id)["status"])

    def checks(self) -> dict[str, bool | None]:
        """Every asset check: whether it passed when it last ran, None where it never ran."""
        found = {}
        for node in self.dagster.ask(CHECKS)["assetNodes"]:
            for check in node["assetChecksOrError"].get("checks", []):
                path = node["assetKey"]["path"]
                ran = self.dagster.ask(LAST_CHECK, asset={"path": path}, check=check["name"])["assetCheckExecutions"]
                found["/".join([*path, check["name"]])] = ran[0]["evaluation"]["success"] if ran else None
        return found


@contextmanager
def demo(home: Home) -> Iterator[Demo]:
    """`bike up --demo`, from its start on; ended at the end of the block if it still runs."""
    process = home.start("up", "--demo")
    try:
        yield Demo(home, process)
    finally:
        end(process, signal.SIGINT, within_s=60)


def wait_for_the_cities(home: Home, tab: Page, within_s: float) -> None:
    """Until the page in this tab shows every station of both cities."""
    began = time.monotonic()
    wait_until(lambda: is_served(home), within_s, "the page is served")
    tab.goto(home.url("PAGE_PORT"))
    left_ms = 1000 * (within_s - (time.monotonic() - began))
    tab.wait_for_function("count => window.bikeLive?.stations.size >= count", arg=sum(CITIES.values()), timeout=left_ms)


def is_served(home: Home) -> bool:
    try:
        return requests.get(f"{home.url('PAGE_PORT')}/healthz", timeout=1).ok
    except requests.RequestException:
        return False


def is_all_running(home: Home) -> bool:
    states = {service["name"]: service["state"] for service in home.answer("status")["services"]}
    return len(states) == 10 and set(states.values()) == {"running"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(draws_map=False) as running:
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    with browser.new_page(viewport={"width": 480, "height": 360}) as page:
        yield page


@pytest.fixture(scope="module")
def up(a_home: Home) -> Iterator[Demo]:
    """The first demo of the home."""
    with demo(a_home) as running:
        yield running


def test_the_page_shows_stations_and_dagster_shows_materialised_assets(up: Demo, tab: Page) -> None:
    wait_for_the_cities(up.home, tab, SHOWN_S)
    wanted = {"raw/answers", "topics/station_status", "live/system_minute"}
    if closes_at((datetime.now(UTC) - RECORDED).date()) <= datetime.now(UTC):
        wanted |= {"events/station_status"}  # a day at a time, once it has closed: in a new demo at midnight none has
    wait_until(lambda: wanted <= up.materialised(), SHOWN_S, f"Dagster shows {wanted}", every_s=0.3)
    wait_until(lambda: "events/station_status" in up.observed(), SHOWN_S, "Dagster shows how events go on")
    stations = tab.evaluate("window.bikeLive.stations.entries().map(([key, station]) => station.system_id)")
    assert {system: stations.count(system) for system in CITIES} == CITIES
    tab.wait_for_function("window.bikeLive.fleets.get('oslobysykkel')?.vehicles > 0")


def test_status_says_that_all_services_run(up: Demo) -> None:
    wait_until(lambda: is_all_running(up.home), 30, "all services run")
    beating = {"poller", "stream", "orders"}
    wait_until(lambda: set(ages(up.home)) == beating, SHOWN_S, f"{beating} have beaten")
    assert max(ages(up.home).values()) < 10
    assert up.home.answer("status")["is_up"]


def ages(home: Home) -> dict[str, float]:
    """How old the heartbeats are of the services that say something of themselves, in s."""
    return {each["name"]: each["heartbeat_age_s"] for each in home.answer("status")["services"] if each["says"]}


def test_a_ride_comes_into_the_browsers_memory_after_its_poll(up: Demo, tab: Page) -> None:
    wait_for_the_cities(up.home, tab, SHOWN_S)
    assert delay_ms(up.home, tab) >= 0


def delay_ms(home: Home, tab: Page) -> float:
    """Ride once; from the poll that sees it to the browser's memory, in ms."""
    ridden = requests.post(f"{home.url('SIMULATOR_PORT')}/admin/ride", params={"system_id": "oslobysykkel"}, timeout=5)
    ride = ridden.json()
    key = f"oslobysykkel/{ride['from']['station_id']}"
    ridden_ms = datetime.fromisoformat(ride["at"]).timestamp() * 1000
    seen = tab.wait_for_function(SEEN, arg=[key, ridden_ms], timeout=30_000).json_value()
    return float(seen["received_ms"] - seen["polled_ms"])


SEEN = """([key, ridden_ms]) => {
    const station = window.bikeLive.stations.get(key);
    return station.changed_at < ridden_ms ? null : {
        polled_ms: station.changed_at, received_ms: window.bikeLive.receivedAt.get(key) };
}"""


def test_a_poll_by_hand_is_made_by_the_running_poller(up: Demo) -> None:
    polls = up.home.answer("poll", "oslobysykkel")
    assert {poll["system_id"] for poll in polls} == {"oslobysykkel"}
    assert {poll["outcome"] for poll in polls} <= {"ok", "not_modified"}
    assert [poll["feed"] for poll in polls].count("station_status") == 1


def test_a_drain_is_done_by_the_resident_stream(up: Demo) -> None:
    [poll] = [each for each in up.home.answer("poll", "oslobysykkel") if each["feed"] == "station_status"]
    drained = up.home.answer("drain")
    assert drained["by"] == "the resident stream"
    assert up.home.rows(f"FROM events.polls WHERE request_id = '{poll['request_id']}'") != []


def test_of_two_drains_from_the_ui_the_second_waits_for_the_first(up: Demo) -> None:
    first, second = sorted((up.dagster.ended(run) for run in [up.dagster.launch("drain"), up.dagster.launch("drain")]),
                           key=lambda run: run["startTime"])  # fmt: skip
    assert (first["status"], second["status"]) == ("SUCCESS", "SUCCESS")
    assert second["startTime"] >= first["endTime"]


def test_the_runs_have_one_warm_process_for_all(up: Demo) -> None:
    alike = {each.pid: each for each in up.home.processes() if "multiprocessing.forkserver" in " ".join(each.cmdline())}
    warm = [pid for pid, each in alike.items() if each.ppid() not in alike]  # a run at work is a fork of it
    assert len(warm) == 1


def test_a_code_server_that_hangs_is_ended_and_the_webserver_launches_from_the_next(up: Demo) -> None:
    [hanging] = [each for each in up.home.processes() if each.cmdline()[2:4] == ["api", "grpc"]]
    hanging.suspend()
    hanging.wait(SHOWN_S)
    settings = load_settings(home=up.home.path)
    wait_until(lambda: is_code_server_up(settings) and bool(up.materialised()), SHOWN_S, "there is another")
    assert up.dagster.ended(up.dagster.launch("drain"))["status"] == "SUCCESS"


def test_a_replay_is_refused_in_a_sentence_while_the_poller_is_up(up: Demo) -> None:
    refused = up.home.bike("replay", REAL[0])
    assert refused.returncode == 1
    assert is_one_sentence(refused.stderr), refused.stderr
    assert "poller" in refused.stderr


def test_assets_can_be_materialised_by_hand_and_every_check_passes(up: Demo) -> None:
    tables = [table for table in TABLES if not table.name.startswith("warehouse.")]
    assert up.materialise("raw/answers", *("/".join(table.path) for table in tables)) == "SUCCESS"
    checks = {name: passed for name, passed in up.checks().items() if not name.startswith("warehouse/")}
    assert len(checks) >= 7
    assert {name for name, passed in checks.items() if not passed} == set()


def test_a_day_is_closed_in_the_ui_by_the_resident_driver(up: Demo, browser: Browser) -> None:
    with room(browser, up.home.url("DAGSTER_PORT")) as operator:
        assert operator.close_day(datetime.now(UTC).date()) == "Success"
        operator.expect_built(FACT_STATION_HOUR, days=1)
    assert up.home.rows("FROM warehouse.fact_station_hour WHERE polls > 0 LIMIT 1") != []
    failed = {name.split("/")[-1] for name, passed in up.checks().items() if passed is False}
    assert failed <= WARNINGS, "these only warn"
    assert len(drivers(up.home)) == 1, "the stream's, and no other was needed"


def test_a_check_that_does_not_hold_is_red_in_the_ui(up: Demo, browser: Browser) -> None:
    with room(browser, up.home.url("DAGSTER_PORT")) as operator:
        assert operator.check(FACT_STATION_HOUR, "keys_are_unique") == "Passed"
        double_a_row(up.home.path / "lake", FACT_STATION_HOUR)
        assert operator.check(FACT_STATION_HOUR, "keys_are_unique") == "Failed"


def test_a_run_whose_spark_driver_is_killed_is_done_by_the_next_driver(up: Demo) -> None:
    [killed] = drivers(up.home)
    day = {"dagster/partition": f"{datetime.now(UTC):%Y-%m-%d}"}
    hours = [{"path": list(FACT_STATION_HOUR.path)}]
    run_id = up.dagster.launch("__ASSET_JOB", tags=day, assetSelection=hours, assetCheckSelection=[])
    wait_until(lambda: up.dagster.steps(run_id) == ["IN_PROGRESS"], SHOWN_S, "the step began", every_s=0.1)
    killed.kill()
    assert up.dagster.ended(run_id)["status"] == "SUCCESS"
    wait_until(lambda: len(drivers(up.home)) == 1, SHOWN_S, "the next driver is there")
    assert up.home.rows(DOUBLED_HOURS) == [], "the day was written anew, and with it the row that stood twice"


def drivers(home: Home) -> list[psutil.Process]:
    found = []
    for each in home.processes():
        with suppress(psutil.NoSuchProcess):  # one that ends meanwhile is none
            if "org.apache.spark.deploy.SparkSubmit" in each.cmdline():
                found.append(each)
    return found


DOUBLED_HOURS = """SELECT system_id, station_id, hour_start FROM warehouse.fact_station_hour
                   GROUP BY ALL HAVING count(*) > 1"""


def test_ctrl_c_ends_every_process(up: Demo) -> None:
    assert len(up.home.processes()) > 5
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert [process.cmdline() for process in up.home.processes()] == []


def test_a_second_demo_goes_on_where_the_first_stopped(up: Demo, tab: Page) -> None:
    home = up.home
    before = home.rows(COUNTS)[0]
    with demo(home) as again:
        wait_for_the_cities(home, tab, SHOWN_S)
        wait_until(lambda: home.answer("status")["is_up"] and is_all_running(home), SHOWN_S, "all services run")
        home.answer("drain")
        after = home.rows(COUNTS)[0]
        assert before["polls"] < after["polls"] < before["polls"] + 200  # a replay alone has 800 and more
        assert before["events"] < after["events"]
        assert home.rows(DOUBLES) == []
        again.process.kill()  # nobody to end the others now
        again.process.wait()
    assert len(home.processes()) > 5


COUNTS = "SELECT (SELECT count(*) FROM events.polls) AS polls, (SELECT count(*) FROM events.station_status) AS events"
DOUBLES = """SELECT system_id, station_id, observed_at FROM events.station_status GROUP BY ALL HAVING count(*) > 1
             UNION ALL SELECT system_id, feed, fetched_at FROM events.polls GROUP BY ALL HAVING count(*) > 1"""


def test_after_a_kill_of_bike_up_the_next_one_reaps_what_was_left(up: Demo, tab: Page) -> None:
    home = up.home
    orphans = home.processes()
    assert orphans
    with demo(home) as again:
        _, alive = psutil.wait_procs(orphans, timeout=40)
        assert alive == []
        wait_for_the_cities(home, tab, SHOWN_S)
        fresh_at = datetime.now(UTC).timestamp() * 1000
        tab.wait_for_function("at => window.bikeLive.systems.get('oslobysykkel').last_good_poll_at > at", arg=fresh_at,
                              timeout=30_000)
        again.process.send_signal(signal.SIGINT)
        assert again.process.wait(60) == 0
    assert [process.cmdline() for process in home.processes()] == []
