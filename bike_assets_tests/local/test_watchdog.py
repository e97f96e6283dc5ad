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


class Answering:
    """One that is asked each 5 s, and answers or not."""

    def __init__(self, pid: int) -> None:
        self.is_well = True
        self.pid = pid
        self._asked = Asked("asked", lambda: self.is_well)

    def killed(self, first_s: float, last_s: float) -> list[float]:
        """When it was killed, of the looks from the first to the last."""
        looks = (first_s + 5 * n for n in range(int((last_s - first_s) // 5) + 1))
        return [in_s for in_s in looks if self._asked.kill_hanging({"asked": self.pid}, after(in_s))]


def test_a_service_that_is_asked_is_killed_when_it_has_not_answered_for_too_long(
    service: subprocess.Popen[str],
) -> None:
    asked = Answering(service.pid)
    assert asked.killed(0, 0) == []
    asked.is_well = False
    assert asked.killed(5, FRESH_S - 1) == []
    asked.is_well = True
    assert asked.killed(FRESH_S, FRESH_S) == [], "it answers again"
    asked.is_well = False
    assert asked.killed(FRESH_S + 5, 2 * FRESH_S - 1) == []
    assert service.poll() is None
    assert asked.killed(2 * FRESH_S + 2, 2 * FRESH_S + 2) == [2 * FRESH_S + 2]
    assert service.wait() == -signal.SIGKILL


def test_a_service_that_is_asked_has_time_to_start_again(service: subprocess.Popen[str]) -> None:
    asked = Answering(1)
    assert asked.killed(0, 0) == [], "the one before it"
    asked.pid, asked.is_well = service.pid, False
    assert asked.killed(5, FIRST_BEAT_S - 1) == []
    assert asked.killed(FIRST_BEAT_S + 1, FIRST_BEAT_S + 1) == [FIRST_BEAT_S + 1]


def test_after_the_machine_stood_still_a_service_that_is_asked_has_its_time_anew(
    service: subprocess.Popen[str],
) -> None:
    asked = Answering(service.pid)
    assert asked.killed(0, 0) == []
    asked.is_well = False
    assert asked.killed(3600, 3600 + FRESH_S - 1) == []
    assert service.poll() is None
    assert asked.killed(3600 + FRESH_S, 3600 + FRESH_S) == [3600 + FRESH_S]


def test_a_service_that_does_not_run_is_not_asked() -> None:
    assert not Asked("asked", lambda: pytest.fail("it was asked")).kill_hanging({"other": 1}, after(0))
