"""`bike up --demo` on a finished set-up: how soon it is there, and what it costs to leave it running."""

import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import requests

from bench.demo import ANSWER_S, HAS_LIVE_STATION, START_S, demo, home_with_jars, is_page_live, wait_for
from bench.report import result, say
from bike_assets_tests.browser import chromium
from bike_assets_tests.journeys.homes import Home

REPEATS = 3
SETTLED_S = 120.0
IDLE_S = 60.0
SNAPSHOT_WANTED_S = 45.0
MEMORY_WANTED_GB = 4.0

_MATERIALIZED = "{assetNodes {assetKey {path} assetMaterializations(limit: 1) {timestamp}}}"
# What a process is, by a word of its command line; the first that is found.
_SERVICES = ("supervisord", "run broker", "kafka.Kafka", "run stream", "SparkSubmit", "run page", "run poller",
             "run simulator", "dagster-webserver", "dagster-daemon", "multiprocessing.forkserver", "dagster",
             "up --demo")  # fmt: skip


def run() -> None:
    """Start it some times, each in an empty home; the last one is left alone for a while and watched."""
    times = []
    for number in range(REPEATS):
        say(f"start: {number + 1} of {REPEATS}")
        with home_with_jars() as made, demo(made) as began:
            times.append(_start_times(made, began))
            if number == REPEATS - 1:
                say(f"start: left alone for {SETTLED_S:.0f} s")
                time.sleep(max(0.0, began + SETTLED_S - time.monotonic()))
                memory, cpu = _memory_gb(made), _cpu_shares(made)
    steps = {name: round(median(each[name] for each in times), 1) for name in times[0]}
    is_met = steps["station_in_browser_s"] <= SNAPSHOT_WANTED_S and steps["assets_materialized_s"] <= SNAPSHOT_WANTED_S
    result("start", **steps, wanted_s=SNAPSHOT_WANTED_S, is_met=is_met, repeats=REPEATS)
    result("idle_cpu", share_of_one_core=round(sum(cpu.values()), 3), over_s=IDLE_S, by_service=_rounded(cpu))
    result("memory", after_s=SETTLED_S, gb=round(sum(memory.values()), 2), gb_wanted=MEMORY_WANTED_GB,
           is_met=sum(memory.values()) <= MEMORY_WANTED_GB, by_service=_rounded(memory))  # fmt: skip


def _start_times(made: Home, began: float) -> dict[str, float]:
    """Seconds from the start to each sign of life. The browser waits before the page is there."""
    found = {}
    with chromium() as browser:
        wait_for("a station among the page's answers", lambda: is_page_live(made))
        found["station_answered_s"] = time.monotonic() - began
        page = browser.new_page()
        page.goto(made.url("PAGE_PORT"))
        page.wait_for_function(HAS_LIVE_STATION, timeout=START_S * 1000)
        found["station_in_browser_s"] = time.monotonic() - began
    wait_for("materialised assets in Dagster", lambda: _materialized(made) > 0)
    found["assets_materialized_s"] = time.monotonic() - began
    return found


def _materialized(made: Home) -> int:
    """How many assets Dagster's UI shows as materialised."""
    url = f"{made.url('DAGSTER_PORT')}/graphql"
    answer = requests.post(url, json={"query": _MATERIALIZED}, timeout=5 * ANSWER_S)
    answer.raise_for_status()
    return sum(bool(node["assetMaterializations"]) for node in answer.json()["data"]["assetNodes"])


def _memory_gb(made: Home) -> dict[str, float]:
    """Resident memory by service, in GB; what processes share is counted once."""
    found: defaultdict[str, float] = defaultdict(float)
    for process in made.processes():
        with suppress(psutil.Error, OSError):
            found[_service(process)] += _resident_bytes(process) / 1e9
    return found


def _resident_bytes(process: psutil.Process) -> int:
    rollup = Path(f"/proc/{process.pid}/smaps_rollup")
    if rollup.exists():
        for line in rollup.read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return int(process.memory_info().rss)


def _cpu_shares(made: Home) -> dict[str, float]:
    """CPU time by service over IDLE_S, as a share of one core."""
    before = _cpu_seconds(made)
    time.sleep(IDLE_S)
    after = _cpu_seconds(made)
    shares: defaultdict[str, float] = defaultdict(float)
    for process, (service, seconds) in after.items():
        shares[service] += (seconds - before.get(process, (service, 0.0))[1]) / IDLE_S
    return shares


def _cpu_seconds(made: Home) -> dict[int, tuple[str, float]]:
    found = {}
    for process in made.processes():
        with suppress(psutil.Error):
            spent = process.cpu_times()
            found[process.pid] = (_service(process), spent.user + spent.system)
    return found


def _service(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    return next((name for name in _SERVICES if name in command), "other")


def _rounded(by_service: dict[str, float]) -> dict[str, Any]:
    return {name: round(value, 3) for name, value in sorted(by_service.items())}
