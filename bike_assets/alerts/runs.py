"""Runs that failed and checks that did not hold; each is over when the same was done again and went well.

What is of days is over when each of these days went well, by one run or by many, or when a run without days did. What
goes wrong of days that an open incident is of as well is part of that incident.

A run that failed to build assets is over, too, once each of them has been built since, whatever runs did it, and each
blocking check that it failed by, or did not come to, has held. What the definitions have no more is not waited for.

Runs are taken in the order in which they ended. What one did counts by when it did it: it may have done it before what
another one failed to do.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta

import msgspec

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import Severity, Trouble
from bike_assets.sources.redaction import Secrets, redact_text

CAUSE_CHARS = 300
RETRIED_WITHIN = timedelta(minutes=5)
"""Dagster starts a run again within seconds, or never."""

OfDays = Mapping[str, AbstractSet[date]]
"""What there is of what: days, or none where it is of no days."""

Moments = Mapping[date | None, datetime]
"""When each day was done; None stands for all days, and for what is of none."""

_OWN = re.compile(r"^(?:bike_assets\.[\w.]+|dagster\.[\w.]*Failure|Exception|\w+\.\w[\w.]*): ")
"""What Dagster puts before an error's words: where its class stands."""


class Days(msgspec.Struct, frozen=True):
    """The days that a run was of, both included."""

    first: date
    last: date

    @property
    def each(self) -> set[date]:
        return {self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)}


class Checked(msgspec.Struct, frozen=True):
    """What a check said in a run."""

    asset: str
    name: str
    passed: bool
    severity: Severity
    is_blocking: bool
    at: datetime

    @property
    def what(self) -> str:
        return f"{self.asset}:{self.name}"

    @property
    def blocks(self) -> bool:
        """Whether the run failed by it."""
        return not self.passed and self.is_blocking and self.severity is Severity.ERROR


class Ended(msgspec.Struct, frozen=True):
    """A run that has ended. `what` is its job, or what it materialised where it was of none.

    It is of no days too where these move by themselves, from each look to the next: all of its looks are at the same.
    `is_whole`: whether it did all of its job, not a part that somebody chose. `built`: the assets that it built, and
    when. `unbuilt`: those that it was to and did not, with their days; without one where an asset is of none.
    `unchecked`: the blocking checks that it was to make and did not, as `Checked.what` names them.
    """

    run_id: str
    what: str
    days: Days | None
    ended_at: datetime
    succeeded: bool
    will_retry: bool = False
    cause: str = ""
    checks: Sequence[Checked] = ()
    is_whole: bool = True
    built: Mapping[str, Moments] = {}
    unbuilt: OfDays = {}
    unchecked: Sequence[str] = ()

    @property
    def path(self) -> str:
        return f"/runs/{self.run_id}"

    @property
    def undone(self) -> OfDays:
        """What it was to do and did not do well."""
        failed = [*(check.what for check in self.checks if check.blocks), *self.unchecked]
        return {**self.unbuilt, **dict.fromkeys(failed, _each(self.days))}


def take(desk: Desk, run: Ended) -> None:
    """What the end of a run begins and ends."""
    if run.succeeded:
        _over_run(desk, run)
    _see_done(desk, run)
    _take_failure(desk, run)
    for check in run.checks:
        _take_check(desk, run, check)


def _take_failure(desk: Desk, run: Ended) -> None:
    if run.succeeded:
        return
    if run.will_retry:
        desk.hope(run.run_id, run.ended_at, run.undone)
    else:
        _tell_failure(desk, run, run.undone)


def _tell_failure(desk: Desk, run: Ended, undone: OfDays) -> None:
    says = f"{run.what}{_of(run.days)} failed: {run.cause or 'no reason was given'}"
    key = _begin(desk, "run", run.what, run, says, run.ended_at)
    if key in desk.keys:
        left = desk.undone(key)
        desk.leave_undone(key, left | {what: left.get(what, set()) | days for what, days in undone.items()})


def look_again(desk: Desk, retried: Callable[[str], Ended | None], now: datetime) -> None:
    """What became of the runs that were to be tried again: told where nothing did, and nobody did their work meanwhile.

    `retried` gives the run as it is now; None where it was started again, whose end is then looked at, or deleted.
    """
    for run_id, ended_at in desk.hoped.items():
        run = retried(run_id)
        if run is not None and run.will_retry and now - ended_at <= RETRIED_WITHIN:
            continue
        # Nothing is noted by an older version of this.
        left = desk.undone(run_id) or (run.undone if run else {})
        desk.give_up(run_id)
        if run is not None:
            _tell_failure(desk, run, left)


def forget_gone(desk: Desk, is_defined: Callable[[str], bool]) -> None:
    """End what waits for assets and checks that are no more, and so cannot be done again."""
    for key in desk.keys:
        kind, _, what = key.partition("@")[0].partition("/")
        gone = [each for each in (desk.undone(key) if kind == "run" else [what]) if not is_defined(each)]
        says = f"The definitions have {' and '.join(sorted(gone))} no more: nothing is left to be done."
        if gone and kind == "run":
            _end_done(desk, key, dict.fromkeys(gone, frozenset[date]()), says)
        elif gone:
            desk.end(key, says)


