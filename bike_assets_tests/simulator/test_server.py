"""The server answers as the two APIs do, and can be made to change at a known instant."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests

from bike_assets.local.ports import free_ports
from bike_assets.model.errors import AlreadyRunning
from bike_assets.simulator import faults
from bike_assets.simulator.seeds import generated_city
from bike_assets.simulator.server import HOST, serve
from bike_assets_tests.simulator.builders import MORNING, city, station
from bike_assets_tests.simulator.test_seeds import written

PAIR = [station("1"), station("2", bikes=2)]


class Watch:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.at = MORNING

    def __call__(self) -> datetime:
        return self.at

    def pass_by(self, **time: float) -> None:
        self.at += timedelta(**time)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def url(watch: Watch) -> Iterator[str]:
    quiet = [city(PAIR, system_id=each) for each in ("town", "jcdecaux:lyon", "jcdecaux:nantes")]
    lively = generated_city(20, 1, MORNING, (60.0, 10.0), system_id="lively")
    with serve([*quiet, lively], 0, watch) as base:
        yield base


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_jcdecaux_wants_a_key(url: str, version: str) -> None:
    assert requests.get(f"{url}/vls/{version}/stations", timeout=5).status_code == 403


@pytest.mark.parametrize(
    ("query", "rows"), [({"contract": "lyon"}, 2), ({"contract": "Lyon"}, 2), ({}, 4)]
)
@pytest.mark.parametrize("version", ["v1", "v3"])
def test_jcdecaux_gives_one_contract_or_all(url: str, version: str, query: dict[str, str], rows: int) -> None:
    answer = requests.get(f"{url}/vls/{version}/stations", params={"apiKey": "k", **query}, timeout=5)
    assert answer.status_code == 200
    assert len(answer.json()) == rows


def test_an_unknown_contract_is_refused(url: str) -> None:
    asked = {"apiKey": "k", "contract": "atlantis"}
    assert requests.get(f"{url}/vls/v1/stations", params=asked, timeout=5).status_code == 400


@pytest.mark.parametrize(
    ("folder", "version", "files"),
    [("town", "2.3", 5), ("town/2.3", "2.3", 5), ("town/2.0", "2.0", 4), ("town/1.1", "1.1", 4), ("town/1.0", None, 3)],
)
def test_every_file_that_the_discovery_names_is_there(url: str, folder: str, version: str | None, files: int) -> None:
    feeds = requests.get(f"{url}/gbfs/{folder}/gbfs.json", timeout=5).json()["data"]["en"]["feeds"]
    assert len(feeds) == files
    for each in feeds:
        answer = requests.get(each["url"], timeout=5)
        assert answer.status_code == 200
        assert answer.json().get("version") == version


@pytest.mark.parametrize("path", [
    "/", "/gbfs/nowhere/gbfs.json", "/gbfs/town/free_bike_status.json", "/gbfs/town", "/gbfs/town/2.4/gbfs.json",
    "/gbfs/town/1.0/vehicle_types.json", "/vls/v2/stations",
])  # fmt: skip
def test_what_is_not_there_is_not_found(url: str, path: str) -> None:
    assert requests.get(url + path, timeout=5).status_code == 404


@pytest.mark.parametrize("path", ["/gbfs/town/station_status.json", "/vls/v1/stations?apiKey=k&contract=lyon"])
def test_an_unchanged_answer_is_not_sent_twice(url: str, path: str, watch: Watch) -> None:
    with requests.Session() as session:
        first = session.get(url + path, timeout=5)
        known = {"If-None-Match": first.headers["ETag"]}
        again = session.get(url + path, headers=known, timeout=5)
        assert (again.status_code, again.content) == (304, b"")
        watch.pass_by(minutes=11)
        later = session.get(url + path, headers=known, timeout=5)
        assert (later.status_code, later.content != first.content) == (200, True)


def test_the_city_goes_on_between_requests(url: str, watch: Watch) -> None:
    def levels() -> list[int]:
        answer = requests.get(f"{url}/gbfs/lively/station_status.json", timeout=5)
        return [each["num_bikes_available"] for each in answer.json()["data"]["stations"]]

    before = levels()
    assert levels() == before
    watch.pass_by(minutes=10)
    assert levels() != before


def test_a_ride_is_in_the_next_answer_and_says_when(url: str, watch: Watch) -> None:
    watch.pass_by(milliseconds=1234)
    ride = requests.post(f"{url}/admin/ride", params={"system_id": "town"}, timeout=5).json()
    assert datetime.fromisoformat(ride["at"]) == watch.at
    status = requests.get(f"{url}/gbfs/town/station_status.json", timeout=5).json()
    bikes = {each["station_id"]: each["num_bikes_available"] for each in status["data"]["stations"]}
    assert bikes == {"1": 4, "2": 3}
    assert {end["station_id"]: end["bikes_available"] for end in (ride["from"], ride["to"])} == bikes


def test_a_ride_in_an_unknown_city_is_refused(url: str) -> None:
    assert requests.post(f"{url}/admin/ride", params={"system_id": "nowhere"}, timeout=5).status_code == 404


def test_a_busy_port_is_one_clear_sentence() -> None:
    with serve([city(PAIR)], 0) as base:
        port = int(base.rsplit(":", 1)[1])
        with pytest.raises(AlreadyRunning, match=f"{port}.*BIKE_SIMULATOR_PORT"), serve([city(PAIR)], port):
            pass


def test_a_stopped_server_gives_its_port_back() -> None:
    with serve([city(PAIR)], 0) as base:
        port = int(base.rsplit(":", 1)[1])
        requests.get(f"{base}/gbfs/town/gbfs.json", timeout=5)
    with serve([city(PAIR)], port) as base:
        assert requests.get(f"{base}/gbfs/town/gbfs.json", timeout=5).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_simulator_serves_recordings_until_told_to_stop(number: signal.Signals, tmp_path: Path) -> None:
    row = {"name": "X", "address": "Y", "position": {"lat": 0, "lng": 0}, "banking": False, "status": "OPEN",
           "bike_stands": 9, "available_bike_stands": 4, "available_bikes": 5}
    rows = [{"number": number, **row} for number in (1, 2)]
    recording = written(tmp_path / "x.jsonl.xz", [
        {"system_id": "jcdecaux:x", "feed": "jcdecaux.v1.stations", "fetched_at": "2014-05-22T00:00:00Z", "body": rows}
    ])
    port = free_ports(1)[0]
    code = (
        "import sys; from pathlib import Path; from bike_assets.simulator.server import now, run_simulator;"
        "run_simulator(int(sys.argv[1]), 1, [Path(sys.argv[2])], now())"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(port), str(recording)], stderr=subprocess.PIPE)
    try:
        answer = ask_until_up(port, process)
        process.send_signal(number)
        _, said = process.communicate(timeout=10)
    finally:
        process.kill()
    assert [each["available_bikes"] for each in json.loads(answer)] == [5, 5]
    assert (process.returncode, said) == (0, b"")


def ask_until_up(port: int, process: subprocess.Popen[bytes]) -> bytes:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return requests.get(f"http://{HOST}:{port}/vls/v1/stations?apiKey=k", timeout=5).content
        os.sched_yield()
    pytest.fail("the simulator ended before it answered")


def misbehave(url: str, **query: str) -> requests.Response:
    return requests.post(f"{url}/admin/fault", params={"system_id": "town"} | query, timeout=5)


@pytest.mark.parametrize("fault", sorted(faults.FAULTS - faults.ANSWERS.keys()))
@pytest.mark.parametrize("path", ["/gbfs/town/station_status.json", "/gbfs/town/3.0/station_information.json"])
def test_a_fault_is_one_citys_and_ends(url: str, watch: Watch, fault: str, path: str) -> None:
    other = "/vls/v1/stations?apiKey=k&contract=lyon"
    good, others = requests.get(url + path, timeout=5).content, requests.get(url + other, timeout=5).content
    assert misbehave(url, fault=fault).status_code == 200
    requests.get(url + path, timeout=5)
    assert requests.get(url + other, timeout=5).content == others
    assert requests.get(f"{url}/gbfs/town/gbfs.json", timeout=5).json()["data"]
    assert misbehave(url).status_code == 200
    assert requests.get(url + path, timeout=5).content == good


def test_a_fault_that_there_is_not_is_answered_with_all_that_there_are(url: str) -> None:
    refused = misbehave(url, fault="earthquake")
    assert refused.status_code == 400
    assert all(fault in refused.json()["error"] for fault in faults.FAULTS)
    assert misbehave(url, system_id="nowhere", fault="html").status_code == 404


def test_a_frozen_body_is_that_of_the_first_answer_after_it(url: str, watch: Watch) -> None:
    path = f"{url}/gbfs/lively/station_status.json"
    misbehave(url, system_id="lively", fault="frozen")
    first = requests.get(path, timeout=5).content
    watch.pass_by(minutes=20)
    assert requests.get(path, timeout=5).content == first
    misbehave(url, system_id="lively", fault="frozen")
    assert requests.get(path, timeout=5).content != first
