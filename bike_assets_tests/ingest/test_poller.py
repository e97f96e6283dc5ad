"""The poller against the simulator's real server, and a stand-in for Kafka."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bike_assets.ingest import lanes as lanes_module
from bike_assets.ingest.asking import SourceAsker
from bike_assets.ingest.holding import Lanes
from bike_assets.ingest.lanes import Lane
from bike_assets.ingest.poller import Poller
from bike_assets.ingest.raw import RawStore
from bike_assets.ingest.roster import Roster
from bike_assets.ingest.sharing import Alone
from bike_assets.ingest.turns import Turns
from bike_assets.model import topics
from bike_assets.model.constants import MAX_GAP
from bike_assets.model.errors import Fenced
from bike_assets.simulator.server import serve
from bike_assets.sources.config import Source
from bike_assets.sources.http import Fetcher
from bike_assets.sources.plan import Defaults
from bike_assets_tests.ingest.stand_in import StandInKafka
from bike_assets_tests.simulator.builders import city, station

WAIT_S = 20


class Running:
    """A poller in a thread of its own, and the error that ended it."""

    poller: Poller

    def __init__(self, file: Path, url: str) -> None:
        self.file, self.url = file, url
        self.stop = threading.Event()
        self.error: Fenced | None = None
        self.thread = threading.Thread(target=self._run)
        self.beats: list[Mapping[str, Any]] = []
        self._news = threading.Condition()

    def beat(self, report: Mapping[str, Any]) -> None:
        with self._news:
            self.beats.append(report)
            self._news.notify_all()

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Until it holds at a heartbeat."""
        with self._news:
            assert self._news.wait_for(holds, WAIT_S)

    def _run(self) -> None:
        try:
            self.poller.run(self.stop)
        except Fenced as err:
            self.error = err


@pytest.fixture
def kafka() -> StandInKafka:
    return StandInKafka()


def entry(base: str, system_id: str = "town", **said: Any) -> str:
    """A system of the simulator at `base` as an entry of a sources file."""
    lines = {"kind": "gbfs", "system_id": system_id, "url": f"{base}/gbfs/{system_id}/gbfs.json"} | said
    return "\n".join(["[[systems]]", *(f"{key} = {json.dumps(value)}" for key, value in lines.items()), ""])


@contextmanager
def polling(
    kafka: StandInKafka,
    root: Path,
    text_of: Callable[[str], str],
    asker: type[SourceAsker] = SourceAsker,
    turns: Turns | None = None,
) -> Iterator[Running]:
    """A poller of what the file `sources.toml` names; `text_of` makes its text of the simulator's address."""
    raw, fetcher = RawStore(root, 7, 10**9), Fetcher(10, 10**7)
    cities = [city([station("1"), station("2")], system_id=each) for each in ("town", "village")]
    with serve(cities, 0, ttl_s=1) as url:

        def make(source: Source) -> SourceAsker:
            made = asker(source, Defaults(60, url, None), fetcher)
            made.first_within_s = 0.0
            return made

        running = Running(root / "sources.toml", url)
        running.file.write_text(text_of(url))
        raw.start()
        roster = Roster(running.file, make)
        lanes = Lanes(1, lambda partition: Lane(kafka.writer(partition), 0.01))
        running.poller = Poller(roster, Alone(1), lanes, raw, turns or Turns(2, 4), running.beat)
        running.thread.start()
        try:
            yield running
        finally:
            running.stop.set()
            running.thread.join(WAIT_S)
            raw.close()
            fetcher.close()


def town_every(seconds: int) -> Callable[[str], str]:
    return lambda url: entry(url, poll_seconds=seconds)


def statuses(kafka: StandInKafka) -> list[dict[str, Any]]:
    return [row for row in kafka.rows(topics.POLLS) if row["feed"] == "station_status"]


def test_a_system_is_polled_at_its_interval_and_its_answers_are_kept(kafka: StandInKafka, tmp_path: Path) -> None:
    with polling(kafka, tmp_path, town_every(1)) as running:
        running.wait_until(lambda: len(statuses(kafka)) >= 3)
    times = [row["fetched_at"] for row in statuses(kafka)]
    assert all(later - at > timedelta(seconds=0.8) for at, later in pairwise(times))
    assert {row["outcome"] for row in kafka.rows(topics.POLLS)} <= {"ok", "not_modified"}
    assert len(list(tmp_path.glob("*/*.jsonl.zst"))) >= 1
    assert running.beats[-1]["rows"]["topics/polls"] >= 3


