"""A service that hangs is killed, so that its supervisor starts it again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bike_assets.heartbeats import FIRST_BEAT_S, FRESH_S
from bike_assets.local.watchdog import Asked, Watch

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
    return Watch(run).kill_hanging({"poller": service.pid, "broker": 1}, after(in_s))


def test_a_service_that_is_silent_too_long_is_killed(tmp_path: Path, service: subprocess.Popen[str]) -> None:
    assert killed(tmp_path, service, FRESH_S + 1) == ["poller"]
    assert service.wait() == -signal.SIGKILL


def test_a_service_that_beat_just_now_is_left_alone(tmp_path: Path, service: subprocess.Popen[str]) -> None:
    assert killed(tmp_path, service) == killed(tmp_path, service, FRESH_S - 1) == []
    assert service.poll() is None


def test_after_the_machine_stood_still_a_service_has_its_time_anew(
    tmp_path: Path, service: subprocess.Popen[str]
) -> None:
    watch, pids = Watch(tmp_path), {"poller": service.pid}
    assert watch.kill_hanging(pids, after(0)) == []
    for in_s in (3600, 3606, 3612, 3618):
        assert watch.kill_hanging(pids, after(in_s)) == []
    assert service.poll() is None
    assert watch.kill_hanging(pids, after(3600 + FRESH_S + 2)) == ["poller"]


def test_an_empty_heartbeat_is_none(tmp_path: Path, service: subprocess.Popen[str]) -> None:
    (tmp_path / "poller.heartbeat.json").write_text("")
    assert killed(tmp_path, service, FIRST_BEAT_S - 10) == []
    assert killed(tmp_path, service, FIRST_BEAT_S + 1) == ["poller"]


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


def test_a_service_that_is_asked_is_killed_when_it_has_not_answered_for_too_long(
    service: subprocess.Popen[str],
) -> None:
    answers = [True, False, True, False, False]
    asked, pids = Asked("asked", lambda: answers.pop(0)), {"asked": service.pid}
    assert not asked.kill_hanging(pids, after(0))
    assert not asked.kill_hanging(pids, after(FRESH_S - 1))
    assert not asked.kill_hanging(pids, after(FRESH_S + 1)), "it answers again"
    assert not asked.kill_hanging(pids, after(2 * FRESH_S))
    assert service.poll() is None
    assert asked.kill_hanging(pids, after(2 * FRESH_S + 2))
    assert service.wait() == -signal.SIGKILL


def test_a_service_that_is_asked_has_time_to_start_again(service: subprocess.Popen[str]) -> None:
    answers = [True, False, False]
    asked = Asked("asked", lambda: answers.pop(0))
    assert not asked.kill_hanging({"asked": 1}, after(0)), "the one before it"
    assert not asked.kill_hanging({"asked": service.pid}, after(FIRST_BEAT_S - 10))
    assert asked.kill_hanging({"asked": service.pid}, after(FIRST_BEAT_S + 1))


def test_a_service_that_does_not_run_is_not_asked() -> None:
    assert not Asked("asked", lambda: pytest.fail("it was asked")).kill_hanging({"other": 1}, after(0))
