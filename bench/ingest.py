"""Answers in memory to committed Kafka records: station rows a second of one core.

This process is pinned to one core, librdkafka's threads with it, and the broker to another: so rows by
the wall clock are rows of one core. Rows by the process's own CPU time are told beside them.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.bodies import GBFS, JCDECAUX, STATIONS, System, rounds, vehicle_types
from bench.report import result, say
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.writer import PartitionWriter
from bike_assets.local.broker import LocalBroker, ensure_topics
from bike_assets.local.jars import ensure_jars
from bike_assets.local.java import java_home
from bike_assets.local.ports import free_ports
from bike_assets.model.answers import Answer
from bike_assets.model.messages import Outcome
from bike_assets_tests.conftest import HOME

SEED = 1
SYSTEMS = 5
REPEATS = 5
TUTORIALS_TOPIC = "tutorial"
BEGAN_AT = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)


class Case(NamedTuple):
    """What is polled. A transaction takes what comes in 0.2 s, the lanes' wait, at the rate aimed at."""

    name: str
    every: timedelta
    rows_per_s_wanted: int
    answers_a_transaction: int
    transactions: int


CASES = (
    Case("changes", timedelta(seconds=1), 1_000_000, 100, 3),
    Case("keyframe", timedelta(hours=1), 250_000, 25, 3),
)

Work = Callable[[Sequence[Answer]], int]
"""Takes answers until they are stored, gives how many station events or messages that made."""


class Speed(NamedTuple):
    """Station rows a second, and what came out."""

    rows_per_wall_s: float
    rows_per_cpu_s: float
    messages_per_row: float


def run() -> None:
    """Both cases for both feeds, each side by side with the tutorial's way on the same answers."""
    java = java_home(None, HOME)
    with TemporaryDirectory(prefix="bike-bench-") as directory:
        broker = LocalBroker(Path(directory), java, ensure_jars(HOME, java).kafka, *free_ports(2))
        with apart(broker):
            ensure_topics(broker.bootstrap, partitions=1)
            admin = AdminClient({"bootstrap.servers": broker.bootstrap})  # its answers end with it
            admin.create_topics([NewTopic(TUTORIALS_TOPIC, 1)])[TUTORIALS_TOPIC].result()
            for case in CASES:
                for feed in (JCDECAUX, GBFS):
                    _compare(broker.bootstrap, case, feed)


@contextmanager
def apart(broker: LocalBroker) -> Iterator[None]:
    """The broker on one core and this process on another, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    try:
        os.sched_setaffinity(0, {cores[-1]})  # what is started now stays there
        with broker:
            os.sched_setaffinity(0, {cores[0]})
            yield
    finally:
        os.sched_setaffinity(0, cores)


def _compare(bootstrap_servers: str, case: Case, feed: str) -> None:
    say(f"ingest: {case.name}, {feed}")
    times = (BEGAN_AT + number * case.every for number in count())
    systems = [System(_system_id(case, feed, number), feed, SEED) for number in range(SYSTEMS)]
    writer = PartitionWriter(bootstrap_servers, 0, lambda _: Profile(timezone="UTC"))
    writer.open()
    ours, theirs = _by_us(writer), _by_the_tutorial(bootstrap_servers)
    if feed == GBFS:
        writer.write([vehicle_types(system.system_id, BEGAN_AT) for system in systems])
    _warm_up(systems, times, [ours, theirs])
    our_speeds, their_speeds = [], []
    for _ in range(REPEATS):
        polls = case.transactions * case.answers_a_transaction // SYSTEMS
        answers = rounds(systems, times, polls)
        our_speeds.append(_measured(ours, answers, case.answers_a_transaction))
        their_speeds.append(_measured(theirs, answers[: len(answers) // 5], case.answers_a_transaction))
    writer.close()
    _tell(case, feed, our_speeds, their_speeds)


def _system_id(case: Case, feed: str, number: int) -> str:
    return f"jcdecaux:{case.name}{number}" if feed == JCDECAUX else f"{case.name}{number}"


def _warm_up(systems: list[System], times: Iterator[datetime], works: list[Work]) -> None:
    """The first sight of each station is no poll like the others."""
    answers = rounds(systems, times, 5)
    for work in works:
        work(answers)


def _by_us(writer: PartitionWriter) -> Work:
    def work(answers: Sequence[Answer]) -> int:
        polls = writer.write(answers)
        assert all(poll.outcome is Outcome.OK and poll.rows_accepted == STATIONS for poll in polls)
        return sum(poll.events for poll in polls)

    return work


def _by_the_tutorial(bootstrap_servers: str) -> Work:
    """As tutorials do it: the whole body by `json`, then a message for each row, whether it changed or not."""
    producer = Producer({"bootstrap.servers": bootstrap_servers})

    def work(answers: Sequence[Answer]) -> int:
        messages = 0
        for answer in answers:
            document = json.loads(answer.body or b"")
            for row in document if isinstance(document, list) else document["data"]["stations"]:
                producer.produce(TUTORIALS_TOPIC, json.dumps(row).encode(), key=str(row.get("number")))
                producer.poll(0)
                messages += 1
            producer.flush()
        return messages

    return work


def _measured(work: Work, answers: Sequence[Answer], batch: int) -> Speed:
    rows, made = len(answers) * STATIONS, 0
    cpu, wall = time.process_time(), time.perf_counter()
    for first in range(0, len(answers), batch):
        made += work(answers[first : first + batch])
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    return Speed(rows / wall_s, rows / cpu_s, made / rows)


def _tell(case: Case, feed: str, ours: list[Speed], theirs: list[Speed]) -> None:
    our_rows = median(each.rows_per_wall_s for each in ours)
    their_rows = median(each.rows_per_wall_s for each in theirs)
    result(
        "ingest",
        case=case.name,
        feed=feed,
        rows_per_wall_s=round(our_rows),
        rows_per_cpu_s=round(median(each.rows_per_cpu_s for each in ours)),
        rows_per_wall_s_wanted=case.rows_per_s_wanted,
        is_met=our_rows >= case.rows_per_s_wanted,
        events_per_row=round(median(each.messages_per_row for each in ours), 4),
        tutorial_rows_per_wall_s=round(their_rows),
        tutorial_rows_per_cpu_s=round(median(each.rows_per_cpu_s for each in theirs)),
        ratio=round(our_rows / their_rows, 1),
        repeats=REPEATS,
    )
