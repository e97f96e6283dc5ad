"""Runs that failed and checks that did not hold; each is over when the same was done again and went well."""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import msgspec

from bike_assets.alerts.desk import Desk
from bike_assets.alerts.incidents import Severity, Trouble
from bike_assets.sources.redaction import Secrets, redact_text

CAUSE_CHARS = 300
RETRIED_WITHIN = timedelta(minutes=5)
"""Dagster starts a run again within seconds, or never."""

_OWN = re.compile(r"^(?:bike_assets\.[\w.]+|dagster\.[\w.]*Failure|Exception|\w+\.\w[\w.]*): ")
"""What Dagster puts before an error's words: where its class stands."""


class Days(msgspec.Struct, frozen=True):
    """The days that a run was of, both included."""

    first: date
    last: date


class Checked(msgspec.Struct, frozen=True):
    """What a check said in a run."""

    asset: str
    name: str
    passed: bool
    severity: Severity
    is_blocking: bool


class Ended(msgspec.Struct, frozen=True):
    """A run that has ended. `what` is its job, or what it materialised where it was of none."""

    run_id: str
    what: str
    days: Days | None
    ended_at: datetime
    succeeded: bool
    will_retry: bool = False
    cause: str = ""
    checks: Sequence[Checked] = ()

    @property
    def path(self) -> str:
        return f"/runs/{self.run_id}"


def take(desk: Desk, run: Ended) -> None:
    """What the end of a run begins and ends."""
    if run.succeeded:
        _over(desk, "run", run.what, run.days, f"{run.what}{_of(run.days)} succeeded.")
    elif run.will_retry:
        desk.hoped[run.run_id] = run.ended_at
    else:
        says = f"{run.what}{_of(run.days)} failed: {run.cause or 'no reason was given'}"
        desk.begin(Trouble(_key("run", run.what, run.days), says, run.ended_at, path=run.path))
    for check in run.checks:
        _take_check(desk, run, check)


def look_again(desk: Desk, retried: Callable[[str], Ended | None], now: datetime) -> None:
    """What became of the runs that were to be tried again: told where nothing did.

    `retried` gives the run as it is now; None where it was started again, whose end is then looked at, or deleted.
    """
    for run_id, ended_at in list(desk.hoped.items()):
        run = retried(run_id)
        if run is None:
            del desk.hoped[run_id]
        elif not run.will_retry or now - ended_at > RETRIED_WITHIN:
            del desk.hoped[run_id]
            take(desk, msgspec.structs.replace(run, will_retry=False, checks=()))


def _take_check(desk: Desk, run: Ended, check: Checked) -> None:
    what = f"{check.asset}:{check.name}"
    if check.passed:
        _over(desk, "check", what, run.days, f"{check.name} holds of {check.asset} again.")
    elif not (check.is_blocking and check.severity is Severity.ERROR and not run.succeeded):
        # Else the run failed by it, and that is told already.
        says = f"{check.name} does not hold of {check.asset}{_of(run.days)}."
        trouble = Trouble(_key("check", what, run.days), says, run.ended_at, check.severity, run.path)
        desk.begin(trouble)


def _over(desk: Desk, kind: str, what: str, days: Days | None, says: str) -> None:
    """End what is open of the same for days that all lie within `days`."""
    for key in desk.keys:
        name, _, theirs = key.partition("@")
        if name == f"{kind}/{what}" and _covers(days, _days(theirs)):
            desk.end(key, says)


def _days(text: str) -> Days | None:
    first, _, last = text.partition("..")
    return Days(date.fromisoformat(first), date.fromisoformat(last or first)) if first else None


def _covers(days: Days | None, theirs: Days | None) -> bool:
    if days is None or theirs is None:
        return days is None and theirs is None
    return days.first <= theirs.first and theirs.last <= days.last


def _key(kind: str, what: str, days: Days | None) -> str:
    if days is None:
        return f"{kind}/{what}"
    last = "" if days.last == days.first else f"..{days.last}"
    return f"{kind}/{what}@{days.first}{last}"


def _of(days: Days | None) -> str:
    if days is None:
        return ""
    return f" of {days.first}" if days.first == days.last else f" of {days.first} to {days.last}"


def one_line(message: str, secrets: Secrets) -> str:
    """An error's words in one line, without what must not be told."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    line = _OWN.sub("", lines[0]) if lines else ""
    return redact_text(secrets.out_of(line))[:CAUSE_CHARS]