def _take_check(desk: Desk, run: Ended, check: Checked) -> None:
    if check.passed:
        _over_check(desk, check, run.days)
    elif run.succeeded or not check.blocks:
        # Else the run failed by it, and that is told already.
        says = f"{check.name} does not hold of {check.asset}{_of(run.days)}."
        _begin(desk, "check", check.what, run, says, check.at, check.severity)


def _begin(
    desk: Desk, kind: str, what: str, run: Ended, says: str, failed_at: datetime, severity: Severity = Severity.ERROR
) -> str:
    """The key of the incident, open now if it was not: unless it was told, and is over, already."""
    days = _each(run.days)
    same = (key for key in _open(desk, kind, what) if days & desk.days_left(key))
    key = next(same, _key(kind, what, run.days))
    desk.begin(Trouble(key, says, run.ended_at, severity, run.path))
    if key not in desk.keys:
        return key
    desk.note_failure(key, failed_at)
    if days:
        desk.leave(key, days | desk.days_left(key))
    return key


def _over_check(desk: Desk, check: Checked, days: Days | None) -> None:
    """End what is open of the same check, but for days of which it has not held yet."""
    for key in _open(desk, "check", check.what):
        if check.at >= desk.failed_at(key):
            _end_days(desk, key, days, f"{check.name} holds of {check.asset} again.")


def _over_run(desk: Desk, run: Ended) -> None:
    """End what is open of the same job, but for days that have not gone well yet. A part of a job is no proof of it."""
    says = f"{run.what}{_of(run.days)} succeeded."
    for key in _open(desk, "run", run.what):
        if not desk.undone(key):
            _end_days(desk, key, run.days, says)
        elif run.is_whole:
            _end_done(desk, key, _done_by_job(run, desk.undone(key), desk.failed_at(key)), says)
            left, undone = desk.days_left(key), desk.undone(key)
            if undone:
                desk.leave(key, left - _each(run.days) | left & set[date]().union(*undone.values()))


def _done_by_job(run: Ended, undone: OfDays, since: datetime) -> OfDays:
    """What a job that went well did of this since then: all, but for what it did earlier."""
    began = {what: min(moments.values()) for what, moments in run.built.items()}
    began |= {check.what: check.at for check in run.checks}
    return {what: _each(run.days) for what in undone if began.get(what, run.ended_at) >= since}


def _see_done(desk: Desk, run: Ended) -> None:
    """End the runs of which nothing is left to be done: what this one built and checked well is."""
    for key in [*desk.keys, *desk.hoped]:
        if desk.undone(key):
            what = key.removeprefix("run/").replace("@", " of ").replace("..", " to ")
            says = f"What {what} failed to do has been done: the last of it by {run.what}."
            _end_done(desk, key, _done_since(run, desk.failed_at(key)), says)


def _done_since(run: Ended, since: datetime) -> OfDays:
    """What a run built and checked well since then."""
    done: dict[str, AbstractSet[date]] = {}
    blocked = {check.asset for check in run.checks if check.blocks}
    for what in run.built.keys() - blocked:
        days = {day for day, at in run.built[what].items() if at >= since}
        if days:
            done[what] = {day for day in days if day is not None} if None not in days else set()
    return done | {check.what: _each(run.days) for check in run.checks if check.at >= since and not check.blocks}


def _end_days(desk: Desk, key: str, days: Days | None, says: str) -> None:
    before = desk.days_left(key)
    left = before - _each(days) if days else set()
    if left:
        desk.leave(key, left)
    elif before or not days:
        desk.end(key, says)


def _end_done(desk: Desk, key: str, done: OfDays, says: str) -> None:
    """Take off what was done; what was done without days, or is of none, as a whole."""
    left = {}
    for what, days in desk.undone(key).items():
        if what not in done:
            left[what] = days
        elif done[what] and days - done[what]:
            left[what] = days - done[what]
    if left:
        desk.leave_undone(key, left)
    else:
        desk.end(key, says)


def _open(desk: Desk, kind: str, what: str) -> list[str]:
    return [key for key in desk.keys if key.partition("@")[0] == f"{kind}/{what}"]


def _key(kind: str, what: str, days: Days | None) -> str:
    if days is None:
        return f"{kind}/{what}"
    last = "" if days.last == days.first else f"..{days.last}"
    return f"{kind}/{what}@{days.first}{last}"


def _each(days: Days | None) -> set[date]:
    return days.each if days else set()


def _of(days: Days | None) -> str:
    if days is None:
        return ""
    return f" of {days.first}" if days.first == days.last else f" of {days.first} to {days.last}"


def one_line(message: str, secrets: Secrets) -> str:
    """An error's words in one line, without what must not be told."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    line = _OWN.sub("", lines[0]) if lines else ""
    return redact_text(secrets.out_of(line))[:CAUSE_CHARS]
