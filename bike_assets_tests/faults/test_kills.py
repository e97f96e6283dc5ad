"""kill -9 of all that writes, again and again while a recording is replayed: the tables end as if nothing had happened.

The recording is Besançon's, in small transactions, so that there are many moments to be killed in.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from bike_assets.local.jars import Jars
from bike_assets.model.tables import TABLES
from bike_assets_tests.journeys.homes import Home, end, home, is_broker_up, is_streaming, wait_until
from bike_assets_tests.journeys.tables import TOLD, Told, expected, first_difference, found
from bike_assets_tests.oracle.events import Line, read_lines
from bike_assets_tests.oracle.made import write

RECORDINGS = Path(__file__).parents[2] / "bike_assets" / "data" / "recordings"
BESANCON = RECORDINGS / "besancon_jcdecaux_v1_2014-05-22.jsonl.xz"
REPLAY, BROKER, STREAM = "replay", "broker", "stream"
KILLS = 10
CHECKPOINT_GONE_AFTER = {4: "events", 7: "live"}
"""After which kill of the stream which query loses its checkpoint."""
SEED = 20_140_522
READY_S = 120
pytestmark = pytest.mark.timeout(900)

SMALL_BATCHES = "import bike_assets.ingest.replay as replay; replay.BATCH_ANSWERS = {answers}\n"
RUN = "from bike_assets.cli import main; main()\n"

TELLS_ITS_COMMITS = """
from bike_assets.ingest.writer import PartitionWriter
write = PartitionWriter.write

def told(self, answers):
    polls = write(self, answers)
    with open("commits", "a") as file:
        file.write(".")
    return polls

PartitionWriter.write = told
"""
"""A byte for each commit, so that a kill can meet it while it writes."""

BROKEN_BUILD = """
import os, signal
from itertools import count
from bike_assets.ingest.writer import PartitionWriter
from bike_assets.model.topics import STATION_STATE
commit, turn = PartitionWriter._commit, count(1)

def state_first(self, records):
    commit(self, [record for record in records if record.topic is STATION_STATE])
    if next(turn) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    commit(self, [record for record in records if record.topic is not STATION_STATE])

PartitionWriter._commit = state_first
"""
"""A build whose state moves on before its events are committed, killed right there."""

KILLED_BEFORE_COMMIT = """
import os, signal
from itertools import count
from bike_assets.ingest.writer import PartitionWriter
commit, turn = PartitionWriter._commit_patiently, count(1)

def killed(self, producer):
    producer.flush()
    if next(turn) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    commit(self, producer)

PartitionWriter._commit_patiently = killed
"""
"""The build as it is, killed in the corresponding place: all is sent, nothing is committed."""


@dataclass
class Disturbed:
    """A home in which everything is killed; `kills` counts those that met a living process."""

    home: Home
    lines: list[Line]
    sound: list[Line] = field(default_factory=list)
    broken: list[Line] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    is_over: threading.Event = field(default_factory=threading.Event)

    def kill_for_ever(self) -> None:
        """Kill each of the three until each has been killed often enough, then replay to the end."""
        with ThreadPoolExecutor(3) as pool:
            roles: list[Callable[[], None]] = [self._replay, self._broker, self._stream]
            for done in [pool.submit(self._until_over, role) for role in roles]:
                done.result()

    @property
    def is_enough(self) -> bool:
        return all(self.kills[role] >= KILLS for role in (REPLAY, BROKER, STREAM))

    def _until_over(self, role: Callable[[], None]) -> None:
        """A role that fails must not leave the others waiting for it."""
        try:
            role()
        finally:
            self.is_over.set()

    def _wait(self, seconds: float) -> None:
        self.is_over.wait(seconds)

    def _wait_for_turn(self, role: str) -> None:
        """No role is killed more often than the stream, which takes the longest to start."""
        while self.kills[role] > self.kills[STREAM] and not self.is_over.is_set():
            self._wait(0.1)

    def _replay(self) -> None:
        """Replay what there is so far of the recording, which grows with the kills of all."""
        chance = random.Random(SEED)
        while not self.is_enough and not self.is_over.is_set():
            self._wait_for_turn(REPLAY)
            self._wait(chance.uniform(0, 6))
            share = (min(self.kills[role] for role in (BROKER, STREAM)) + 1) / (KILLS + 1)
            recording = write(self.home.directory / "so-far.jsonl", self.lines[: int(share * len(self.lines))])
            before, commits = self._commits(), chance.randint(1, 12)
            process = replaying(self.home, recording, SMALL_BATCHES.format(answers=2) + TELLS_ITS_COMMITS)
            while process.poll() is None and not self.is_over.is_set() and self._commits() < before + commits:
                self._wait(0.005)
            self._wait(chance.uniform(0, 0.05))
            self._kill(REPLAY, process.pid)
            process.wait()

    def _commits(self) -> int:
        told = self.home.directory / "commits"
        return told.stat().st_size if told.exists() else 0

    def _broker(self) -> None:
        chance = random.Random(SEED + 1)
        while not self.is_over.is_set():
            process = self.home.start("run", "broker")
            wait_until(lambda: is_broker_up(self.home) or self.is_over.is_set(), READY_S, "the broker is up again")
            self._wait_for_turn(BROKER)
            self._wait(chance.uniform(0, 8))
            if not self.is_over.is_set():
                self._kill(BROKER, process.pid)
                process.wait()
        end(process)

    def _stream(self) -> None:
        chance = random.Random(SEED + 2)
        while not self.is_over.is_set():
            process = self.home.start("run", "stream")
            if chance.random() < 0.5:  # at work, else while it starts
                self._wait_for_stream(process.pid)
                self._wait(chance.uniform(0, 2.5))
            else:
                self._wait(chance.uniform(1, 6))
            spark = psutil.Process(process.pid).children(recursive=True)
            is_alone = chance.random() < 0.5  # then Spark goes on until it sees that nobody is there
            self._kill(STREAM, process.pid)
            if not is_alone:
                kill(spark)
            process.wait()
            self._lose_checkpoint(spark)

    def _wait_for_stream(self, pid: int) -> None:
        def is_at_work() -> bool:
            return is_streaming(self.home, pid) or self.is_over.is_set()

        wait_until(lambda: is_at_work() or not is_alive(pid), READY_S, "the stream is at work")
        assert is_at_work(), f"the stream ended by itself: see run-stream.log in {self.home.directory}"

    def _lose_checkpoint(self, spark: list[psutil.Process]) -> None:
        query = CHECKPOINT_GONE_AFTER.get(self.kills[STREAM])
        checkpoint = self.home.path / "lake" / "_checkpoints" / str(query)
        if query is not None and checkpoint.exists():
            psutil.wait_procs(spark, timeout=READY_S)
            shutil.rmtree(checkpoint)
            self.kills[f"checkpoint of {query}"] += 1

    def _kill(self, role: str, pid: int) -> None:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
            self.kills[role] += 1


def replaying(home: Home, recording: Path, build: str) -> subprocess.Popen[bytes]:
    """A replay by a build of ours."""
    return home.start("replay", recording, command=(sys.executable, "-c", build + RUN), log=REPLAY)


def is_alive(pid: int) -> bool:
    """Whether a child of ours runs: one that has ended stays as a zombie until it is waited for."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def as_system(lines: list[Line], system_id: str) -> list[Line]:
    return [{**line, "system_id": system_id} for line in lines]


