"""A sources file that changes under a running poller: against the simulator's real server, and a stand-in for Kafka."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from bike_assets.ingest.asking import SourceAsker
from bike_assets.ingest.control import Control, ask_to_poll
from bike_assets.model import topics
from bike_assets.model.answers import Answer
from bike_assets.model.constants import MAX_GAP
from bike_assets.model.errors import BikeAssetsError
from bike_assets_tests.ingest.stand_in import StandInKafka
from bike_assets_tests.ingest.test_poller import WAIT_S, Running, entry, polling, town_every
from bike_assets_tests.waiting import wait_until


@pytest.fixture
def kafka() -> StandInKafka:
    return StandInKafka()


def polls(kafka: StandInKafka, system_id: str) -> list[dict[str, Any]]:
    rows = kafka.rows(topics.POLLS)
    return [row for row in rows if (row["system_id"], row["feed"]) == (system_id, "station_status")]


def events(kafka: StandInKafka, system_id: str) -> list[dict[str, Any]]:
    return [row for row in kafka.rows(topics.STATION_STATUS) if row["system_id"] == system_id]


def wait_for_polls(running: Running, kafka: StandInKafka, system_id: str, more: int = 2) -> None:
    wanted = len(polls(kafka, system_id)) + more
    running.wait_until(lambda: len(polls(kafka, system_id)) >= wanted)


def wait_until_alone(running: Running, systems: int) -> None:
    """Until the heartbeat says that so many systems are polled."""
    running.wait_until(lambda: running.beats[-1]["systems"] == systems)


def both(running: Running, every: int = 1) -> str:
    return "".join(entry(running.url, each, poll_seconds=every) for each in ("town", "village"))


def test_a_system_that_is_added_begins_while_the_others_go_on(kafka: StandInKafka, tmp_path: Path) -> None:
    with polling(kafka, tmp_path, town_every(1)) as running:
        wait_for_polls(running, kafka, "town")
        running.file.write_text(both(running))
        wait_for_polls(running, kafka, "village")
        wait_for_polls(running, kafka, "town")
    discoveries = [row for row in kafka.rows(topics.POLLS) if row["feed"] == "gbfs" and row["system_id"] == "town"]
    assert len(discoveries) == 1, "who stayed is not asked anew where its feeds are"


def test_a_system_that_is_removed_stops_and_goes_on_from_its_state_when_it_is_back(
    kafka: StandInKafka, tmp_path: Path
) -> None:
    with polling(kafka, tmp_path, town_every(1)) as running:
        wait_for_polls(running, kafka, "town")
        running.file.write_text(entry(running.url, "village", poll_seconds=1))
        wait_for_polls(running, kafka, "village")
        seen = len(polls(kafka, "town"))
        wait_for_polls(running, kafka, "village")
        assert len(polls(kafka, "town")) == seen
        assert running.beats[-1]["systems"] == 1
        requests.post(f"{running.url}/admin/ride?system_id=town", timeout=10)  # a bike less, and one more elsewhere
        running.file.write_text(both(running))
        wait_for_polls(running, kafka, "town")
    first, later = events(kafka, "town")[:2], events(kafka, "town")[2:]
    assert [each["bikes_before"] for each in first] == [None, None]
    changes = [each for each in later if each["kind"] == "change"]
    assert sorted(each["bikes_available"] - each["bikes_before"] for each in changes) == [-1, 1]
    assert {each["state_since"] for each in later} == {each["state_since"] for each in first}
    times = [row["fetched_at"] for row in polls(kafka, "town")]
    assert times == sorted(set(times))
    assert {row["outcome"] for row in polls(kafka, "town")} <= {"ok", "not_modified"}


def test_another_interval_and_other_words_take_effect(kafka: StandInKafka, tmp_path: Path) -> None:
    with polling(kafka, tmp_path, town_every(3600)) as running:
        wait_for_polls(running, kafka, "town", 1)
        running.file.write_text(entry(running.url, poll_seconds=1, name="Another"))
        wait_for_polls(running, kafka, "town", 3)


def test_another_address_is_asked_under_the_same_id(kafka: StandInKafka, tmp_path: Path) -> None:
    with polling(kafka, tmp_path, town_every(1)) as running:
        wait_for_polls(running, kafka, "town")
        running.file.write_text(entry(running.url, poll_seconds=1, url=f"{running.url}/gbfs/nowhere/gbfs.json"))
        running.wait_until(lambda: any(row["http_status"] == 404 for row in kafka.rows(topics.POLLS)))
        assert {row["system_id"] for row in kafka.rows(topics.POLLS)} == {"town"}


def test_a_broken_file_keeps_all_as_it_was_and_says_so_until_it_is_mended(
    kafka: StandInKafka, tmp_path: Path
) -> None:
    with polling(kafka, tmp_path, town_every(1)) as running:
        wait_for_polls(running, kafka, "town")
        assert running.beats[-1]["sources_trouble"] is None
        running.file.write_text(f"{both(running)}speed = 3\n")
        running.wait_until(lambda: "speed" in (running.beats[-1]["sources_trouble"] or ""))
        wait_for_polls(running, kafka, "town")
        assert polls(kafka, "village") == []
        running.file.write_text(both(running))
        wait_for_polls(running, kafka, "village")
        assert running.beats[-1]["sources_trouble"] is None


class Held(SourceAsker):
    """Fetches the town's status, and holds it back until it is let go."""

    fetched, let_go = threading.Event(), threading.Event()

    def ask(self) -> Iterator[Answer]:
        for answer in super().ask():
            if answer.system_id == "town" and answer.feed == "gbfs.station_status":
                self.fetched.set()
                assert self.let_go.wait(WAIT_S)
            yield answer


