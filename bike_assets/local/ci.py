"""`bike ci`: recordings through the whole path in a home of its own, and every check of what came of them."""

import os
import shlex
import tempfile
from collections.abc import Iterable, Sequence, Set
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from bike_assets.ingest.recordings import read_recording
from bike_assets.local.parts import jars, kafka
from bike_assets.local.ports import free_ports
from bike_assets.local.report import Part, Report
from bike_assets.local.work import drain_now, replay_files
from bike_assets.model.errors import NotARecording
from bike_assets.model.tables import (
    EVENTS_STATION_INFORMATION,
    EVENTS_STATION_STATUS,
    EVENTS_SYSTEM_INFORMATION,
    EVENTS_VEHICLE_TOTALS,
    LIVE_SYSTEM_MINUTE,
)
from bike_assets.settings import Settings
from bike_assets.sources.reading import JCDECAUX, feed_name, has_parser

if TYPE_CHECKING:
    from bike_assets.defs.build import Broken, Built, Checked

Days = tuple[date, date]

_STATUS, _INFORMATION, _SYSTEM = "station_status", "station_information", "system_information"
FILLED_BY = {
    EVENTS_STATION_STATUS.name: {_STATUS},
    LIVE_SYSTEM_MINUTE.name: {_STATUS},
    EVENTS_STATION_INFORMATION.name: {_INFORMATION},
    EVENTS_SYSTEM_INFORMATION.name: {_SYSTEM, _STATUS},
}
"""The feeds that fill a table, each by itself. A table that is not here may be empty, or any feed fills it."""

OF_STATIONS = {EVENTS_STATION_STATUS.name, LIVE_SYSTEM_MINUTE.name}
"""What only a system without stations has no rows of: its vehicles were read instead."""


class Recorded(NamedTuple):
    """What stands in recordings: the UTC days that they cover, in rows of days that follow each other, the feeds of
    which they have an answer, as polls name them, and those that no parser reads, as the recordings name them."""

    days: list[Days]
    feeds: set[str]
    unread: set[str]


def run_ci(settings: Settings, recordings: list[Path], timezone: str | None, console: Console) -> Report:
    """Replay, drain, build and check, with nothing of the user's home but its jars; all is gone after it.

    The environment of this process becomes that of the home. Raises NotARecording for a file that is none, or where
    there is nothing to read.
    """
    days, feeds, unread = looked_through(recordings)
    jars(settings)
    with tempfile.TemporaryDirectory(prefix="bike-ci-") as root:
        own = own_settings(settings, Path(root), days[0][0])
        with kafka(own):
            replay_files(own, recordings, timezone, shift_to_now=False, console=console)
            drain_now(own)
        again = [shlex.join(["bike", "replay", *map(str, recordings), *(["--timezone", timezone] if timezone else [])]),
                 "bike drain", *(f"bike build {first} {last}" for first, last in days)]
        return Report([*told_unread(unread), *told_missing(build_and_check(own, days, console), feeds)], again)


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


def told_unread(feeds: Set[str]) -> list[Part]:
    """A part that warns of the feeds that no parser reads, where there are any: one may be a slip of a recorder's."""
    from bike_assets.defs.build import Checked

    says = f"No parser reads {_listed(map(repr, feeds))}; docs/recordings.md has the names that feeds go by."
    told = Checked("recordings", "every_feed_has_a_parser", passed=False, is_error=False, missing=says)
    return [Part("the recordings", [told])] if feeds else []


def told_missing(parts: Sequence[Part], feeds: Set[str]) -> list[Part]:
    """The parts, in which a check of a table that none of these feeds fills only warns where it found nothing.

    Without station_status that is so of the tables of stations only where vehicles were read: something must be.
    """
    must = set() if _has_vehicles(parts) else OF_STATIONS
    return [Part(part.title, [_told_missing(step, feeds, must) for step in part.steps]) for part in parts]


def _told_missing(step: "Built | Checked | Broken", feeds: Set[str], must: Set[str]) -> "Built | Checked | Broken":
    from bike_assets.defs.build import Checked

    if not isinstance(step, Checked) or step.passed is not False or step.checked or step.table in must:
        return step
    wanted = FILLED_BY.get(step.table, set())
    if not wanted or wanted & feeds:
        return step
    says = f"There was nothing to check: no recording has an answer of {' or '.join(sorted(wanted))}."
    return step._replace(is_error=False, missing=says)


def _has_vehicles(parts: Sequence[Part]) -> bool:
    """Whether there was a good poll of vehicles."""
    return any(check.checked for part in parts for check in part.checks if check.table == EVENTS_VEHICLE_TOTALS.name)


def looked_through(recordings: list[Path]) -> Recorded:
    """What stands in recordings. Raises NotARecording for a file that is none, and where no answer stands in any, or
    none of a feed that a parser reads."""
    each_day: set[date] = set()
    feeds: set[str] = set()
    for file in recordings:
        for answer in read_recording(file):
            each_day.add(answer.fetched_at.date())
            feeds.add(answer.feed)
    days = _in_rows(each_day, recordings)
    read = set(filter(has_parser, feeds))
    if not read:
        named_so = _listed(map(repr, feeds))
        raise NotARecording(f"{_listed(recordings)}: no parser reads {named_so}, and nothing else stands in it.")
    named = {feed_name(feed) for feed in read}
    # JCDecaux's stations say what a station is too.
    described = {_INFORMATION} if any(feed.startswith(JCDECAUX) for feed in read) else set()
    return Recorded(days, named | described, feeds - read)


def _listed(names: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, names)))


def _in_rows(each_day: Set[date], recordings: list[Path]) -> list[Days]:
    rows: list[Days] = []
    for day in sorted(each_day):
        if rows and day - rows[-1][1] == timedelta(days=1):
            rows[-1] = rows[-1][0], day
        else:
            rows.append((day, day))
    if not rows:
        raise NotARecording(f"{_listed(recordings)}: no answer stands in it.")
    return rows
