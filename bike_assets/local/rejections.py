"""`bike rejections`: what was refused, and bringing it back from the answers that `raw/` keeps."""

import heapq
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from bike_assets import services
from bike_assets.ingest.raw import kept_files
from bike_assets.ingest.recordings import read_recording
from bike_assets.ingest.routing import parts
from bike_assets.lake import rejections
from bike_assets.lake.duck import broken_table, connect
from bike_assets.local.replacing import Choose, Chosen, Key, Rest, replace
from bike_assets.local.work import replayed_profiles
from bike_assets.model.answers import ALL_CONTRACTS, JCDECAUX_PREFIX, Answer
from bike_assets.model.errors import NotReplaced, SomethingMissing, WrongSettings
from bike_assets.settings import Settings
from bike_assets.sources.reading import feed_name


def list_rejections(
    settings: Settings, system_id: str | None, feed: str | None, since: str | None
) -> list[dict[str, Any]]:
    """Refused rows by system, feed and reason. Raises WrongSettings for what is no time, LakeBroken."""
    at = None if since is None else instant_of(since)
    with connect(settings.lake, rejections.TABLES) as con:
        return _asked(settings, lambda: rejections.by_reason(con, system_id, feed, at))


def show_rejections(
    settings: Settings, system_id: str, feed: str | None, since: str | None, limit: int
) -> list[dict[str, Any]]:
    """The newest refused rows of a system.

    Raises WrongSettings for what is no time, SomethingMissing for a system that was never asked, LakeBroken.
    """
    at = None if since is None else instant_of(since)
    with connect(settings.lake, rejections.TABLES) as con:
        found = _asked(settings, lambda: rejections.newest(con, limit, system_id, feed, at))
        if not found and not _asked(settings, lambda: rejections.was_asked(con, system_id)):
            asked = "SELECT DISTINCT system_id FROM events.polls"
            raise SomethingMissing(f'{system_id} was never asked: `bike sql "{asked}"` names the systems that were.')
    return found


def restore(
    settings: Settings, system_id: str, feed: str | None, since: str, others: Iterable[Path], console: Console
) -> dict[str, Any]:
    """Replay what `raw/` keeps of a system, from the first poll on of which something was refused since then.

    All its feeds are replayed, for one tells how to read another; `feed` says whose refusals are looked for. `others`
    are the `raw/` of further homes, whose pollers had the system too.

    Raises SomethingMissing where nothing was refused or nothing is kept, NotReplaced where `raw/` does not hold all
    polls since, and what `replace` raises.
    """
    at = instant_of(since)
    raws = raws_of(settings, others)
    if not any(kept_files(raw, at) for raw in raws):
        said = f"There is no answer in {_named(raws)} since {_said(at)}: the poller keeps them there."
        raise SomethingMissing(said)
    options = [*(["--feed", feed] if feed else []), *(word for raw in raws[1:] for word in ("--raw", str(raw)))]
    again = shlex.join(["bike", "rejections", "restore", system_id, "--from", since, *options])
    choose = chooser(settings, raws, system_id, feed, at)
    return replace(settings, choose, again, replayed_profiles(settings, None), console)


def raws_of(settings: Settings, others: Iterable[Path]) -> list[Path]:
    """The `raw/` of this home, then those of the others. Raises SomethingMissing for one that is no directory."""
    found = list(dict.fromkeys(path.resolve() for path in [settings.raw, *others]))
    for path in found[1:]:
        if not path.is_dir():
            raise SomethingMissing(f"{path} is no directory: give the raw/ of a poller's home.")
    return found


def chooser(settings: Settings, raws: Sequence[Path], system_id: str, feed: str | None, at: datetime) -> Choose:
    """Which answers bring back what was refused of a system since then, and what an earlier try took out already."""

    def choose(con: duckdb.DuckDBPyConnection, left: Rest | None) -> Chosen:
        if left is not None and not left.polls:
            services.refuse_half_replaced(settings)  # recordings were to come, and tell more than `raw/` may
        cut = left.cuts.get(system_id) if left else None
        first = min(filter(None, [rejections.first_rejected(con, system_id, feed, at), cut]), default=None)
        if first is None:
            raise SomethingMissing(
                f"Nothing of {system_id}{f' and its {feed}' if feed else ''} was rejected since {_said(at)}; "
                "`bike rejections list` shows what was."
            )
        polls = _polls_since(con, system_id, first) | set(left.polls if left and cut else [])
        refuse_gaps(raws, system_id, first, polls)
        return Chosen(lambda: kept_answers(raws, system_id, first, polls), polls)

    return choose


