"""What topics and tables hold of systems, from an instant on, replaced by what answers tell anew.

docs/decisions/0016 says why it goes in these steps. All are done under the locks of poller and stream:

1. The tables get all that the topics hold.
2. What is to be done is noted in one file: from then on it can be finished, whoever broke it off.
3. The rows from the instant on are taken out of the tables, and the compacted topics put back to what they were then.
   Now all is as if nobody had polled since, and another note takes the first one's place: what was there, of which
   nothing else tells any more, and the command that brings it again.
4. The answers are replayed and drained as any recording is. The second note goes.
"""

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

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
from bike_assets.ingest.replay import Replayed
from bike_assets.ingest.rewind import (
    Covered,
    Rewinding,
    covered,
    differing,
    put_back,
    with_what_no_table_tells,
    without_forgotten,
)
from bike_assets.ingest.sharing import sole_writer
from bike_assets.ingest.writer import PartitionWriter
from bike_assets.lake.duck import connect
from bike_assets.lake.past import past
from bike_assets.lake.replaced import take_out, take_out_descriptions
from bike_assets.local.parts import kafka, spark_home
from bike_assets.local.work import have_answers, replay_answers, replayed_profiles
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

NO_ANSWER = "There is no answer in what was given."
NAMED = 3
"""So many files are named where a command is told."""

Answers = Callable[[], Iterable[Answer]]
OpenWriter = Callable[[int], Rewinding]
Key = tuple[str, datetime]
"""A poll of a system: its feed and its instant."""


class Rest(Struct, frozen=True):
    """What is to be replayed still once the systems are taken back: nothing else tells of it any more.

    `again` is the command that does so, `lasts` the last poll of each system and feed that the tables held since the
    cuts, `before` what they said of them. `polls` are all of these, where each of them has to be brought again.
    """

    again: str
    cuts: dict[str, datetime]
    lasts: list[tuple[str, str, datetime]]
    before: dict[str, int]
    polls: list[Key] = []


class Replacement(Struct, frozen=True):
    """All that is needed to take systems back to their cuts: what they were then, and the descriptions among it that
    are known otherwise now, whose rows come again as messages.
    """

    cuts: dict[str, datetime]
    past: Past
    stations: list[StationInformation]
    systems: list[SystemInformation]
    rest: Rest


class Chosen(NamedTuple):
    """Answers that take the place of what the tables hold, and the polls that must be among them."""

    answers: Answers
    polls: Iterable[Key] = ()


Choose = Callable[[duckdb.DuckDBPyConnection, Rest | None], Chosen]
"""Asked once the tables hold all of the topics; beside them, what the tables held before this was broken off."""


@dataclass(frozen=True)
class Means:
    """What a replacement works with: the partitions' writers, the stream, a replay, the topics' ends.

    `compute_minutes` computes the live minutes anew in which these instants of systems lie.
    `refuse_others` raises where somebody else may have written meanwhile.
    """

    open_writer: OpenWriter
    partitions: int
    drain: Callable[[], None]
    compute_minutes: Callable[[Mapping[str, datetime]], None]
    replay: Callable[[Iterable[Answer]], Replayed]
    ends: Callable[[], Floors]
    refuse_others: Callable[[], None]


def replace_files(settings: Settings, files: list[Path], timezone: str | None, console: Console) -> dict[str, Any]:
    """Put what recordings tell in the place of what the tables hold of their systems since their first answers.

    What the arguments are wrong in is refused before anything is started.
    """
    if not have_answers(files):
        raise NotARecording(NO_ANSWER)
    profile_of = replayed_profiles(settings, timezone)
    chosen = Chosen(lambda: chain.from_iterable(map(read_recording, files)))
    return replace(settings, lambda *_: chosen, _replay_again(files, timezone), profile_of, console)


def _replay_again(files: list[Path], timezone: str | None) -> str:
    named = [str(file.resolve()) for file in files]
    more = f" ... ({len(named)} files)" if len(named) > NAMED else ""
    zone = ["--timezone", timezone] if timezone else []
    return shlex.join(["bike", "replay", "--replace", *zone, *named[:NAMED]]) + more


def replace(
    settings: Settings, choose: Choose, again: str, profile_of: Callable[[str], Profile], console: Console
) -> dict[str, Any]:
    """Replace; the counts of it, and of what was there before. `again` is the command that this is.

    Raises AlreadyRunning while a poller or a stream is at work, and what `replaced` raises.
    """
    servers = settings.bootstrap_servers
    with services.history_lock(settings), kafka(settings) as partitions, sole_writer(servers, partitions) as sole:

        def writer(partition: int) -> PartitionWriter:
            return PartitionWriter(servers, partition, profile_of)

        def replayed(answers: Iterable[Answer]) -> Replayed:
            return replay_answers(servers, partitions, profile_of, answers, "replaced", console)

        console.print("Spark starts; what the topics hold comes into the tables first.", highlight=False)
        with draining(services.stream_plan(settings, spark_home(settings))) as drain:
            means = Means(
                writer, partitions, drain, drain.compute_minutes, replayed, lambda: end_offsets(servers), sole.check
            )
            return replaced(settings, choose, again, means)


