"""A service under a watch ends as it ends by itself, where it is told to, and where it hangs."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bike_assets.heartbeats import STREAM
from bike_assets_tests.conftest import CHECKOUT
from bike_assets_tests.waiting import wait_until

WATCHER = """
import sys
from pathlib import Path
from bike_assets.local import watchdog, watched
watchdog.FRESH_S = float(sys.argv[3])
sys.exit(watched.watch(Path(sys.argv[1]), "stream", [sys.executable, "-c", sys.argv[2], sys.argv[1]]))
"""
BEATS_ONCE = """
import signal, sys, time
from pathlib import Path
from bike_assets.heartbeats import heartbeat
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
heartbeat(Path(sys.argv[1]), "stream")({})
"""


def watching(run: Path, service: str, fresh_s: float = 60) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WATCHER, str(run), service, str(fresh_s)], cwd=CHECKOUT)


def test_one_that_hangs_is_killed_and_so_the_watch_ends(tmp_path: Path) -> None:
    with watching(tmp_path, f"{BEATS_ONCE}time.sleep(600)", fresh_s=3) as watcher:
        assert watcher.wait(60) == 128 + signal.SIGKILL


@pytest.mark.parametrize(("does", "status"), [("sys.exit(5)", 5), ("raise KeyboardInterrupt", 130)])
def test_one_that_ends_ends_the_watch_with_its_status(tmp_path: Path, does: str, status: int) -> None:
    with watching(tmp_path, BEATS_ONCE + does) as watcher:
        assert watcher.wait(60) == status


def test_one_whose_watch_is_told_to_end_is_told_too_and_ends_in_order(tmp_path: Path) -> None:
    beats = f"beat = heartbeat(Path(sys.argv[1]), {STREAM!r})\nwhile True: beat({{}}); time.sleep(0.1)"
    with watching(tmp_path, BEATS_ONCE + beats) as watcher:
        wait_until((tmp_path / "stream.heartbeat.json").exists)
        watcher.terminate()
        assert watcher.wait(60) == 3
