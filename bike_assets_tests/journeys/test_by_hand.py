"""Polls and materialisations by hand with all services down, of APIs good and bad; and the key is nowhere after it."""

import gzip
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import zstandard

from bike_assets.local.ports import free_ports
from bike_assets.locks import is_held
from bike_assets_tests.conftest import CHECKOUT
from bike_assets_tests.journeys import apis as api
from bike_assets_tests.journeys.homes import BIKE, BIN, COMMAND_S, Home, is_one_sentence, wait_until

KEY = "canary/5f3e9d+0a"
OUTCOMES = {
    api.GOOD: "ok", api.BAD_ROWS: "ok", api.FORBIDDEN: "http_error", api.ELSEWHERE: "http_error", api.SLOW: "timeout",
    api.REFUSED: "http_error", api.NO_JSON: "invalid", api.WRONG_SHAPE: "invalid",
}  # fmt: skip
TABLES = ("events/station_status", "events/polls", "events/rejections", "live/system_minute")


@dataclass
class ByHand:
    """A home in which nothing runs, its sources the APIs, and all that was said in it."""

    home: Home
    systems: list[str]
    said: list[bytes] = field(default_factory=list)

    def run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command in it and keep what it says."""
        done = subprocess.run(command, env=self.home.environment, cwd=self.home.directory, capture_output=True,
                              timeout=COMMAND_S, check=False)
        self.said += [done.stdout, done.stderr]
        return done

    def materialise(self, *keys: str, day: str | None = None) -> subprocess.CompletedProcess[bytes]:
        """Materialise assets, or a day of them, by Dagster's own command line."""
        partition = () if day is None else ("--partition", day)
        return self.run(str(BIN / "dagster"), "asset", "materialize", "-m",
                        "bike_assets.definitions", "--select", ",".join(keys), *partition)


def sources(base: str) -> str:
    """A sources file with all of the APIs."""
    urls = {case: f"{base}/{case}" for case in OUTCOMES} | {api.REFUSED: f"http://127.0.0.1:{free_ports(1)[0]}"}
    return "".join(
        f'[[systems]]\nkind = "jcdecaux"\ncontract = "{case}"\nurl = "{url}"\n' for case, url in urls.items()
    )


@pytest.fixture(scope="module")
def by_hand(a_home: Home) -> Iterator[ByHand]:
    """The home with its sources file and Dagster's own home."""
    with api.apis() as base:
        file = a_home.directory / "sources.toml"
        file.write_text(sources(base))
        dagster_home = a_home.path / "dagster"
        dagster_home.mkdir()
        shutil.copy(CHECKOUT / "dagster.yaml", dagster_home)
        a_home.environment |= {
            "BIKE_SOURCES": str(file), "BIKE_JCDECAUX_KEY": KEY, "BIKE_READ_SECONDS": "1", "BIKE_LOG_LEVEL": "DEBUG",
            "BIKE_POLL_SECONDS": "1", "DAGSTER_HOME": str(dagster_home),
        }  # fmt: skip
        yield ByHand(a_home, [f"jcdecaux:{case}" for case in OUTCOMES])


def by_case(rows: list[dict[str, Any]], column: str) -> dict[str, Any]:
    return {row["system_id"].removeprefix("jcdecaux:"): row[column] for row in rows}


def test_a_poll_by_hand_gives_every_answer_its_outcome(by_hand: ByHand) -> None:
    polls = by_hand.home.answer("poll", *by_hand.systems)
    assert by_case(polls, "outcome") == OUTCOMES
    assert {case for case, error in by_case(polls, "error").items() if error is None} == {api.GOOD, api.BAD_ROWS}
    assert {case: count for case, count in by_case(polls, "rows_rejected").items() if count} == {api.BAD_ROWS: 3}
    by_hand.said.append(repr(polls).encode())
    assert by_hand.home.processes() == []


def test_a_system_that_nobody_named_is_refused_in_a_sentence(by_hand: ByHand) -> None:
    refused = by_hand.home.bike("poll", "jcdecaux:atlantis")
    assert refused.returncode == 1
    assert is_one_sentence(refused.stderr), refused.stderr