def test_what_a_removed_system_answers_late_is_not_written(kafka: StandInKafka, tmp_path: Path) -> None:
    Held.fetched.clear()
    Held.let_go.clear()
    with polling(kafka, tmp_path, town_every(1), Held) as running:
        assert Held.fetched.wait(WAIT_S)
        running.file.write_text(entry(running.url, "village", poll_seconds=1))
        wait_for_polls(running, kafka, "village", 1)
        Held.let_go.set()
        wait_for_polls(running, kafka, "village", 2)
        assert polls(kafka, "town") == []


def test_who_waits_for_a_system_that_is_removed_is_told_at_once(kafka: StandInKafka, tmp_path: Path) -> None:
    Held.fetched.clear()
    Held.let_go.clear()
    with polling(kafka, tmp_path, town_every(1), Held) as running, ThreadPoolExecutor(1) as pool:
        control = Control(tmp_path, running.poller.poll_now)
        control.start()
        assert Held.fetched.wait(WAIT_S)
        asked = pool.submit(ask_to_poll, tmp_path, "town")
        wait_until(lambda: bool(running.poller._waiting["town"]))
        running.file.write_text(entry(running.url, "village", poll_seconds=1))
        with pytest.raises(BikeAssetsError, match=r"^town is not in the sources file\.$"):
            asked.result(WAIT_S)
        Held.let_go.set()
        control.stop()


def test_a_system_that_comes_late_is_not_quiet_for_what_was_before_it(kafka: StandInKafka, tmp_path: Path) -> None:
    with polling(kafka, tmp_path, town_every(1)) as running:
        wait_for_polls(running, kafka, "town", 1)
        running.poller._since["town"] -= timedelta(days=1)  # as if the poller had been up for long
        running.file.write_text(both(running, 3600))
        wait_until_alone(running, 2)
        assert running.poller.quiet(datetime.now(UTC)) == {}
        assert "village" in running.poller.quiet(datetime.now(UTC) + 5 * MAX_GAP)


def test_a_feed_that_failed_is_told_no_more_once_its_system_is_gone(kafka: StandInKafka, tmp_path: Path) -> None:
    def failing(running: Running) -> list[str]:
        return [name for beat in running.beats[-1:] for lane in beat["lanes"] for name in lane["failing"]]

    def one_is_nowhere(url: str) -> str:
        return entry(url) + entry(url, "village", url=f"{url}/gbfs/nowhere/gbfs.json")

    with polling(kafka, tmp_path, one_is_nowhere) as running:
        running.wait_until(lambda: failing(running) == ["village gbfs"])
        running.file.write_text(entry(running.url))
        running.wait_until(lambda: failing(running) == [])
