"""A stand-in for Kafka: messages that a test puts in, kept from the first on as a topic keeps them."""

import threading
from datetime import UTC, datetime

from bike_assets.dashboard.feed import Written
from bike_assets.dashboard.live import Message
from bike_assets.model.errors import BrokerUnavailable


class MemoryFeed:
    """A Feed without a broker, read in pieces of `at_once`.

    `break_down` and `mend` are the broker's going and coming.
    """

    def __init__(self, *messages: Message, at_once: int = 1000) -> None:
        self._kept = [Written(message, datetime.now(UTC)) for message in messages]
        self._news = threading.Condition()
        self._at_once = at_once
        self._read_to = 0
        self._is_down = False
        self.opened = 0

    def put(self, *messages: Message) -> None:
        """Write messages; whoever reads gets them at once."""
        with self._news:
            self._kept += [Written(message, datetime.now(UTC)) for message in messages]
            self._news.notify_all()

    def break_down(self, *left: Message) -> None:
        """The broker goes; `left`, where given, is all that it holds when it comes back."""
        with self._news:
            self._is_down = True
            if left:
                self._kept = [Written(message, datetime.now(UTC)) for message in left]
            self._news.notify_all()

    def mend(self) -> None:
        """The broker comes back."""
        with self._news:
            self._is_down = False

    @property
    def is_caught_up(self) -> bool:
        """Whether all was read."""
        return self._read_to == len(self._kept)

    def open(self) -> None:
        """Stand before the first message."""
        self._refuse_where_down()
        self._read_to = 0
        self.opened += 1

    def read(self, timeout_s: float) -> list[Written]:
        """What came since the last read."""
        with self._news:
            self._news.wait_for(lambda: self._is_down or not self.is_caught_up, timeout_s)
            self._refuse_where_down()
            news = self._kept[self._read_to : self._read_to + self._at_once]
            self._read_to += len(news)
            return news

    def close(self) -> None:
        """Nothing is held."""

    def _refuse_where_down(self) -> None:
        if self._is_down:
            raise BrokerUnavailable("Kafka at nowhere does not answer: it was told not to.")
