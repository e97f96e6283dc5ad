"""What a command does at once and then is done: it starts what it needs and stops it after."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bike_assets import heartbeats, services
from bike_assets.heartbeats import read_heartbeat
from bike_assets.ingest.profiles import Profile, profiles
from bike_assets.ingest.recordings import read_recording
from bike_assets.ingest.replay import Replay, Replayed
from bike_assets.ingest.sharing import sole_writer
from bike_assets.ingest.shift import shift, shift_ending_at
from bike_assets.ingest.writer import PartitionWriter
from bike_assets.local.parts import kafka, spark_home
from bike_assets.model.answers import Answer
from bike_assets.model.errors import NotARecording, ServiceNotReady, WrongSettings
from bike_assets.model.tables import EVENTS_TABLES
from bike_assets.settings import Settings
from bike_assets.sources.config import is_zone, load_sources

DRAIN_S = 300.0
_LOOK_S = 0.5


def replay_files(
    settings: Settings, files: list[Path], timezone: str | None, *, shift_to_now: bool, console: Console
) -> dict[str, Any]:
    """Replay recordings one after the other; the counts of all of them.

    What the arguments are wrong in is refused before anything is started.
    """
    have_answers(files)
    profile_of = replayed_profiles(settings, timezone)
    total = Replayed()
    servers = settings.bootstrap_servers
    with services.poller_lock(settings), kafka(settings) as partitions, sole_writer(servers, partitions):
        for file in files:
            answers = shifted(file, datetime.now(UTC)) if shift_to_now else read_recording(file)
            total.add(replay_answers(servers, partitions, profile_of, answers, file.name, console))
    return msgspec.to_builtins(total)  # type: ignore[no-any-return]


def shifted(file: Path, to: datetime) -> Iterator[Answer]:
    """A recording's answers with their times moved so that the last is at `to`; nothing where it is empty."""
    last = max((answer.fetched_at for answer in read_recording(file)), default=to)
    return shift(read_recording(file), shift_ending_at(last, to))


def have_answers(files: Iterable[Path]) -> bool:
    """Whether an answer stands in these recordings.

    Raises NotARecording for the first of them that is no file, cannot be read, or begins otherwise than a recording.
    """
    found = [_begins(file) for file in files]  # each is looked at
    return any(found)


def _begins(file: Path) -> bool:
    if not file.is_file():
        raise NotARecording(f"{file} is a directory." if file.is_dir() else f"{file} does not exist.")
    try:
        return next(iter(read_recording(file)), None) is not None
    except OSError as err:
        raise NotARecording(f"{file} cannot be read: {err.strerror}.") from None


def replay_answers(
    servers: str, partitions: int, profile_of: Callable[[str], Profile], answers: Iterable[Answer], name: str,
    console: Console,
) -> Replayed:
    """Feed answers to the partitions of a Kafka, and show how far that is. The caller holds the poller's lock."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None)

        def show(done: Replayed) -> None:
            progress.update(task, description=f"{name}: {done.lines} answers, {done.events} events")

        return Replay(lambda each: PartitionWriter(servers, each, profile_of), partitions).run(answers, show)


def replayed_profiles(settings: Settings, timezone: str | None) -> Callable[[str], Profile]:
    """What is said of each replayed system: this time zone of all, else what a sources file says of its own.

    Raises WrongSettings for a time zone that there is not: it would be written, and be the system's for good.
    """
    if timezone is not None:
        if not is_zone(timezone):
            raise WrongSettings(f"There is no time zone {timezone}: give an IANA name, as Europe/Oslo.")
        return lambda _: Profile(timezone=timezone)
    return profiles(load_sources(settings.sources) if settings.sources.exists() else [])


def drain_now(settings: Settings) -> dict[str, Any]:
    """Drain by the resident stream where it is up, by a query of our own where it is not, never both."""

    started = time.monotonic()
    before = _rows(settings)
    if is_streams_turn(settings, started + DRAIN_S):
        _wait_for_stream(settings)
        by = "the resident stream"
    else:
        from bike_assets.stream.service import drain

        with services.stream_lock(settings), kafka(settings):
            drain(services.stream_plan(settings, spark_home(settings)))
        by = "a query of its own"
    seconds = round(time.monotonic() - started, 1)
    return {"by": by, "seconds": seconds, "messages": _rows(settings) - before}


def is_streams_turn(settings: Settings, ends: float) -> bool:
    """Whether a resident stream is up; waits for one that starts, and for another drain to end.

    A drain can outlive the run that asked for it, which is then done again. Raises ServiceNotReady at `ends`, by the
    monotonic clock.
    """
    while services.is_stream_up(settings):
        beat, pid = read_heartbeat(settings.run, heartbeats.STREAM), services.streams_pid(settings)
        if beat is not None and str(beat.pid) == pid:
            return True
        if time.monotonic() > ends:
            raise ServiceNotReady(f"Another drain, or a stream that starts, is at work still (pid {pid}): wait for it.")
        time.sleep(_LOOK_S)
    return False


def _rows(settings: Settings) -> int:
    from bike_assets.lake.tables import row_count

    return sum(row_count(settings.lake, table) for table in EVENTS_TABLES)


def _wait_for_stream(settings: Settings) -> None:
    """Wait until each query in turn has done a trigger that began after the one before was through.

    A trigger takes no more than a number of messages: the first query must have come to all that was there.
    """
    from bike_assets.stream.offsets import end_offsets, lag
    from bike_assets.stream.progress import QUERIES, looked_since

    wanted = end_offsets(settings.bootstrap_servers)
    ends = time.monotonic() + DRAIN_S
    for query in QUERIES:
        asked_at = datetime.now(UTC)
        while True:
            beat = read_heartbeat(settings.run, heartbeats.STREAM)
            report = beat.details["queries"][query] if beat and beat.at > asked_at else {}
            offsets = report.get("offsets")
            if looked_since(report, asked_at) and (not offsets or lag(offsets, wanted) == 0):
                break
            if time.monotonic() > ends:
                reason = report.get("reason") or "see its log"
                raise ServiceNotReady(f"The stream did not get through {query} in {DRAIN_S:.0f} s: {reason}.")
            time.sleep(_LOOK_S)
