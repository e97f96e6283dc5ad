"""`bike ci`: recordings through the whole path in a home of its own, and every check of what came of them."""

import os
import shlex
import tempfile
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console

from bike_assets.ingest.recordings import read_recording
from bike_assets.local.parts import jars, kafka
from bike_assets.local.ports import free_ports
from bike_assets.local.report import Part, Report
from bike_assets.local.work import drain_now, replay_files
from bike_assets.model.errors import NotARecording
from bike_assets.settings import Settings

Days = tuple[date, date]


def run_ci(settings: Settings, recordings: list[Path], timezone: str | None, console: Console) -> Report:
    """Replay, drain, build and check, with nothing of the user's home but its jars; all is gone after it.

    The environment of this process becomes that of the home. Raises NotARecording for a file that is none, or empty.
    """
    days = days_of(recordings)
    jars(settings)
    with tempfile.TemporaryDirectory(prefix="bike-ci-") as root:
        own = own_settings(settings, Path(root), days[0][0])
        with kafka(own):
            replay_files(own, recordings, timezone, shift_to_now=False, console=console)
            drain_now(own)
        again = [shlex.join(["bike", "replay", *map(str, recordings), *(["--timezone", timezone] if timezone else [])]),
                 "bike drain", *(f"bike build {first} {last}" for first, last in days)]
        return Report(build_and_check(own, days, console), again)


def build_and_check(settings: Settings, days: Iterable[Days], console: Console) -> list[Part]:
    """Check what the stream filled, then build these days and check them."""
    # Of the home that the environment now names: loaded earlier, they would be of the user's.
    from bike_assets.definitions import defs
    from bike_assets.defs.build import run_to_the_end
    from bike_assets.local.build import showing
    from bike_assets.local.home import dagster_home

    home = dagster_home(settings)
    with showing(console, "Dagster starts") as show:
        stream = run_to_the_end(defs.resolve_job_def("check_stream"), None, home, show)
        parts = [Part("the tables that the stream fills", stream)]
        for first, last in days:
            steps = run_to_the_end(defs.resolve_job_def("build_days"), (first, last), home, show)
            parts.append(Part(f"{first}" if first == last else f"{first} to {last}", steps))
    return parts


def own_settings(settings: Settings, root: Path, first_day: date) -> Settings:
    """The settings with a home, ports and days of their own; the environment, which a run reads, says the same."""
    (root / "jars").symlink_to(settings.home / "jars", target_is_directory=True)
    ports = dict(zip(("kafka_port", "kafka_controller_port", "spark_port"), free_ports(3), strict=True))
    own = {"home": root, "first_day": first_day, **ports}
    os.environ.update({f"BIKE_{name.upper()}": str(value) for name, value in own.items()})
    return settings.model_copy(update={**own, "kafka": None})


def days_of(recordings: list[Path]) -> list[Days]:
    """The UTC days that recordings cover, in rows of days that follow each other."""
    rows: list[Days] = []
    for day in sorted({answer.fetched_at.date() for file in recordings for answer in read_recording(file)}):
        if rows and day - rows[-1][1] == timedelta(days=1):
            rows[-1] = rows[-1][0], day
        else:
            rows.append((day, day))
    if not rows:
        raise NotARecording(f"{', '.join(map(str, recordings))}: no answer stands in it.")
    return rows
