"""`bike record`: what systems answer now, kept in a file that `bike replay` reads."""

import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bike_assets import services
from bike_assets.ingest.recorder import record
from bike_assets.ingest.recordings import new_recording
from bike_assets.local.polling import wanted_sources
from bike_assets.model.answers import Answer
from bike_assets.model.errors import WrongSettings
from bike_assets.settings import Settings
from bike_assets.sources.config import load_sources

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(text: str) -> int:
    """The seconds of `90s`, `10m`, `2h` or `1d`. Raises WrongSettings."""
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if found is None or int(found[1]) == 0:
        raise WrongSettings(f"{text} is no time to record for: give one like 90s, 10m, 2h or 1d.")
    return int(found[1]) * _UNITS[found[2]]


def record_systems(
    settings: Settings, system_ids: list[str], to: Path, duration: str, console: Console
) -> dict[str, Any]:
    """Record for so long, or until told to stop; how many answers there were, and how many that are none.

    Raises WrongSettings for a system that no source has, and NotWritten.
    """
    seconds = seconds_of(duration)
    asking = services.source_askers(wanted_sources(settings, load_sources(settings.sources), system_ids), settings)
    stop = services.until_told_to_stop()
    ends = threading.Timer(seconds, stop.set)
    counts: Counter[str] = Counter()
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with (
        new_recording(to) as write,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task(to.name, total=None)

        def keep(answer: Answer) -> None:
            write(answer)
            counts["answers"] += 1
            counts["failed"] += answer.failure is not None
            progress.update(task, description=f"{to.name}: {counts['answers']} answers")

        ends.start()
        try:
            record(asking, keep, stop)
        finally:
            ends.cancel()
    return {"file": str(to), "answers": counts["answers"], "failed": counts["failed"]}
