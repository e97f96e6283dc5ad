"""A watcher's desk: its book, open for one look, and the channels that its alerts go to."""

from collections.abc import Callable, Mapping
from datetime import datetime
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
        return self._book.hoped

    def suspect(self, key: str) -> bool:
        """Note what looks wrong at this look, and whether it did at the one before: a single look may be by chance."""
        self._book.suspected.append(key)
        return key in self._suspected

    def begin(self, trouble: Trouble) -> None:
        """Something is wrong; told only where it was not."""
        if self._book.begin(trouble, self._now, self._channels):
            self._news.append(trouble.says)

    def end(self, key: str, says: str) -> None:
        """An incident is over; nothing is told where there was none."""
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
