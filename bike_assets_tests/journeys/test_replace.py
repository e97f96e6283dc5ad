"""A broken parser, mended: what it made is replaced, by a recording and from `raw/`, in the whole path."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from bike_assets.ingest.recordings import encode_line
from bike_assets.lake.duck import ask, connect
from bike_assets.local.parts import is_broker_up
from bike_assets.model.tables import EVENTS_TABLES
from bike_assets.quality.events import chain_is_unbroken, rows_are_accounted_for
from bike_assets.quality.keys import keys_are_unique
from bike_assets.settings import load_settings
from bike_assets_tests.ingest.test_against_oracle import answers
from bike_assets_tests.journeys.homes import Home, is_one_sentence
from bike_assets_tests.journeys.tables import TOLD, expected, first_difference, found
from bike_assets_tests.local.test_replacing import spoiled
from bike_assets_tests.oracle.events import Line
from bike_assets_tests.oracle.made import CITIES, Station, instant, write

GBFS = CITIES[1]
MINUTE = timedelta(minutes=1)
BEGIN = instant("30 10:50:00")
KILLED = """
import os
from bike_assets import cli
from bike_assets.local import replacing
replacing.{where} = lambda *_: os._exit(9)
cli.main()
"""


def town(minutes: range, *, name: str = "town") -> list[Line]:
    """A town over an hour's edge: descriptions, then a poll a minute, then descriptions again."""
    first, last = BEGIN + minutes[0] * MINUTE, BEGIN + minutes[-1] * MINUTE
    lines = [
        GBFS.information(first - MINUTE / 2, {"1": "Square", "2": "Park"}),
        *(GBFS.poll(BEGIN + n * MINUTE, {"1": Station(n % 7, 9 - n % 7), "2": Station(n % 3, 9), "3": Station(0)})
          for n in minutes),
        GBFS.information(last + MINUTE / 2, {"1": "Square", "2": "Gardens"}),
    ]
    return [{**line, "system_id": name} for line in lines]


FIRST, LATER = range(20), range(22, 30)
OTHER = town(FIRST, name="other")
"""A town that nobody replaces."""


def keep_raw(home: Home, lines: list[Line]) -> None:
    """As the poller keeps them."""
    for answer in answers(lines):
        path = home.path / "raw" / f"{answer.fetched_at:%Y-%m-%d}" / f"{answer.fetched_at:%H}-000000000000.jsonl.zst"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(zstandard.compress(encode_line(answer)))


@dataclass(frozen=True)
class Lake:
    """The tables as `bike sql --json` gives them, without a process for each question."""

    home: Home

    def rows(self, query: str) -> list[dict[str, Any]]:
        answer = ask(self.home.path / "lake", query)
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        plain: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(rows, enc_hook=str))
        return plain


def assert_told(home: Home, lines: list[Line]) -> None:
    """Every row of every table that the oracle tells of, and the checks of the stream's tables."""
    for table in TOLD:
        assert first_difference(found(Lake(home), table), expected(table, lines)) is None, table.name
    with connect(home.path / "lake") as con:
        unique = (keys_are_unique(con, each) for each in EVENTS_TABLES)
        looked_at = [chain_is_unbroken(con), rows_are_accounted_for(con), *unique]
        assert [each.first_bad for each in looked_at if each.bad] == []


@dataclass(frozen=True)
class Journey:
    """A home in which a town was read by a broken parser, and the file that tells it as it was."""

    home: Home
    mended: list[Line]
    file: Path


@pytest.fixture(scope="module")
def journey(a_home: Home) -> Iterator[Journey]:
    mended = town(FIRST)
    with a_home.running("run", "broker", until=lambda: is_broker_up(load_settings(kafka=a_home.bootstrap), 0.5)):
        a_home.answer("replay", write(a_home.directory / "broken.jsonl", [*spoiled(mended), *OTHER]))
        yield Journey(a_home, mended, write(a_home.directory / "mended.jsonl", mended))


def test_1_killed_between_tables_and_topics_nobody_else_writes_before_it_is_finished(journey: Journey) -> None:
    program = KILLED.format(where="take_out_descriptions")
    process = journey.home.start("replay", "--replace", journey.file.name, command=(sys.executable, "-c", program))
    assert process.wait(120) == 9
    for words in (("drain",), ("replay", journey.file)):
        done = journey.home.bike(*words)
        assert is_one_sentence(done.stderr), done.stderr
        assert "was broken off" in done.stderr


def test_2_done_again_it_is_as_if_it_had_been_read_so_from_the_first(journey: Journey) -> None:
    done = journey.home.answer("replay", "--replace", journey.file)
    assert done["systems"] == ["town"]
    assert (done["after"]["polls"], done["after"]["rows_rejected"]) == (len(journey.mended), 0)
    assert_told(journey.home, [*journey.mended, *OTHER])
    assert journey.home.answer("rejections", "list") == []


def test_3_a_poller_goes_on_and_what_it_loses_is_restored_from_raw(journey: Journey) -> None:
    """By a stream that lost its checkpoint: what was replaced before does not come back."""
    later = town(LATER)
    keep_raw(journey.home, [*journey.mended, *later])
    journey.home.answer("replay", write(journey.home.directory / "later.jsonl", spoiled(later)))
    shutil.rmtree(journey.home.path / "lake" / "_checkpoints")
    done = journey.home.answer("rejections", "restore", "town", "--from", "2024-03-30")
    since = datetime.fromisoformat(done["since"])
    assert since > BEGIN + LATER[0] * MINUTE - MINUTE, "from the first poll that lost something, and not before"
    assert (done["before"]["rows_rejected"] > 0, done["after"]["rows_rejected"]) == (True, 0)
    assert_told(journey.home, [*journey.mended, *later, *OTHER])
    assert journey.home.answer("rejections", "list") == []