def test_assets_can_be_materialised_with_all_services_down(by_hand: ByHand) -> None:
    done = by_hand.materialise("raw/answers", *TABLES, day=f"{datetime.now(UTC):%Y-%m-%d}")
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert by_hand.home.processes() == []
    polls = by_hand.home.rows("SELECT system_id, count(*) AS polls FROM events.polls GROUP BY ALL")
    assert by_case(polls, "polls") == dict.fromkeys(OUTCOMES, 2)


def test_good_rows_are_kept_and_bad_ones_and_bad_bodies_are_rejected_with_a_reason(by_hand: ByHand) -> None:
    stations = by_hand.home.rows("SELECT DISTINCT system_id, station_id FROM events.station_status")
    assert sorted(row["system_id"].removeprefix("jcdecaux:") for row in stations) == [api.BAD_ROWS] * 2 + [api.GOOD] * 2
    rejected = by_hand.home.rows("FROM events.rejections WHERE length(reason) > 5 AND length(payload) > 5")
    places = sorted((row["system_id"].removeprefix("jcdecaux:"), row["row_index"]) for row in rejected)
    assert places == sorted([(api.BAD_ROWS, 2), (api.BAD_ROWS, 3), (api.BAD_ROWS, 4), (api.NO_JSON, -1),
                             (api.WRONG_SHAPE, -1)] * 2)


def test_a_run_that_cannot_succeed_fails_with_the_reason(by_hand: ByHand) -> None:
    file = Path(by_hand.home.environment["BIKE_SOURCES"])
    good = file.read_text()
    file.write_text(f'{good}api_key = "{KEY}"\n')
    failed = by_hand.materialise("raw/answers")
    file.write_text(good)
    assert failed.returncode == 1
    assert b"a key does not belong in this file" in failed.stdout + failed.stderr


def test_a_poller_keeps_no_key_either(by_hand: ByHand) -> None:
    home = by_hand.home
    with running_poller(home):
        files = home.path / "raw"
        before = size_of(files)
        wait_until(lambda: size_of(files) > before, 30, "the poller keeps answers")
    by_hand.run(*BIKE, "config")
    by_hand.run(*BIKE, "status")


def test_the_key_is_in_no_byte_of_the_home_and_in_nothing_that_was_said(by_hand: ByHand) -> None:
    home = by_hand.home
    # Where the key could have been there are answers, messages, rows, runs and logs; else nothing was looked at.
    for kind in ("raw/**/*.zst", "kafka/polls-*/*.log", "lake/events/polls/**/*.parquet", "dagster/**/*.db", "logs/*"):
        assert any(file.stat().st_size for file in home.path.glob(kind)), kind
    files = [file for place in (home.path, home.directory) for file in place.rglob("*") if file.is_file()]
    assert [str(file) for file in files if any(map(has_key, readable(file)))] == []
    assert [said for said in by_hand.said if has_key(said)] == []


def has_key(text: bytes) -> bool:
    """Whether the key is in it, in any of the ways in which it is spelled."""
    return any(spelled.encode() in text for spelled in (KEY, quote(KEY), quote(KEY, safe=""), KEY.replace("/", "\\/")))


def readable(file: Path) -> Iterator[bytes]:
    """A file's bytes, and what they hold where they are packed."""
    yield file.read_bytes()
    if file.suffix == ".zst":
        with file.open("rb") as packed:
            yield zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True).read()
    if file.suffix == ".gz":
        yield gzip.decompress(file.read_bytes())
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield repr(pq.read_table(file).to_pylist()).encode()


def size_of(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*.zst"))


@contextmanager
def running_poller(home: Home) -> Iterator[None]:
    """A poller on a broker of its own."""
    lock = home.path / "run" / "poller.lock"
    with (
        home.running("run", "broker", until=lambda: True),
        home.running("run", "poller", until=lambda: is_held(lock), within_s=60),
    ):
        yield
