"""A thousand systems with 230,000 stations in one poller, each asked once a minute: what that costs.

The poller is `bike run poller` as a user has it, on a real broker; the feeds are served by a process of their own. The
hourly feeds and the first sight of each station lie in the warm-up, the steady minutes after it are measured.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil

from bench import by_pybikes
from bench.demo import home_with_jars, wait_for
from bench.feeds import url
from bench.report import result, say
from bike_assets.heartbeats import read_heartbeat
from bike_assets.local.ports import free_ports
from bike_assets_tests.journeys.homes import Home, end

SYSTEMS, STATIONS, POLL_SECONDS = 1_000, 230_000, 60
WARM_UP_S, MEASURED_S = 60, 120
PYBIKES = "pybikes==1.0.8"
CORE_SHARE_WANTED, MEMORY_WANTED_MB, LATE_WANTED_S = 0.10, 500, 2.0


class Seen(NamedTuple):
    """The poller at a moment: CPU s so far, polls of stations and events committed so far."""

    at: float
    cpu_s: float
    polls: int
    events: int


def run() -> None:
    """The poller for some minutes, then pybikes on the same feeds where it can be had."""
    [port] = free_ports(1)
    with home_with_jars() as made, _served(port):
        urls = [url(number, port) for number in range(SYSTEMS)]
        (made.directory / "sources.toml").write_text("".join(map(_entry, range(SYSTEMS), urls)))
        made.environment["BIKE_KAFKA"] = made.bootstrap  # the poller must not start one of its own
        with (
            made.running("run", "broker", until=lambda: True),
            made.running("run", "poller", until=lambda: _lanes(made, "polls") > 0) as poller,
        ):
            figures = _measured(made, psutil.Process(poller.pid))
        theirs = _by_pybikes(urls)
    result("thousand", systems=SYSTEMS, stations=STATIONS, poll_seconds=POLL_SECONDS, **figures, **theirs)


def _entry(number: int, where: str) -> str:
    said = {"kind": "gbfs", "system_id": f"s{number}", "url": where, "poll_seconds": POLL_SECONDS, "timezone": "UTC"}
    return "\n".join(["[[systems]]", *(f"{key} = {json.dumps(value)}" for key, value in said.items()), "", ""])


@contextmanager
def _served(port: int) -> Iterator[None]:
    say("thousand: the bodies are made")
    words = [sys.executable, "-m", "bench.feeds", *map(str, (port, SYSTEMS, STATIONS))]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        end(process)


def _measured(made: Home, poller: psutil.Process) -> dict[str, Any]:
    say("thousand: every system's first polls")
    wait_for("every system was polled", lambda: _lanes(made, "polls") >= 5 * SYSTEMS)
    say(f"thousand: {WARM_UP_S} s of warm-up, then {MEASURED_S} s are measured")
    time.sleep(WARM_UP_S)
    before = _seen(made, poller)
    time.sleep(MEASURED_S)
    after = _seen(made, poller)
    seconds, memory = after.at - before.at, poller.memory_full_info()
    share = (after.cpu_s - before.cpu_s) / seconds
    late_s = _beat(made)["late_p95_s"]
    return {
        "measured_s": round(seconds),
        "polls": after.polls - before.polls,
        "rows": round((after.polls - before.polls) * STATIONS / SYSTEMS),
        "events": after.events - before.events,
        "core_share": round(share, 3),
        "core_share_wanted": CORE_SHARE_WANTED,
        "memory_mb": round(memory.uss / 1e6),
        "memory_peak_mb": _peak_mb(poller),
        "memory_wanted_mb": MEMORY_WANTED_MB,
        "late_p95_s": late_s,
        "late_wanted_s": LATE_WANTED_S,
        "is_met": share <= CORE_SHARE_WANTED and _peak_mb(poller) <= MEMORY_WANTED_MB and late_s <= LATE_WANTED_S,
    }


def _seen(made: Home, poller: psutil.Process) -> Seen:
    return Seen(time.monotonic(), sum(poller.cpu_times()[:2]), _lanes(made, "polls"), _lanes(made, "events"))


def _lanes(made: Home, what: str) -> int:
    """What the poller's lanes committed, by its heartbeat: the good polls, or the events."""
    counts = [lane[what] for lane in _beat(made).get("lanes", ())]
    return sum(count.get("ok", 0) if what == "polls" else count for count in counts)


def _beat(made: Home) -> Mapping[str, Any]:
    beat = read_heartbeat(made.path / "run", "poller")
    return {} if beat is None else beat.details


def _peak_mb(process: psutil.Process) -> int:
    """The most memory that it ever had resident."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 // 1_000_000 for line in lines if line.startswith("VmHWM:"))


def _by_pybikes(urls: list[str]) -> dict[str, Any]:
    """One round of pybikes over all systems, as a share of a core if it were made once in POLL_SECONDS."""
    with TemporaryDirectory(prefix="bike-bench-") as directory:
        python = _with_pybikes(Path(directory))
        if python is None:
            return {"pybikes": "could not be had"}
        say("thousand: pybikes, one round")
        done = subprocess.run([python, by_pybikes.__file__], input="\n".join(urls), capture_output=True, text=True,
                              check=True)  # fmt: skip
    told = json.loads(done.stdout)
    return {
        "pybikes": PYBIKES,
        "pybikes_stations": told["stations"],
        "pybikes_round_s": round(told["wall_s"], 1),
        "pybikes_core_share": round(told["cpu_s"] / POLL_SECONDS, 3),
    }


def _with_pybikes(directory: Path) -> Path | None:
    """An interpreter that has pybikes; None where it cannot be installed."""
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    python = directory / "bin" / "python"
    try:
        subprocess.run([uv, "venv", "--quiet", "--clear", directory], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, PYBIKES], check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return python
