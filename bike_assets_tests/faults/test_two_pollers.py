"""Pollers on one Kafka share the systems; they join, leave, sleep and are killed: no event is doubled or lost.

Each poller is a process in a home of its own, as on two machines; the simulator's systems change all the time.
"""

import os
import signal
import subprocess
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, cycle, pairwise
from typing import Any

import msgspec
import pytest
import requests
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from bike_assets.heartbeats import read_heartbeat
from bike_assets.ingest.recalling import read_memories
from bike_assets.ingest.sharing import sole_writer
from bike_assets.local.broker import ensure_topics
from bike_assets.model import topics
from bike_assets.model.errors import AlreadyRunning
from bike_assets.model.topics import Topic, partition_of
from bike_assets.simulator.server import serve
from bike_assets_tests.ingest.test_poller import entry
from bike_assets_tests.journeys.homes import Home, end, home, wait_until
from bike_assets_tests.simulator.builders import city, station

PARTITIONS = 4
SYSTEMS = tuple(f"town{number}" for number in range(8))
STATIONS = ("1", "2", "3")
TAKEN_OVER_WITHIN_S, HANDED_OVER_WITHIN_S, READY_S = 30, 6, 40
RIDE_EVERY_S = 0.15

Row = dict[str, Any]
Key = tuple[str, str]


@dataclass
class Poller:
    """A poller's process in its home."""

    home: Home
    process: subprocess.Popen[bytes]

    @property
    def partitions(self) -> list[int]:
        beat = read_heartbeat(self.home.path / "run", "poller")
        return [] if beat is None or beat.pid != self.process.pid else list(beat.details["partitions"])


@dataclass
class Shared:
    """What was seen while pollers came and went."""

    bootstrap: str
    took_s: dict[str, float] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)

    def time_until_all_are_polled(self, since: datetime) -> float:
        """s from now until each system has a good poll of after an instant."""

        def is_so() -> bool:
            memories = [read_memories(self.bootstrap, each) for each in range(PARTITIONS)]
            last = {system: memories[partition_of(system, PARTITIONS)][system].last_good_poll_at for system in SYSTEMS}
            return all(at is not None and at > since for at in last.values())

        return wait_until(is_so, READY_S, f"all are polled after {since}", every_s=0.5)


