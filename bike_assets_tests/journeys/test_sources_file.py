"""A sources file that is written by commands and by hand while a real poller writes to a real broker."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bike_assets.heartbeats import read_heartbeat
from bike_assets.ingest.memory import SystemMemory
from bike_assets.ingest.recalling import read_memories
from bike_assets.model.topics import partition_of
from bike_assets.simulator.server import serve
from bike_assets_tests.ingest.test_poller import entry
from bike_assets_tests.journeys.homes import Home, home, wait_until
from bike_assets_tests.simulator.builders import city, station

PARTITIONS = 2
WITHIN_S = 30


class Live:
    """A home whose poller runs, and what Kafka remembers of its systems."""

    def __init__(self, a_home: Home, bootstrap: str) -> None:
        self.home, self.bootstrap = a_home, bootstrap
        self.file = a_home.directory / "sources.toml"

    def memory(self, system_id: str) -> SystemMemory:
        return read_memories(self.bootstrap, partition_of(system_id, PARTITIONS))[system_id]

    def beat(self) -> dict[str, Any]:
        found = read_heartbeat(self.home.path / "run", "poller")
        return {} if found is None else dict(found.details)

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        wait_until(is_so, WITHIN_S, what)

    def wait_for_a_poll(self, system_id: str) -> None:
        """Until a good poll that is newer than the last is committed."""
        before = self.memory(system_id).last_good_poll_at
        self.wait(lambda: self.memory(system_id).last_good_poll_at != before, f"{system_id} is polled")


@pytest.fixture
def live(fresh_broker: str, tmp_path: Path) -> Iterator[tuple[Live, str]]:
    cities = [city([station("1"), station("2")], system_id=each) for each in ("town", "village")]
    with (
        serve(cities, 0, ttl_s=1) as url,
        home(tmp_path, KAFKA=fresh_broker, PARTITIONS=str(PARTITIONS)) as a_home,
    ):
        made = Live(a_home, fresh_broker)
        made.file.write_text(entry(url, poll_seconds=1))
        with a_home.running("run", "poller", until=lambda: bool(made.beat())):
            yield made, url


def test_a_running_poller_follows_the_file_and_loses_and_doubles_nothing(live: tuple[Live, str]) -> None:
    made, url = live
    made.wait_for_a_poll("town")
    town = made.memory("town").stations
    assert made.memory("town").information is not None

    made.file.write_text(entry(url, poll_seconds=1) + entry(url, "village", poll_seconds=1, city="Upon Sea"))
    made.wait_for_a_poll("village")
    place = made.memory("village").information
    assert place is not None
    assert place.city == "Upon Sea"

    made.file.write_text(entry(url, "village", poll_seconds=1, name="By the sea"))
    made.wait(lambda: made.beat()["systems"] == 1, "the town is asked no more")
    made.wait(lambda: getattr(made.memory("village").information, "name", "") == "By the sea", "its name is told")

    made.file.write_text("[[systems]\n")
    made.wait(lambda: made.beat()["sources_trouble"] is not None, "the heartbeat says what is wrong")
    made.wait_for_a_poll("village")
    said = next(each["says"] for each in made.home.answer("status")["services"] if each["name"] == "poller")
    assert said.startswith("the sources file is wrong, and its systems are polled as before: sources.toml is no TOML")
    assert "the sources file is wrong" in (made.home.directory / "run-poller.log").read_text()

    made.file.write_text(entry(url, poll_seconds=1) + entry(url, "village", poll_seconds=1))
    made.wait(lambda: made.beat()["sources_trouble"] is None, "it is mended")
    made.wait_for_a_poll("town")
    again = made.memory("town").stations
    assert {key: (known.reading, known.state_since) for key, known in again.items()} == {
        key: (known.reading, known.state_since) for key, known in town.items()
    }