def replaced(settings: Settings, choose: Choose, again: str, means: Means) -> dict[str, Any]:
    """All steps, each of which may be the last that is done; the next replacement goes on from there.

    Raises NotReplaced where the answers do not tell all that the tables hold since the first of them, for what follows
    a poll hangs on it; HalfReplaced where another was broken off, whose systems these do not tell of from its cuts on;
    NotARecording where there is no answer.
    """
    finish(settings, means.open_writer, means.partitions)
    left = rest(settings)
    means.drain()
    with connect(settings.lake) as con:
        chosen = choose(con, left)
        found = covered(chosen.answers())
        if left is not None and not is_covered(left, found, chosen):
            services.refuse_half_replaced(settings)
        if not found:
            raise NotARecording(NO_ANSWER)
        lasts = _lasts(con, found, left)
        refuse_less(found, lasts)
        cuts = {system_id: each.first for system_id, each in found.items()}
        before = left.before if left and left.cuts == cuts else _figures(con, cuts)
        todo = Rest(again, cuts, lasts, before, sorted(chosen.polls))
        planned = plan(con, todo, means.open_writer, means.partitions)
    means.refuse_others()
    note(settings, planned, means.ends())
    finish(settings, means.open_writer, means.partitions)
    replayed = means.replay(chosen.answers())
    means.drain()
    # All of a cut's minute was taken out, what was polled in it before the cut too; no new row need lie in it.
    means.compute_minutes(cuts)
    settings.half_replayed.unlink()
    with connect(settings.lake) as con:
        after = _figures(con, cuts)
    return {
        **msgspec.to_builtins(replayed), "systems": sorted(cuts), "since": min(cuts.values()).isoformat(),
        "until": max(each.last for each in found.values()).isoformat(), "before": before, "after": after,
    }  # fmt: skip


def rest(settings: Settings) -> Rest | None:
    """What is to be replayed still, where a replacement was broken off after the systems were taken back."""
    if not settings.half_replayed.exists():
        return None
    return msgspec.json.decode(settings.half_replayed.read_bytes(), type=Rest)


def is_covered(left: Rest, found: dict[str, Covered], chosen: Chosen) -> bool:
    """Whether answers bring all again that is left of a replacement, but for what `refuse_less` finds missing."""
    begin = all(id_ in found and found[id_].first <= cut for id_, cut in left.cuts.items())
    return begin and set(left.polls) <= set(chosen.polls)


def finish(settings: Settings, open_writer: OpenWriter, partitions: int) -> None:
    """Do what is noted, if anything is: what was done of it before comes to the same. Then the rest is noted."""
    if not settings.replacement.exists():
        return
    noted = msgspec.json.decode(settings.replacement.read_bytes(), type=Replacement)
    forget_days(settings.lake, settings.closed_days, min(noted.cuts.values()).date())
    take_out(settings.lake, noted.cuts)
    take_out_descriptions(settings.lake, noted.stations, noted.systems)
    for partition, system_ids in _by_partition(noted.cuts, partitions).items():
        with _opened(open_writer(partition)) as writer:
            writer.commit(put_back(writer.memories, noted.past, system_ids))
    write_whole(settings.half_replayed, msgspec.json.encode(noted.rest))
    settings.replacement.unlink()


def refuse_less(found: dict[str, Covered], lasts: Iterable[tuple[str, str, datetime]]) -> None:
    """Raise NotReplaced where the tables hold something, since the first answer of a system, that no answer tells.

    That is what comes after the last of them, and feeds that are not among them.
    """
    for system_id, feed, last in lasts:
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


def _lasts(
    con: duckdb.DuckDBPyConnection, found: dict[str, Covered], left: Rest | None
) -> list[tuple[str, str, datetime]]:
    """The last poll of each system and feed since its first answer, in the tables or before they were taken back."""
    polls = [*_polls_since(con, {id_: each.first for id_, each in found.items()}), *(left.lasts if left else [])]
    lasts: dict[tuple[str, str], datetime] = {}
    for system_id, feed, at in polls:
        lasts[system_id, feed] = max(at, lasts.get((system_id, feed), at))
    return [(system_id, feed, at) for (system_id, feed), at in sorted(lasts.items())]


def _polls_since(con: duckdb.DuckDBPyConnection, cuts: dict[str, datetime]) -> list[tuple[str, str, datetime]]:
    return _asked(con, cuts, """
        SELECT system_id, feed, max(fetched_at) FROM events.polls JOIN cuts USING (system_id)
        WHERE fetched_at >= cuts.at AND outcome <> 'out_of_order' GROUP BY ALL""")  # fmt: skip


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


def plan(con: duckdb.DuckDBPyConnection, todo: Rest, open_writer: OpenWriter, partitions: int) -> Replacement:
    """What takes these systems back to their cuts; the tables hold all that the topics do."""
    cuts = todo.cuts
    memories: dict[str, Memories] = {}
    described: list[StationInformation] = []
    stations: list[StationInformation] = []
    systems: list[SystemInformation] = []
    then = past(con, cuts)
    for partition, system_ids in _by_partition(cuts, partitions).items():
        with _opened(open_writer(partition)) as writer:
            memories |= dict.fromkeys(system_ids, writer.memories)
            own = without_forgotten(then.of(system_ids), writer.memories)
            described += own.stations
            differ = differing(writer.memories, own)
            stations += differ[0]
            systems += differ[1]
    then = with_what_no_table_tells(msgspec.structs.replace(then, stations=described), memories)
    return Replacement(cuts, then, stations, systems, todo)


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