def kept_answers(raws: Iterable[Path], system_id: str, since: datetime, polls: set[Key]) -> Iterator[Answer]:
    """What these `raw/` keep of a system from then on, in the order of time.

    A system goes from poller to poller, and back: an hour's files are read side by side. Each has the system's answers
    in their order.
    """
    hours: defaultdict[str, list[Path]] = defaultdict(list)
    for file in chain.from_iterable(kept_files(raw, since) for raw in raws):
        hours[f"{file.parent.name}/{file.name[:2]}"].append(file)
    for _, files in sorted(hours.items()):
        each = (_kept_in(file, system_id, since, polls) for file in files)
        yield from heapq.merge(*each, key=lambda answer: answer.fetched_at)


def _kept_in(file: Path, system_id: str, since: datetime, polls: set[Key]) -> Iterator[Answer]:
    """What one file keeps of a system.

    Of an answer with all contracts it is the system's own part, where a poll of it came of that answer: another
    system may be asked by these answers while this one has an address of its own.
    """
    may_be_shared = system_id == ALL_CONTRACTS or system_id.startswith(JCDECAUX_PREFIX)
    for answer in read_recording(file):
        if answer.fetched_at < since:
            continue
        if answer.system_id == system_id != ALL_CONTRACTS:
            yield answer
        elif answer.system_id == ALL_CONTRACTS and may_be_shared and _key(answer) in polls:
            yield from (each for each in parts(answer, lambda: {system_id}) if each.system_id == system_id)


def refuse_gaps(raws: Sequence[Path], system_id: str, since: datetime, polls: set[Key]) -> None:
    """Raise NotReplaced where these `raw/` do not hold every poll of the system since then: some would be lost."""
    kept = {_key(answer) for answer in kept_answers(raws, system_id, since, polls)}
    missing = sorted(at for _, at in polls - kept)
    if not missing:
        return
    others = "Where another home's poller had the system meanwhile, give its raw/ too, by --raw."
    if not kept or missing[0] < min(at for _, at in kept):
        began = min((at for _, at in kept), default=None)
        holds = f"answers of {system_id} since {_said(began)} only" if began else f"no answer of {system_id}"
        raise NotReplaced(
            f"{_named(raws)} holds {holds}, and the first poll to restore was at {_said(missing[0])}. {others}"
        )
    raise NotReplaced(
        f"{_named(raws)} lacks {len(missing)} of the {len(polls)} polls of {system_id} since {_said(since)}, the last "
        f"of them at {_said(missing[-1])}: restore from after it, or give raw's files to `bike replay --replace`, "
        f"which leaves out what they lack. {others}"
    )


def _named(raws: Iterable[Path]) -> str:
    return " with ".join(map(str, raws))


def instant_of(text: str) -> datetime:
    """A time as a person writes it, UTC where it has no offset. Raises WrongSettings."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise WrongSettings(f"{text} is no time: give a day or a time of UTC, as 2026-11-20T10:30.") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _polls_since(con: duckdb.DuckDBPyConnection, system_id: str, since: datetime) -> set[Key]:
    found = con.execute(
        "SELECT feed, fetched_at FROM events.polls "
        "WHERE system_id = ? AND fetched_at >= ? AND utc_date >= ? AND outcome <> 'out_of_order'",
        [system_id, since, since.date()],
    ).fetchall()
    return {(feed, at.astimezone(UTC)) for feed, at in found}


def _key(answer: Answer) -> Key:
    return feed_name(answer.feed), answer.fetched_at


def _asked(settings: Settings, ask: Any) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = ask()
    except duckdb.Error as err:
        raise broken_table(settings.lake, err) or err from None
    return found


def _said(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
