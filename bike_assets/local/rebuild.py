"""`bike rebuild`: what services write as they go, made once more from what it was made of."""

import shutil
from typing import Any

from rich.console import Console

from bike_assets import services
from bike_assets.ingest.raw import kept_files
from bike_assets.local.work import drain_now, replay_files
from bike_assets.model.errors import SomethingMissing
from bike_assets.settings import Settings
from bike_assets.stream.progress import LIVE


def rebuild_live(settings: Settings) -> dict[str, Any]:
    """Every minute of `live.*` computed once more from the events, as its query does without its checkpoint.

    Raises AlreadyRunning while a stream or a drain is at work.
    """
    with services.stream_lock(settings):
        shutil.rmtree(settings.lake / "_checkpoints" / LIVE, ignore_errors=True)
    return drain_now(settings)


def rebuild_from_raw(settings: Settings, console: Console) -> dict[str, Any]:
    """The answers that `raw/` keeps fed through the same path as a poll, and drained.

    What the topics have already is not newer, and is skipped. Raises AlreadyRunning while a poller or a replay is
    at work, SomethingMissing where no answer is kept.
    """
    files = kept_files(settings.raw)
    if not files:
        raise SomethingMissing(f"There is no answer in {settings.raw}: the poller keeps them there as it polls.")
    replayed = replay_files(settings, files, None, shift_to_now=False, console=console)
    return {**replayed, **drain_now(settings)}
