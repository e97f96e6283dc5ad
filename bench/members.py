"""Who is known of many members: what reading their whole topic costs, which each poll does before it asks."""

import resource
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from bench.report import result, say
from bike_assets.ingest.members.taking import take_page
from bike_assets.ingest.members.writer import MembersWriter
from bike_assets.local.broker import LocalBroker, ensure_topics
from bike_assets.local.jars import ensure_jars
from bike_assets.local.java import java_home
from bike_assets.local.ports import free_ports
from bike_assets.model.personal import Keyed
from bike_assets.model.topics import USERS_CREATED
from bike_assets.simulator.members import person
from bike_assets_tests.conftest import HOME

MEMBERS = (1_000, 100_000, 1_000_000)
PAGE = 1_000
REPEATS = 3
PARTITIONS = 4
AT = datetime(2026, 1, 1, tzinfo=UTC)
POLLED_EVERY_S = 15 * 60


def run() -> None:
    """Ever more members in one broker; the first number is what a poll costs by itself."""
    with TemporaryDirectory(prefix="bike-bench-") as directory:
        java = java_home(None, HOME)
        with LocalBroker(Path(directory), java, ensure_jars(HOME, java).kafka, *free_ports(2)) as broker:
            ensure_topics(broker.bootstrap, PARTITIONS)
            stored = 0
            for members in MEMBERS:
                say(f"members: {members}")
                _store(broker.bootstrap, members - stored)
                stored = members
                _measure(broker.bootstrap, members, Path(directory))


def _measure(servers: str, members: int, home: Path) -> None:
    wall_s, cpu_s = zip(*(_recalled(servers, members) for _ in range(REPEATS)), strict=True)
    topic = sum(file.stat().st_size for file in (home / "kafka").rglob(f"{USERS_CREATED.name}-*/*.log"))
    result(
        "members", members=members, open_s=round(median(wall_s), 2), cpu_s=round(median(cpu_s), 2),
        share_of_a_core=round(median(cpu_s) / POLLED_EVERY_S, 4), topic_mb=round(topic / 1e6),
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000), repeats=REPEATS,
    )  # fmt: skip


def _recalled(servers: str, members: int) -> tuple[float, float]:
    """Wall and CPU seconds of a writer's opening: the one before is fenced, and all of the topic read."""
    writer = _writer(servers)
    wall, cpu = time.perf_counter(), time.process_time()
    known = writer.open()
    spent = time.perf_counter() - wall, time.process_time() - cpu
    writer.close()
    assert len(known.members) == members
    return spent


def _store(servers: str, count: int) -> None:
    writer = _writer(servers)
    writer.open()
    for page in _pages(count):
        writer.commit(take_page(page, set(), set(), [], Keyed("k" * 32), AT).records)
    writer.close()


def _pages(count: int) -> Iterator[list[bytes]]:
    """People who differ in their ids alone: to make them up takes longer than to store them."""
    people = [person("bench", number, AT) for number in range(PAGE)]
    for _ in range(count // PAGE):
        for each in people:
            each["login"]["uuid"] = str(uuid.uuid4())
        yield [msgspec.json.encode(each) for each in people]


def _writer(servers: str) -> MembersWriter:
    return MembersWriter(servers, PARTITIONS, Keyed("k" * 32))
