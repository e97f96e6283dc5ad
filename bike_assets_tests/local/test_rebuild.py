"""What is rebuilt is refused while somebody writes it, and nothing is lost by asking."""

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard
from rich.console import Console

from bike_assets.ingest.recordings import encode_line
from bike_assets.local import rebuild
from bike_assets.model.errors import AlreadyRunning, SomethingMissing
from bike_assets.settings import Settings, load_settings
from bike_assets_tests.ingest.builders import status

QUIET = Console(file=io.StringIO())
HOLD = """
import sys
from pathlib import Path
from bike_assets.locks import held
with held(Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(lock: Path) -> Iterator[int]:
    """Another process holds the lock; its pid."""
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def settings(bare_directory: Path) -> Settings:
    return load_settings()


@pytest.fixture
def checkpoint(settings: Settings) -> Path:
    """What the queries know of what they have done: that of `live`, and beside it that of `events`."""
    for name in ("live", "events"):
        (settings.lake / "_checkpoints" / name).mkdir(parents=True)
    return settings.lake / "_checkpoints" / "live"


def test_live_forgets_what_it_has_done_and_is_drained(
    settings: Settings, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = {"by": "a query of its own", "seconds": 1.0, "messages": 0}
    seen: list[list[str]] = []

    def drain(settings: Settings) -> dict[str, object]:
        seen.append([each.name for each in checkpoint.parent.iterdir()])
        return done

    monkeypatch.setattr(rebuild, "drain_now", drain)
    assert rebuild.rebuild_live(settings) == done
    assert seen == [["events"]], "the live query begins anew, the other goes on"


def test_live_is_refused_while_a_stream_is_up(settings: Settings, checkpoint: Path) -> None:
    with (
        held_by_another(settings.run / "stream.lock") as pid,
        pytest.raises(AlreadyRunning, match=rf"^A stream or a drain is at work in this home: .* \(pid {pid}\)$"),
    ):
        rebuild.rebuild_live(settings)
    assert checkpoint.exists()


def test_raw_is_refused_while_a_poller_is_up(settings: Settings) -> None:
    file = settings.raw / "2026-06-01" / "12-000000000000.jsonl.zst"
    file.parent.mkdir(parents=True)
    file.write_bytes(zstandard.compress(encode_line(status())))
    with (
        held_by_another(settings.run / "poller.lock") as pid,
        pytest.raises(AlreadyRunning, match=rf"^A poller or a replay is at work in this home: .* \(pid {pid}\)$"),
    ):
        rebuild.rebuild_from_raw(settings, QUIET)


def test_where_no_answer_is_kept_there_is_nothing_to_rebuild_from(settings: Settings) -> None:
    with pytest.raises(SomethingMissing, match=r"^There is no answer in .*raw: the poller keeps them there"):
        rebuild.rebuild_from_raw(settings, QUIET)