def test_what_a_source_cannot_learn_of_a_poll_ends_no_lane(
    kafka: StandInKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unforeseen(_: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("bike_assets.ingest.asking.ttl_of", unforeseen)
    with polling(kafka, tmp_path, town_every(1)) as running:
        running.wait_until(lambda: len(statuses(kafka)) >= 2)
    assert {row["outcome"] for row in kafka.rows(topics.POLLS)} <= {"ok", "not_modified"}


def test_a_system_is_polled_at_once_when_asked(kafka: StandInKafka, tmp_path: Path) -> None:
    with polling(kafka, tmp_path, town_every(3600)) as running:
        running.wait_until(lambda: len(statuses(kafka)) == 1)
        polls = running.poller.poll_now("town", WAIT_S)
        assert [poll.feed for poll in polls] == ["station_status"]
        assert len(statuses(kafka)) == 2
        with pytest.raises(KeyError):
            running.poller.poll_now("village", WAIT_S)


def test_all_who_ask_for_a_system_at_the_same_time_get_its_polls(kafka: StandInKafka, tmp_path: Path) -> None:
    with polling(kafka, tmp_path, town_every(3600)) as running, ThreadPoolExecutor(3) as asking:
        running.wait_until(lambda: len(statuses(kafka)) == 1)
        asked = [asking.submit(running.poller.poll_now, "town", WAIT_S) for _ in range(3)]
        # A poll that was under way and the one that was asked for can be in one commit.
        assert [{poll.feed for poll in each.result()} for each in asked] == [{"station_status"}] * 3


def test_a_full_lane_holds_its_systems_back_until_the_broker_is_there_again(
    kafka: StandInKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "QUEUE_ANSWERS", 8)
    opened = threading.Event()
    writer_of = kafka.writer

    def held(partition: int) -> Any:
        writer = writer_of(partition)
        open_it = writer.open
        monkeypatch.setattr(writer, "open", lambda: (opened.wait(WAIT_S), open_it()))
        return writer

    monkeypatch.setattr(kafka, "writer", held)
    with polling(kafka, tmp_path, town_every(1)) as running:
        # The first round brings five answers, which is more than half of the queue.
        running.wait_until(lambda: any(beat["lanes"][0]["queued"] == 5 for beat in running.beats))
        beats = len(running.beats)
        running.wait_until(lambda: len(running.beats) >= beats + 3)
        assert running.beats[-1]["rows"]["raw/answers"] == 5
        opened.set()
        running.wait_until(lambda: len(statuses(kafka)) >= 2)


def test_a_fenced_writer_ends_the_poller(kafka: StandInKafka, tmp_path: Path) -> None:
    with polling(kafka, tmp_path, town_every(1)) as running:
        running.wait_until(lambda: len(statuses(kafka)) >= 1)
        kafka.writer(0).open()
        running.thread.join(WAIT_S)
        assert isinstance(running.error, Fenced)


def last_good(running: Running) -> datetime:
    """When the town's last good poll was: a day later it is quiet, and that says so."""
    last = running.poller.quiet(datetime.now(UTC) + timedelta(days=1))["town"]
    assert last is not None
    return last


def test_a_system_without_a_good_poll_for_half_an_hour_is_quiet(kafka: StandInKafka, tmp_path: Path) -> None:
    with polling(kafka, tmp_path, town_every(1)) as running:
        assert running.poller.quiet(datetime.now(UTC)) == {}, "while nobody polled, none was missed"
        running.wait_until(lambda: len(statuses(kafka)) >= 1)
    last = last_good(running)
    assert running.poller.quiet(last + MAX_GAP) == {}
    assert running.poller.quiet(last + MAX_GAP + timedelta(seconds=9)) == {"town": last}
    assert running.beats[-1]["quiet"] == {}


def test_a_system_that_is_asked_seldom_has_two_of_its_intervals(kafka: StandInKafka, tmp_path: Path) -> None:
    with polling(kafka, tmp_path, town_every(3600)) as running:
        running.wait_until(lambda: len(statuses(kafka)) == 1)
    last = last_good(running)
    assert running.poller.quiet(last + timedelta(seconds=7190)) == {}
    assert running.poller.quiet(last + timedelta(seconds=7210)) == {"town": last}


def test_a_lane_that_lost_kafka_makes_no_system_quiet(kafka: StandInKafka, tmp_path: Path) -> None:
    with polling(kafka, tmp_path, town_every(1)) as running:
        running.wait_until(lambda: len(statuses(kafka)) >= 1 and running.poller.quiet(datetime.now(UTC)) == {})
        last = last_good(running)
        running.poller._lanes.held[0]._writer.memories.clear()
        assert running.poller.quiet(last + MAX_GAP) == {}
