"""A watcher's desk: its book, open for one look, and the channels that its alerts go to."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path

from bike_assets.alerts.incidents import Channel, Trouble, read_book, send_waiting, write_book


class Desk:
    """Takes down what begins and what is over; `close` writes it, then sends what waits."""

    def __init__(self, path: Path, channels: Mapping[str, Channel], now: datetime) -> None:
        self._path = path
        self._channels = channels
        self._now = now
        self._book = read_book(path)
        self._suspected, self._book.suspected = self._book.suspected, []
        self._news: list[str] = []
        self._failed: dict[str, str] = {}

    @property
    def open(self) -> list[Trouble]:
        """What is wrong, as far as is known."""
        return list(self._book.open.values())

    @property
    def keys(self) -> list[str]:
        return list(self._book.open)

    @property
    def hoped(self) -> dict[str, datetime]:
        """What failed, and when, and is to be tried again by itself; no incident yet."""
        return dict(self._book.hoped)

    def hope(self, key: str, failed_at: datetime, undone: Mapping[str, Iterable[date]]) -> None:
        """Note what failed and is to be tried again by itself, and what of it is still to be done well."""
        self._book.hoped[key] = failed_at
        self.leave_undone(key, undone)

    def give_up(self, key: str) -> None:
        """Hope no more: it was tried again, or never will be."""
        self._book.forget(key)

    def failed_at(self, key: str) -> datetime:
        """When what an incident is of went wrong last, or what is hoped for: only what was done since is done."""
        noted = self._book.failed_at.get(key) or self._book.hoped.get(key)
        return noted or self._book.open[key].since

    def note_failure(self, key: str, at: datetime) -> None:
        """Note that what an incident is of went wrong, once more perhaps."""
        self._book.failed_at[key] = max(at, self._book.failed_at.get(key, at))

    def days_left(self, key: str) -> set[date]:
        """The days of an incident that have not gone well since; none of one that is of no days."""
        return set(self._book.days_left.get(key, ()))

    def leave(self, key: str, days: Iterable[date]) -> None:
        """Note that these days of an incident are still to go well."""
        self._book.days_left[key] = sorted(days)

    def undone(self, key: str) -> dict[str, set[date]]:
        """What of an incident has not been done well since, with its days; without one where it is of none."""
        return {what: set(days) for what, days in self._book.undone.get(key, {}).items()}

    def leave_undone(self, key: str, undone: Mapping[str, Iterable[date]]) -> None:
        """Note what of an incident is still to be done well."""
        self._book.undone[key] = {what: sorted(days) for what, days in undone.items()}

    def suspect(self, key: str) -> bool:
        """Note what looks wrong at this look, and whether it did at the one before: a single look may be by chance."""
        self._book.suspected.append(key)
        return key in self._suspected

    def begin(self, trouble: Trouble) -> None:
        """Something is wrong; told only where it was not."""
        if self._book.begin(trouble, self._now, self._channels):
            self._news.append(trouble.says)

    def end(self, key: str, says: str) -> None:
        """An incident is over, or what was hoped for was done; nothing is told where there was no incident."""
        if self._book.end(key, says, self._now, self._channels):
            self._news.append(says)

    def end_where(self, is_over: Callable[[str], bool], says: str) -> None:
        """Each incident is over whose key is such."""
        for key in self.keys:
            if is_over(key):
                self.end(key, says)

    def close(self) -> None:
        """Write the book, then send. What a channel does not take is sent at the next look."""
        write_book(self._path, self._book)
        self._failed = send_waiting(
            self._book, self._channels, lambda name, alert: self._channels[name](alert),
            lambda: write_book(self._path, self._book),
        )  # fmt: skip

    def says(self, otherwise: str) -> str:
        """In one line what is new, and what is wrong still; `otherwise` where nothing is."""
        still = [each.says for each in self.open if each.says not in self._news]
        waiting = [f"Alerts wait: {why}." for why in self._failed.values()]
        return " ".join([*self._news, *still, *waiting]) or otherwise
