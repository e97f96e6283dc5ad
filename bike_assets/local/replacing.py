"""What topics and tables hold of systems, from an instant on, replaced by what answers tell anew.

docs/decisions/0016 says why it goes in these steps. All are done under the locks of poller and stream:

1. The tables get all that the topics hold.
2. What is to be done is noted in one file: from then on it can be finished, whoever broke it off.
3. The rows from the instant on are taken out of the tables, and the compacted topics put back to what they were then.
   The note goes. Now all is as if nobody had polled since.
4. The answers are replayed and drained as any recording is.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
from msgspec import Struct
from rich.console import Console

from bike_assets import services
from bike_assets.files import write_whole
from bike_assets.ingest.memory import Memories
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.recordings import read_recording
from bike_assets.ingest.rewind import Covered, Rewinding, covered, differing, put_back, with_what_no_table_tells
from bike_assets.ingest.sharing import refuse_beside_pollers
from bike_assets.ingest.writer import PartitionWriter
from bike_assets.lake.duck import connect
from bike_assets.lake.past import past
from bike_assets.lake.replaced import take_out, take_out_descriptions
from bike_assets.local.parts import kafka, spark_home
from bike_assets.local.work import refuse_no_files, replay_answers, replayed_profiles
from bike_assets.model.answers import Answer
from bike_assets.model.errors import NotARecording, NotReplaced
from bike_assets.model.messages import StationInformation, SystemInformation
from bike_assets.model.past import Past
from bike_assets.model.topics import partition_of
from bike_assets.settings import Settings
from bike_assets.stream.closing import forget_days
from bike_assets.stream.floors import Floors, raise_floors
from bike_assets.stream.offsets import end_offsets
from bike_assets.stream.service import draining

Answers = Callable[[], Iterable[Answer]]
OpenWriter = Callable[[int], Rewinding]
Choose = Callable[[duckdb.DuckDBPyConnection], Answers]
"""Which answers take the place of what the tables hold: asked once the tables hold all of the topics."""


class Replacement(Struct, frozen=True):
    """All that is needed to take systems back to their cuts: what they were then, and the descriptions among it that
    are known otherwise now, whose rows come again as messages.
    """

    cuts: dict[str, datetime]
    past: Past
    stations: list[StationInformation]
    systems: list[SystemInformation]


def replace_files(settings: Settings, files: list[Path], timezone: str | None, console: Console) -> dict[str, Any]:
    """Put what recordings tell in the place of what the tables hold of their systems since their first answers."""
    refuse_no_files(files)
    profile_of = replayed_profiles(settings, timezone)
    return replace(settings, lambda _: lambda: chain.from_iterable(map(read_recording, files)), profile_of, console)


def replace(
    settings: Settings, choose: Choose, profile_of: Callable[[str], Profile], console: Console
) -> dict[str, Any]:
    """Replace; the counts of it, and of what was there before.

    Raises AlreadyRunning while a poller or a stream is at work, NotReplaced where the answers do not tell all that
    the tables hold since the first of them: what follows a poll hangs on it.
    """
    with services.history_lock(settings), kafka(settings) as partitions:
        servers = settings.bootstrap_servers
        refuse_beside_pollers(servers)

        def writer(partition: int) -> PartitionWriter:
            return PartitionWriter(servers, partition, profile_of)

        finish(settings, writer, partitions)
        with draining(services.stream_plan(settings, spark_home(settings))) as drain_now:
            drain_now()
            with connect(settings.lake) as con:
                answers = choose(con)
                found = covered(answers())
                refuse_less(con, found)
                cuts = {system_id: each.first for system_id, each in found.items()}
                before = _figures(con, cuts)
                planned = plan(con, cuts, writer, partitions)
            note(settings, planned, end_offsets(servers))
            finish(settings, writer, partitions)
            replayed = replay_answers(servers, partitions, profile_of, answers(), "replaced", console)
            drain_now()
        with connect(settings.lake) as con:
            after = _figures(con, cuts)
    return {
        **msgspec.to_builtins(replayed), "systems": sorted(cuts), "since": min(cuts.values()).isoformat(),
        "until": max(each.last for each in found.values()).isoformat(), "before": before, "after": after,
    }  # fmt: skip


def finish(settings: Settings, open_writer: OpenWriter, partitions: int) -> None:
    """Do what is noted, if anything is: what was done of it before comes to the same. Then the note goes."""
    if not settings.replacement.exists():
        return
    noted = msgspec.json.decode(settings.replacement.read_bytes(), type=Replacement)
    forget_days(settings.lake, settings.closed_days, min(noted.cuts.values()).date())
    take_out(settings.lake, noted.cuts)
    take_out_descriptions(settings.lake, noted.stations, noted.systems)
    for partition, system_ids in _by_partition(noted.cuts, partitions).items():
        with _opened(open_writer(partition)) as writer:
            writer.commit(put_back(writer.memories, noted.past, system_ids))
    settings.replacement.unlink()


def refuse_less(con: duckdb.DuckDBPyConnection, found: dict[str, Covered]) -> None:
    """Raise NotReplaced where the tables hold something, since the first answer of a system, that no answer tells.

    That is what comes after the last of them, and feeds that are not among them. NotARecording where there is none.
    """
    if not found:
        raise NotARecording("There is no answer in what was given.")
    for system_id, feed, last in _polls_since(con, {id_: each.first for id_, each in found.items()}):
        own = found[system_id]
        if feed not in own.feeds:
            raise NotReplaced(
                f"The tables hold polls of {system_id}'s {feed} since {_said(own.first)}, of which these answers have "
                "none: give all feeds of it, as raw/ keeps them."
            )
        if last > own.last:
            raise NotReplaced(
                f"The tables hold polls of {system_id} up to {_said(last)}, these answers end at {_said(own.last)}: "
                "what follows hangs on them, so give the answers after them too, as raw/ keeps them."
            )


def _polls_since(con: duckdb.DuckDBPyConnection, cuts: dict[str, datetime]) -> list[tuple[str, str, datetime]]:
    return _asked(con, cuts, """
        SELECT system_id, feed, max(fetched_at) FROM events.polls JOIN cuts USING (system_id)
        WHERE fetched_at >= cuts.at AND outcome <> 'out_of_order' GROUP BY ALL ORDER BY ALL""")  # fmt: skip


def _figures(con: duckdb.DuckDBPyConnection, cuts: dict[str, datetime]) -> dict[str, int]:
    """What the tables say of these systems from their cuts on."""
    [(polls, accepted, rejected, events)] = _asked(con, cuts, """
        SELECT count(*), coalesce(sum(rows_accepted), 0)::BIGINT, coalesce(sum(rows_rejected), 0)::BIGINT,
               coalesce(sum(events), 0)::BIGINT
        FROM events.polls JOIN cuts USING (system_id) WHERE fetched_at >= cuts.at""")  # fmt: skip
    return {"polls": polls, "rows_accepted": accepted, "rows_rejected": rejected, "events": events}


def _asked(con: duckdb.DuckDBPyConnection, cuts: dict[str, datetime], query: str) -> list[Any]:
    table = pa.table({"system_id": list(cuts), "at": pa.array(cuts.values(), pa.timestamp("us", "UTC"))})
    con.register("cuts", table)
    try:
        return con.execute(query).fetchall()
    finally:
        con.unregister("cuts")


def plan(
    con: duckdb.DuckDBPyConnection, cuts: dict[str, datetime], open_writer: OpenWriter, partitions: int
) -> Replacement:
    """What takes these systems back to their cuts; the tables hold all that the topics do."""
    memories: dict[str, Memories] = {}
    stations: list[StationInformation] = []
    systems: list[SystemInformation] = []
    then = past(con, cuts)
    for partition, system_ids in _by_partition(cuts, partitions).items():
        with _opened(open_writer(partition)) as writer:
            memories |= dict.fromkeys(system_ids, writer.memories)
            differ = differing(writer.memories, then.of(system_ids))
            stations += differ[0]
            systems += differ[1]
    return Replacement(cuts, with_what_no_table_tells(then, memories), stations, systems)


def note(settings: Settings, planned: Replacement, ends: Floors) -> None:
    """Note it for whoever has to finish it; first that the tables hold, or held, what the topics do up to `ends`."""
    raise_floors(settings.lake, ends)
    write_whole(settings.replacement, msgspec.json.encode(planned))


def _by_partition(cuts: dict[str, datetime], partitions: int) -> dict[int, set[str]]:
    found: defaultdict[int, set[str]] = defaultdict(set)
    for system_id in cuts:
        found[partition_of(system_id, partitions)].add(system_id)
    return found


@contextmanager
def _opened(writer: Rewinding) -> Iterator[Rewinding]:
    writer.open()
    try:
        yield writer
    finally:
        writer.close()


def _said(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
