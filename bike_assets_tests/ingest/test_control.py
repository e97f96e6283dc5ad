"""A running poller can be asked for a poll, by whoever can read its key."""

import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bike_assets.ingest.control import ADDRESS_FILE, Control, ask_to_poll
from bike_assets.model.errors import BikeAssetsError, ServiceNotReady
from bike_assets.model.messages import Poll
from bike_assets_tests.ingest.builders import status, taken
from bike_assets_tests.ingest.stand_in import StandInKafka

POLL = taken(StandInKafka().memories(0)["made_gbfs"], status()).poll


def answer_for(system_id: str, timeout_s: float) -> list[Poll]:
    if system_id == "slow":
        raise TimeoutError
    return {"town": [POLL]}[system_id]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    control = Control(tmp_path, answer_for)
    control.start()
    yield tmp_path
    control.stop()


def test_a_poll_that_was_asked_for_comes_back_as_it_was_committed(run: Path) -> None:
    assert ask_to_poll(run, "town") == [POLL]


@pytest.mark.parametrize(("system_id", "sentence"), [
    ("village", "village is not in the sources file"), ("slow", "slow was asked, but nothing was committed in 60 s")])
def test_what_cannot_be_polled_is_one_sentence(run: Path, system_id: str, sentence: str) -> None:
    with pytest.raises(BikeAssetsError, match=sentence):
        ask_to_poll(run, system_id)


def test_a_wrong_key_is_refused_and_the_next_asker_served(run: Path) -> None:
    file = run / ADDRESS_FILE
    right = file.read_bytes()
    file.write_bytes(msgspec.json.encode(msgspec.json.decode(right) | {"key": b"guess"}))
    with pytest.raises(ServiceNotReady):
        ask_to_poll(run, "town")
    file.write_bytes(right)
    assert ask_to_poll(run, "town") == [POLL]


def test_only_its_owner_can_read_the_key(run: Path) -> None:
    assert stat.S_IMODE((run / ADDRESS_FILE).stat().st_mode) == 0o600


def test_without_a_poller_it_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ServiceNotReady, match="The poller does not answer"):
        ask_to_poll(tmp_path, "town")
