"""A service that hangs is killed, so that its supervisor starts it again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bike_assets.heartbeats import FRESH_S, read_heartbeat
from bike_assets.local.watchdog import kill_hanging

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


def test_a_service_that_is_silent_too_long_is_killed(tmp_path: Path, service: subprocess.Popen[str]) -> None:
    assert kill_hanging(tmp_path, ["poller", "stream"], after(FRESH_S + 1)) == ["poller"]
    assert service.wait() == -signal.SIGKILL


def test_a_service_that_beat_just_now_is_left_alone(tmp_path: Path, service: subprocess.Popen[str]) -> None:
    assert kill_hanging(tmp_path, ["poller"]) == []
    assert kill_hanging(tmp_path, ["poller"], after(FRESH_S - 1)) == []
    assert service.poll() is None


def test_a_service_that_is_gone_is_the_supervisors_matter(tmp_path: Path, service: subprocess.Popen[str]) -> None:
    service.kill()
    service.wait()
    assert kill_hanging(tmp_path, ["poller"], after(FRESH_S + 1)) == []


def test_a_process_that_only_got_the_pid_of_one_long_gone_is_left_alone(
    tmp_path: Path, service: subprocess.Popen[str]
) -> None:
    beat = read_heartbeat(tmp_path, "poller")
    assert beat is not None
    yesterday = (beat.at - timedelta(days=1)).isoformat()
    (tmp_path / "poller.heartbeat.json").write_text(f'{{"pid": {service.pid}, "at": "{yesterday}"}}')
    assert kill_hanging(tmp_path, ["poller"]) == []
    assert service.poll() is None


def test_a_service_that_never_beat_is_starting(tmp_path: Path) -> None:
    assert kill_hanging(tmp_path, ["poller"], after(FRESH_S + 1)) == []
