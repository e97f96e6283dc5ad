"""A service that is ended where it hangs, for one who starts again only what has ended: containers do."""

import signal
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from bike_assets.local.watchdog import Watch

LOOK_S = 1.0


def watch(run: Path, service: str, command: Sequence[str]) -> int:
    """Run a service until it ends, or kill it once its heartbeats in `run` stand still; its exit status, as shells
    count it.

    It is told of the signals that ask this process to end.
    """
    watched = Watch(run)
    with subprocess.Popen(command) as process:

        def tell(number: int, frame: FrameType | None) -> None:
            process.send_signal(number)

        try:
            for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(each, tell)
            while (status := _ended_within(process, LOOK_S)) is None:
                watched.kill_hanging({service: process.pid}, datetime.now(UTC))
        except BaseException:
            process.kill()  # nobody would look at it any more
            raise
    return status if status >= 0 else 128 - status


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