def replayed_with_kills(disturbed: Disturbed, system_id: str, build: str) -> list[Line]:
    """Replay a part of the recording as another system, by a build that kills itself twice, then to the end."""
    home, lines = disturbed.home, as_system(disturbed.lines[:200], system_id)
    recording = write(home.directory / "part.jsonl", lines)
    for _ in range(2):
        assert replaying(home, recording, SMALL_BATCHES.format(answers=10) + build).wait(READY_S) == -signal.SIGKILL
    assert replaying(home, recording, "").wait(READY_S) == 0
    return lines


@pytest.fixture(scope="module")
def disturbed(java: Path, jars: Jars, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    """Everything killed, then replayed to the end and drained in peace."""
    ports_of_its_own = tmp_path_factory.mktemp("kills")
    with home(ports_of_its_own, TRIGGER_SECONDS="0.5", JAVA_HOME=str(java)) as made:
        made.environment["BIKE_KAFKA"] = made.bootstrap  # nobody but this test may start a broker
        found = Disturbed(made, read_lines(BESANCON))
        with made.running("run", "broker", until=lambda: is_broker_up(made)):
            found.sound = replayed_with_kills(found, "jcdecaux:sound", KILLED_BEFORE_COMMIT)
            found.broken = replayed_with_kills(found, "jcdecaux:broken", BROKEN_BUILD)
        found.kill_for_ever()
        with made.running("run", "broker", until=lambda: is_broker_up(made)):
            made.answer("replay", BESANCON)
            made.answer("drain")
            yield found


every_table = pytest.mark.parametrize("table", TOLD, ids=lambda table: table.name)


def test_each_was_killed_ten_times_and_each_query_lost_its_checkpoint_once(disturbed: Disturbed) -> None:
    assert min(disturbed.kills[role] for role in (REPLAY, BROKER, STREAM)) >= KILLS
    assert {name: count for name, count in disturbed.kills.items() if "checkpoint" in name} == {
        "checkpoint of events": 1, "checkpoint of live": 1}


@every_table
def test_the_tables_end_as_if_nothing_had_been_killed(disturbed: Disturbed, table: Told) -> None:
    rows = found(disturbed.home, table, "system_id = 'jcdecaux:besancon'")
    assert first_difference(rows, expected(table, disturbed.lines)) is None


def test_no_key_stands_twice_in_any_table(disturbed: Disturbed) -> None:
    for table in TABLES:
        keys = ", ".join(table.grain)
        doubles = f"SELECT {keys} FROM {table.name} GROUP BY ALL HAVING count(*) > 1"  # noqa: S608
        assert disturbed.home.rows(doubles) == [], table.name


@every_table
def test_a_kill_between_sending_and_committing_changes_nothing(disturbed: Disturbed, table: Told) -> None:
    rows = found(disturbed.home, table, "system_id = 'jcdecaux:sound'")
    assert first_difference(rows, expected(table, disturbed.sound)) is None


def test_a_build_whose_state_moves_on_before_its_commit_is_caught(disturbed: Disturbed) -> None:
    """The same comparison, the same kind of kill: it must be able to fail."""
    differing = {table.name for table in TOLD if first_difference(
        found(disturbed.home, table, "system_id = 'jcdecaux:broken'"), expected(table, disturbed.broken)) is not None}
    assert {"events.station_status", "events.polls", "live.system_minute"} <= differing
