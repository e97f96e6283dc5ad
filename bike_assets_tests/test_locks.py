"""Who may write: told across processes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bike_assets.locks import held, is_held
from bike_assets.model.errors import AlreadyRunning
from bike_assets_tests.waiting import wait_until

HOLDER = """
import sys, time
from pathlib import Path
from bike_assets.locks import held
with held(Path(sys.argv[1]), "Busy"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until the block ends, or until it is killed."""
    command = [sys.executable, "-c", HOLDER, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "run" / "poller.lock"


def test_a_second_process_is_refused_with_the_holders_pid(lock: Path) -> None:
    with (
        other_process(lock) as other,
        pytest.raises(AlreadyRunning, match=rf"^A poller is at work \(pid {other.pid}\)$"),
        held(lock, "A poller is at work"),
    ):
        pass


def test_a_lock_is_held_for_as_long_as_the_block_runs(lock: Path) -> None:
    assert not is_held(lock)
    with held(lock, "Busy"):
        assert is_held(lock)
    assert not is_held(lock)


def test_a_lock_is_freed_by_an_error(lock: Path) -> None:
    with pytest.raises(ValueError, match="broken"), held(lock, "Busy"):
        raise ValueError("broken")
    assert not is_held(lock)


def test_a_lock_is_freed_when_its_holder_is_killed(lock: Path) -> None:
    with other_process(lock) as other:
        assert is_held(lock)
        other.send_signal(signal.SIGKILL)
        other.wait()
        wait_until(lambda: not is_held(lock))
        with held(lock, "Busy"):
            assert is_held(lock)


def test_looking_at_a_lock_does_not_take_it(lock: Path) -> None:
    with held(lock, "Busy"):
        pass
    assert not is_held(lock)
    with other_process(lock):
        assert is_held(lock)
