"""Who is polled: the sources file as it stands, looked at again and again while the poller runs."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import structlog

from bike_assets.ingest.asking import SourceAsker
from bike_assets.ingest.profiles import Profile, profiles
from bike_assets.model.errors import WrongSettings
from bike_assets.sources.config import Source, load_sources

log = structlog.get_logger()


class _Mark(NamedTuple):
    """By which a change of a file is seen; ctime tells of one that may be read again."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Roster:
    """An asker a source, and what the file says of each system.

    A source that stays as it was keeps its asker, with all that this one learnt; one that is changed is asked by a
    new one, as after a restart. While the file is wrong all stays as it was, and `trouble` says what is wrong.
    """

    def __init__(self, path: Path, make: Callable[[Source], SourceAsker]) -> None:
        """Raises WrongSettings where the file is wrong: there is nothing yet to go on with."""
        self._path, self._make = path, make
        self._seen = self._taken = _mark(path)
        self._asker_of = {source: make(source) for source in load_sources(path)}
        self._profile_of = profiles(self._asker_of)
        self.trouble: str | None = None

    @property
    def askers(self) -> tuple[SourceAsker, ...]:
        return tuple(self._asker_of.values())

    def profile_of(self, system_id: str) -> Profile:
        """What the file says of a system."""
        return self._profile_of(system_id)

    def look(self) -> bool:
        """Whether there are other askers than before.

        A change is taken up once the file stood still from one look to the next: it may be half written.
        """
        before, self._seen = self._seen, _mark(self._path)
        if self._seen != before or self._seen == self._taken:
            return False
        self._taken = self._seen
        try:
            sources = load_sources(self._path)
            now = {source: self._asker_of.get(source) or self._make(source) for source in sources}
        except WrongSettings as err:
            self.trouble = str(err)
            log.error("the sources file is wrong: all is polled as before", reason=self.trouble)
            return False
        self.trouble = None
        old, self._asker_of, self._profile_of = self._asker_of, now, profiles(now)
        log.info("the sources file is taken up", **_changes(old, now))
        return old.keys() != now.keys()


def _mark(path: Path) -> _Mark | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _Mark(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _changes(before: Iterable[Source], now: Iterable[Source]) -> dict[str, list[str]]:
    """The systems that came, those that went, and those of which the file says something else."""
    old, new = ({system_id: each for each in side for system_id in each.system_ids} for side in (before, now))
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(each for each in old.keys() & new.keys() if old[each] != new[each]),
    }
