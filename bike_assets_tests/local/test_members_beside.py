"""A member is removed from a database while the members' sink brings rows that it read before."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bike_assets import locks, services
from bike_assets.heartbeats import MEMBERS_SINK
from bike_assets.lake.forgotten import take_out_members
from bike_assets.local.members import take_out_of_database
from bike_assets.settings import Settings, load_settings
from bike_assets.stream.sinks.progress import Progress
from bike_assets.stream.sinks.users import UsersCarrier
from bike_assets_tests.lake.test_forgotten import add, id_of


class Held:
    """A database in memory that takes rows only while it is let; `has_begun` says that it was given some."""

    def __init__(self) -> None:
        self.members: set[str] = set()
        self.noted: Progress | None = None
        self.has_begun, self.is_let = threading.Event(), threading.Event()

    def progress(self) -> Progress | None:
        return self.noted

    def put(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.has_begun.set()
        assert self.is_let.wait(30)
        self.members |= {row["member_id"] for row in rows}

    def note(self, progress: Progress) -> None:
        self.noted = progress

    def ids(self, beat: Callable[[], None]) -> set[str]:
        return set(self.members)

    def remove(self, member_ids: Collection[str]) -> None:
        self.members -= set(member_ids)


class Beside:
    """The members' sink at work, with its lock: it brings two members, of whom the first is forgotten."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.database = settings, Held()
        add(settings.lake, 1, 2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Beside":
        self._thread.start()
        assert self.database.has_begun.wait(30)
        take_out_members(self.settings.lake, [id_of(1)])
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.database.is_let.set()
        self._thread.join()

    def _run(self) -> None:
        carrier = UsersCarrier(self.settings.lake, self.database)
        with services.sink_lock(self.settings, MEMBERS_SINK, "at work"):
            carrier.carry()
            while not self._stop.wait(0.05):
                carrier.carry()


@pytest.fixture
def settings(bare_directory: Path) -> Settings:
    return load_settings(home=bare_directory / "home")


def test_it_is_not_called_removed_while_the_sink_may_still_bring_it(settings: Settings) -> None:
    with Beside(settings) as sink:
        said = take_out_of_database(settings, sink.database, [id_of(1)], wait_s=0.2)
        assert said == "not yet (the members' sink has not come past it within 0.2 s)"
    assert id_of(1) in sink.database.members  # so it is: what was under way came after


def test_it_is_removed_once_the_sink_has_come_past_it(settings: Settings) -> None:
    with Beside(settings) as sink:
        threading.Timer(0.3, sink.database.is_let.set).start()
        assert take_out_of_database(settings, sink.database, [id_of(1)]) == "removed"
        assert sink.database.members == {id_of(2)}


def test_where_no_sink_is_at_work_it_is_removed_at_once_and_none_starts_meanwhile(settings: Settings) -> None:
    class Asked(Held):
        def remove(self, member_ids: Collection[str]) -> None:
            super().remove(member_ids)
            self.was_free = not is_held(settings)

    database = Asked()
    database.members = {id_of(1), id_of(2)}
    assert take_out_of_database(settings, database, [id_of(1)]) == "removed"
    assert database.members == {id_of(2)}
    assert (database.was_free, is_held(settings)) == (False, False)


def test_one_that_is_there_again_is_not_called_removed(settings: Settings) -> None:
    class Backwards(Held):
        def remove(self, member_ids: Collection[str]) -> None:
            """Somebody else puts them back."""

    database = Backwards()
    database.members = {id_of(1)}
    assert take_out_of_database(settings, database, [id_of(1)]).startswith("not yet")


def is_held(settings: Settings) -> bool:
    return locks.is_held(settings.run / f"{MEMBERS_SINK}.lock")
