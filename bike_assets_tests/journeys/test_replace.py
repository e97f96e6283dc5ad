"""A broken parser, mended: what it made is replaced, by a recording and from `raw/`, in the whole path."""

import shutil
import sys
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import zstandard

from bike_assets.ingest.recordings import encode_line
from bike_assets.lake.duck import connect
from bike_assets.model.tables import EVENTS_TABLES
from bike_assets.quality.events import chain_is_unbroken, rows_are_accounted_for
from bike_assets.quality.keys import keys_are_unique
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


def assert_told(home: Home, lines: list[Line]) -> None:
    """Every row of every table that the oracle tells of, and the checks of the stream's tables."""
    for table in TOLD:
        assert first_difference(found(home, table), expected(table, lines)) is None, table.name
    with connect(home.path / "lake") as con:
        unique = (keys_are_unique(con, each) for each in EVENTS_TABLES)
        looked_at = [chain_is_unbroken(con), rows_are_accounted_for(con), *unique]
        assert [each.first_bad for each in looked_at if each.bad] == []


@dataclass(frozen=True)
class Journey:
    """A home in which a town was read by a broken parser, and the file that tells it as it was."""

    home: Home
    broken: list[Line]
    mended: list[Line]
    file: Path


@pytest.fixture(scope="module")
def journey(a_home: Home) -> Journey:
    mended = town(FIRST)
    broken = spoiled(deepcopy(mended))
    a_home.answer("replay", write(a_home.directory / "broken.jsonl", [*broken, *OTHER]))
    a_home.answer("drain")
    assert_told(a_home, [*broken, *OTHER])
    return Journey(a_home, broken, mended, write(a_home.directory / "mended.jsonl", mended))


def test_1_what_was_refused_is_listed_and_shown(journey: Journey) -> None:
    groups = journey.home.answer("rejections", "list", "--system", "town")
    rows = journey.home.answer("rejections", "show", "town", "--limit", "100")
    assert sum(each["rows"] for each in groups) == len(rows) > 0
    said = journey.home.bike("rejections", "list").stdout
    assert "town" in said
    assert "other" not in said


def test_2_a_recording_that_ends_before_the_tables_is_refused(journey: Journey) -> None:
    part = write(journey.home.directory / "part.jsonl", journey.mended[:5])
    done = journey.home.bike("replay", "--replace", part)
    assert is_one_sentence(done.stderr), done.stderr
    assert "what follows hangs on them" in done.stderr


def test_3_broken_off_between_tables_and_topics_all_else_is_refused(journey: Journey) -> None:
    process = journey.home.start("replay", "--replace", journey.file,
                                 command=(sys.executable, "-c", KILLED.format(where="take_out_descriptions")))
    assert process.wait(120) == 9
    journey.home.kill_all()  # its broker
    for words in (("drain",), ("replay", journey.file)):
        done = journey.home.bike(*words)
        assert is_one_sentence(done.stderr), done.stderr
        assert "was broken off" in done.stderr


def test_4_done_again_it_is_as_if_it_had_been_read_so_from_the_first(journey: Journey) -> None:
    done = journey.home.answer("replay", "--replace", journey.file)
    assert done["systems"] == ["town"]
    assert done["after"]["rows_rejected"] == 0
    assert done["after"]["polls"] == len(journey.mended)
    assert_told(journey.home, [*journey.mended, *OTHER])
    assert journey.home.answer("rejections", "list") == []


def test_5_what_was_replaced_does_not_come_back_with_a_lost_checkpoint(journey: Journey) -> None:
    shutil.rmtree(journey.home.path / "lake" / "_checkpoints")
    assert journey.home.answer("drain")["messages"] == 0
    assert_told(journey.home, [*journey.mended, *OTHER])


def test_6_a_poller_goes_on_and_what_it_loses_is_restored_from_raw(journey: Journey) -> None:
    later = town(LATER)
    broken = spoiled(later)
    keep_raw(journey.home, [*journey.mended, *later])
    journey.home.answer("replay", write(journey.home.directory / "later.jsonl", broken))
    journey.home.answer("drain")
    assert_told(journey.home, [*journey.mended, *broken, *OTHER])
    done = journey.home.answer("rejections", "restore", "town", "--from", "2024-03-30")
    first = msgspec.convert(done["since"], datetime)
    assert first >= BEGIN + LATER[0] * MINUTE - MINUTE, "from the first poll that lost something, and not before"
    assert (done["before"]["rows_rejected"] > 0, done["after"]["rows_rejected"]) == (True, 0)
    assert_told(journey.home, [*journey.mended, *later, *OTHER])
