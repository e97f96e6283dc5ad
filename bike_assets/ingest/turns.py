"""Whose turn it is to be asked, of those whose time has come."""

from collections import Counter
from collections.abc import Iterator

from bike_assets.ingest.asking import SourceAsker


class Turns:
    """Lets the source that waits longest begin, of those whose hosts have room.

    With one host so many are under way at once as `per_host` says, in all as many as there are `threads`. Those that
    were slow the last time have half of the threads among them at the most: so many hosts may hang until their
    deadline as there are, the others find a thread. Each source has one turn at a time. Used under the poller's lock.
    """

    def __init__(self, threads: int, per_host: int) -> None:
        self.threads = threads
        self._per_host = per_host
        self._of_slow = max(threads // 2, 1)
        self._waiting: dict[SourceAsker, float] = {}
        self._under_way: dict[SourceAsker, frozenset[str]] = {}
        self._by_host: Counter[str] = Counter()
        self._slow: set[SourceAsker] = set()

    @property
    def waiting(self) -> int:
        """How many could begin if there were room."""
        return len(self._waiting)

    def wait(self, asker: SourceAsker, due_at: float) -> None:
        """The source's time has come; one that waits already keeps its place."""
        self._waiting.setdefault(asker, due_at)

    def leave(self, asker: SourceAsker) -> None:
        """The source is asked no more; a turn that is under way goes on."""
        self._waiting.pop(asker, None)

    def begin(self) -> Iterator[tuple[SourceAsker, float]]:
        """Those that begin now, each with the time that it was due at; `end` must follow for each."""
        for asker, due_at in list(self._waiting.items()):
            if len(self._under_way) >= self.threads:
                return
            if self._has_room(asker):
                del self._waiting[asker]
                self._under_way[asker] = asker.hosts
                self._by_host.update(asker.hosts)
                if asker.is_slow:
                    self._slow.add(asker)
                yield asker, due_at

    def covers(self, asker: SourceAsker) -> bool:
        """Whether the turn that is under way was given for all the hosts that the source knows now."""
        return asker.hosts <= self._under_way[asker]

    def end(self, asker: SourceAsker) -> frozenset[str]:
        """Give the turn back; the hosts that it was for."""
        hosts = self._under_way.pop(asker)
        self._by_host.subtract(hosts)
        self._by_host += Counter()  # without the hosts that nobody is at
        self._slow.discard(asker)
        return hosts

    def _has_room(self, asker: SourceAsker) -> bool:
        if asker in self._under_way or (asker.is_slow and len(self._slow) >= self._of_slow):
            return False
        return all(self._by_host[host] < self._per_host for host in asker.hosts)
