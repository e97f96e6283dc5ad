"""A service that hangs is killed, so that its supervisor starts it again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bike_assets.heartbeats import FRESH_S
from bike_assets.local.watchdog import FIRST_BEAT_S, kill_hanging

SERVICE = """
import sys
from pathlib import Path
from bike_assets.heartbeats import heartbeat
heartbeat(Path(sys.argv[1]), "poller")({})
print("beaten", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that beat once and then hangs."""
    command = [sys.executable, "-c", SERVICE, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "beaten\n"
        yield process
        process.kill()


def after(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def killed(run: Path, service: subprocess.Popen[str], in_s: float = 0) -> list[str]:
    return kill_hanging(run, {"poller": service.pid, "broker": 1}, after(in_s))


def test_a_service_that_is_silent_too_long_is_killed(tmp_path: Path, service: subprocess.Popen[str]) -> None:
    assert killed(tmp_path, service, FRESH_S + 1) == ["poller"]
    assert service.wait() == -signal.SIGKILL


def test_a_service_that_beat_just_now_is_left_alone(tmp_path: Path, service: subprocess.Popen[str]) -> None:
    assert killed(tmp_path, service) == killed(tmp_path, service, FRESH_S - 1) == []
    assert service.poll() is None


def test_a_service_that_is_gone_is_the_supervisors_matter(tmp_path: Path, service: subprocess.Popen[str]) -> None:
    service.kill()
    service.wait()
    assert killed(tmp_path, service, FRESH_S + 1) == []


def test_a_heartbeat_of_a_process_long_gone_says_nothing_of_one_that_starts(
    tmp_path: Path, service: subprocess.Popen[str]
) -> None:
    yesterday = after(-86_400).isoformat()
    for pid in (service.pid, 1):
        (tmp_path / "poller.heartbeat.json").write_text(f'{{"pid": {pid}, "at": "{yesterday}"}}')
        assert killed(tmp_path, service, FRESH_S + 1) == []
    assert service.poll() is None


def test_a_service_that_never_beats_is_killed_when_it_had_time_to(
    tmp_path: Path, service: subprocess.Popen[str]
) -> None:
    (tmp_path / "poller.heartbeat.json").unlink()
    assert killed(tmp_path, service, FIRST_BEAT_S - 10) == []
    assert killed(tmp_path, service, FIRST_BEAT_S + 1) == ["poller"]
    assert service.wait() == -signal.SIGKILL
