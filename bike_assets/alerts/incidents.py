"""The book of incidents: what is wrong now, and which alerts are still to be sent.

A watcher has a book of its own, a file: it is written whole or not at all, before anything is sent and after
each alert that was. A crash in between sends one alert twice and loses none.
"""

import time
from collections.abc import Callable, Iterable
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog

from bike_assets.files import write_whole
from bike_assets.model.errors import NotSent

log = structlog.get_logger()

LOOK_S = 15.0
"""Dagster gives a tick up after a minute, and then begins the next one beside it."""

REMEMBERED = 1_000
"""How many incidents that are over a book still knows, so that the same one is not told again."""


class Severity(StrEnum):
    """A warning is told too, but need not wake anybody."""

    WARNING = "warning"
    ERROR = "error"


class Trouble(msgspec.Struct, frozen=True):
    """Something that is wrong. By `key` it is known again as long as it lasts, by `since` from one before it."""

    key: str
    says: str
    since: datetime
    severity: Severity = Severity.ERROR
    path: str = ""
    """Where Dagster's UI shows it."""


class Event(StrEnum):
    """What an alert tells of an incident."""

    OPEN = "open"
    OVER = "over"


class Alert(msgspec.Struct):
    """What is sent: once when an incident begins, once when it is over. `to` are the channels that lack it."""

    event: Event
    trouble: Trouble
    says: str
    at: datetime
    to: list[str]

    @property
    def id(self) -> str:
        """The same for both alerts of an incident, and for one that is sent again."""
        return f"{self.trouble.key}@{self.trouble.since.isoformat()}"


Channel = Callable[[Alert], None]
"""Takes an alert, or raises NotSent."""


class Book(msgspec.Struct):
    """A watcher's incidents. `told`: since when each was that was ever opened, the newest last.

    `hoped`: what failed, and when, but is to be tried again without anybody's help. `suspected`: what looked wrong
    at the last look, and becomes an incident if it does at the next. `failing`: the channels that took nothing when
    they were last tried. `days_left`: of an incident of days those that have not gone well since. `undone`: of one of
    a run the assets and blocking checks, with their days, that have not been done well since, by whatever run; of what
    is hoped for, too. `failed_at`: when what an incident is of went wrong last.
    """

    open: dict[str, Trouble] = {}
    waiting: list[Alert] = []
    told: dict[str, datetime] = {}
    hoped: dict[str, datetime] = {}
    suspected: list[str] = []
    failing: list[str] = []
    days_left: dict[str, list[date]] = {}
    undone: dict[str, dict[str, list[date]]] = {}
    failed_at: dict[str, datetime] = {}

    def begin(self, trouble: Trouble, now: datetime, channels: Iterable[str]) -> bool:
        """Open an incident, and whether it is new: not open already, nor told and over."""
        told = self.told.pop(trouble.key, None)
        self.told[trouble.key] = trouble.since
        if trouble.key in self.open or told == trouble.since:
            # What goes wrong once more while an incident is open is part of it, and not told after it either.
            return False
        self.open[trouble.key] = trouble
        while len(self.told) > REMEMBERED:
            self.told.pop(next(iter(self.told)))
        self._tell(Event.OPEN, trouble, trouble.says, now, channels)
        return True

    def end(self, key: str, says: str, now: datetime, channels: Iterable[str]) -> bool:
        """Close an incident, and whether there was one."""
        trouble = self.open.pop(key, None)
        self.forget(key)
        if trouble is None:
            return False
        self._tell(Event.OVER, trouble, says, now, channels)
        return True

    def forget(self, key: str) -> None:
        """Nothing is waited for any more of what is over, nor of what was hoped for."""
        for each in (self.hoped, self.days_left, self.undone, self.failed_at):
            each.pop(key, None)

    def _tell(self, event: Event, trouble: Trouble, says: str, now: datetime, channels: Iterable[str]) -> None:
        to = list(channels)
        if to:
            self.waiting.append(Alert(event, trouble, says, now, to))


def read_book(path: Path) -> Book:
    """The book as it was last written; an empty one where there is none, or where it is no book any more."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Book)
    except FileNotFoundError:
        return Book()
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A watcher that stood still over its book would tell of nothing; what is told twice does less harm.
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        log.warning("a book of incidents cannot be read and was put aside", file=str(aside))
        return Book()


def write_book(path: Path, book: Book) -> None:
    write_whole(path, msgspec.json.encode(book))


def send_waiting(
    book: Book, channels: Iterable[str], send: Callable[[str, Alert], None], save: Callable[[], None]
) -> dict[str, str]:
    """Send what waits, each channel's alerts in order; why a channel took none, by its name.

    A channel that took none at the last look comes last: it may be one that lets us wait, and the others need not.
    `send` raises NotSent; `save` is called after each alert that was taken. What a channel that is set no more
    lacks is forgotten. What is not sent within LOOK_S is left for the next look.
    """
    names = list(channels)
    if _forget_others(book, names):
        save()
    failed: dict[str, str] = {}
    ends = time.monotonic() + LOOK_S
    for name in sorted(names, key=lambda each: each in book.failing):
        for alert in [each for each in book.waiting if name in each.to]:
            if time.monotonic() > ends:
                break
            try:
                send(name, alert)
            except NotSent as err:
                failed[name] = str(err)
                break
            alert.to.remove(name)
            if not alert.to:
                book.waiting.remove(alert)
            if name in book.failing:
                book.failing.remove(name)
            save()
    if not failed.keys() <= set(book.failing):
        book.failing = sorted({*book.failing, *failed})
        save()
    return failed


def _forget_others(book: Book, names: list[str]) -> bool:
    """Forget what other channels lack, and whether there was any."""
    known = {*book.failing, *(each for alert in book.waiting for each in alert.to)}
    for alert in book.waiting:
        alert.to = [each for each in alert.to if each in names]
    book.waiting = [alert for alert in book.waiting if alert.to]
    book.failing = [each for each in book.failing if each in names]
    return not known <= set(names)