@contextmanager
def riding(url: str) -> Iterator[None]:
    """Somebody rides, in one system after the other."""
    over = threading.Event()

    def ride() -> None:
        for system in cycle(SYSTEMS):
            if over.wait(RIDE_EVERY_S):
                return
            requests.post(f"{url}/admin/ride?system_id={system}", timeout=10)

    thread = threading.Thread(target=ride)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def shared(fresh_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Three pollers, of which one leaves, one sleeps for a while, and one is killed."""
    ensure_topics(fresh_broker, PARTITIONS)
    cities = [city([station(each) for each in STATIONS], system_id=system) for system in SYSTEMS]
    made = Shared(fresh_broker)
    with serve(cities, 0, ttl_s=1) as url, riding(url), ExitStack() as stack:
        homes = [stack.enter_context(home(tmp_path_factory.mktemp("home"), KAFKA=fresh_broker)) for _ in range(3)]
        for each in homes:
            (each.directory / "sources.toml").write_text("".join(entry(url, name, poll_seconds=1) for name in SYSTEMS))
        _come_and_go(made, *homes)
        yield made


def _come_and_go(made: Shared, *homes: Home) -> None:
    first = start_beside_a_replay(made, homes[0])
    wait_until(lambda: len(first.partitions) == PARTITIONS, READY_S, "the first has all")
    made.time_until_all_are_polled(datetime.now(UTC))

    second, third = map(start, homes[1:])
    made.took_s["newcomers"] = wait_until(lambda: is_shared(first, second, third), READY_S, "all have a share")
    made.said["partitions"] = second.partitions
    made.said["status"] = second.home.answer("status")
    made.said["poll"] = second.home.bike("poll", system_of(first)).stderr
    made.said["refused"] = refused(made)

    third.process.terminate()
    made.took_s["leave"] = wait_until(lambda: is_shared(first, second), READY_S, "two have the share of who left")
    made.said["exit"] = third.process.wait(READY_S)

    os.kill(second.process.pid, signal.SIGSTOP)
    wait_until(lambda: is_shared(first), READY_S, "who sleeps is taken over")
    made.time_until_all_are_polled(datetime.now(UTC))
    os.kill(second.process.pid, signal.SIGCONT)
    wait_until(lambda: is_shared(first, second), READY_S, "who slept has its share again")
    made.time_until_all_are_polled(datetime.now(UTC))

    first.process.kill()
    killed_at = datetime.now(UTC)
    wait_until(lambda: is_shared(second), READY_S, "the survivor has all")
    made.time_until_all_are_polled(datetime.now(UTC))
    made.took_s["take-over"] = (datetime.now(UTC) - killed_at).total_seconds()
    first.process.wait()
    end(second.process)


def start_beside_a_replay(made: Shared, own: Home) -> Poller:
    """A poller that starts while somebody else writes: it waits."""
    with sole_writer(made.bootstrap, PARTITIONS) as sole:
        poller = start(own)
        log = own.directory / "run-poller.log"
        wait_until(lambda: "a replay is at work" in log.read_text(), READY_S, "the poller is told to wait")
        made.said["second replay"] = refused(made)
        made.said["waiting"] = poller.partitions
        sole.check()
    return poller


def refused(made: Shared) -> str:
    """What a replay of another home is told."""
    with pytest.raises(AlreadyRunning) as told, sole_writer(made.bootstrap, PARTITIONS, patience_s=2):
        pass
    return str(told.value)


def start(own: Home) -> Poller:
    return Poller(own, own.start("run", "poller"))


def is_shared(*pollers: Poller) -> bool:
    """Whether each has some partitions, all together have all of them, and nothing is two's."""
    shares = [each.partitions for each in pollers]
    return sorted(chain.from_iterable(shares)) == list(range(PARTITIONS)) and all(shares)


def system_of(poller: Poller) -> str:
    return next(each for each in SYSTEMS if partition_of(each, PARTITIONS) in poller.partitions)


def rows(bootstrap: str, topic: Topic) -> list[Row]:
    """All committed messages of a topic, in each partition's order."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "enable.partition.eof": True,
                         "isolation.level": "read_committed", "enable.auto.commit": False})  # fmt: skip
    consumer.assign([TopicPartition(topic.name, each, OFFSET_BEGINNING) for each in range(PARTITIONS)])
    found, left = [], PARTITIONS
    while left:
        message = consumer.poll(10)
        assert message is not None
        error = message.error()
        if error is None:
            found.append(msgspec.structs.asdict(msgspec.json.decode(message.value() or b"", type=topic.message[0])))
        else:
            assert error.code() == KafkaError._PARTITION_EOF
            left -= 1
    consumer.close()
    return found


def grouped(found: list[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    groups = defaultdict(list)
    for row in found:
        groups[key(row)].append(row)
    return groups


def station_of(row: Row) -> Key:
    return row["system_id"], row["station_id"]


def test_newcomers_get_a_share(shared: Shared) -> None:
    assert shared.took_s["newcomers"] < TAKEN_OVER_WITHIN_S


def test_who_is_killed_is_taken_over_within_half_a_minute(shared: Shared) -> None:
    assert shared.took_s["take-over"] < TAKEN_OVER_WITHIN_S


def test_who_leaves_in_order_hands_over_at_once(shared: Shared) -> None:
    assert shared.said["exit"] == 0
    assert shared.took_s["leave"] < HANDED_OVER_WITHIN_S


def test_status_tells_which_partitions_a_poller_has(shared: Shared) -> None:
    says = next(each["says"] for each in shared.said["status"]["services"] if each["name"] == "poller")
    assert f"systems in partitions {', '.join(map(str, shared.said['partitions']))} of 4" in says


def test_a_poll_of_anothers_system_is_refused_with_a_sentence(shared: Shared) -> None:
    assert "is another poller's now, or soon: ask in that one's home." in shared.said["poll"]


def test_a_replay_of_whatever_home_is_refused(shared: Shared) -> None:
    assert shared.said["refused"].startswith("A poller or a replay is at work on 127.0.0.1:")


def test_a_poller_that_starts_beside_a_replay_has_nothing_until_it_is_done(shared: Shared) -> None:
    assert shared.said["waiting"] == []


def test_of_two_replays_one_is_refused(shared: Shared) -> None:
    assert shared.said["second replay"].startswith("A poller or a replay is at work on 127.0.0.1:")


def test_time_goes_forward_in_every_feed_and_every_poll_is_good(shared: Shared) -> None:
    found = rows(shared.bootstrap, topics.POLLS)
    assert {row["outcome"] for row in found} <= {"ok", "not_modified"}
    for polls in grouped(found, lambda row: (row["system_id"], row["feed"])).values():
        times = [row["fetched_at"] for row in polls]
        assert times == sorted(set(times))


def test_no_event_is_doubled_lost_or_out_of_its_chain(shared: Shared) -> None:
    events = rows(shared.bootstrap, topics.STATION_STATUS)
    chains = grouped(events, station_of)
    assert set(chains) == {(system, each) for system in SYSTEMS for each in STATIONS}
    for links in chains.values():
        assert links[0]["bikes_before"] is None
        for before, event in pairwise(links):
            assert event["observed_at"] > before["observed_at"]
            assert [event["bikes_before"], event["docks_before"], event["state_before"]] == [
                before["bikes_available"], before["docks_available"], before["state"]]
        changes = [event for event in links[1:] if event["kind"] == "change"]
        assert all(event["bikes_available"] != event["bikes_before"] for event in changes)
    assert len(events) > 20 * len(SYSTEMS), "there must be something to be lost"


def test_each_poll_has_the_events_that_it_says(shared: Shared) -> None:
    polls = [row for row in rows(shared.bootstrap, topics.POLLS) if row["feed"] == "station_status"]
    said = {(row["system_id"], row["fetched_at"]): row["events"] for row in polls if row["events"]}
    events = rows(shared.bootstrap, topics.STATION_STATUS)
    assert said == Counter((row["system_id"], row["observed_at"]) for row in events)


def test_the_state_is_that_of_the_last_event(shared: Shared) -> None:
    chains = grouped(rows(shared.bootstrap, topics.STATION_STATUS), station_of)
    for partition in range(PARTITIONS):
        for system, memory in read_memories(shared.bootstrap, partition).items():
            for id_, known in memory.stations.items():
                assert known.reading.bikes_available == chains[system, id_][-1]["bikes_available"]
