"""What is committed equals, row for row, what an independent reading of the same recording gives."""

import itertools
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bike_assets.ingest import replay as replaying
from bike_assets.ingest.recordings import decode_line, read_recording
from bike_assets.model import topics
from bike_assets.model.answers import Answer
from bike_assets_tests.ingest.stand_in import Fate, StandInKafka, replay
from bike_assets_tests.oracle.events import Line, information_rows, poll_rows, read_lines, station_status_rows
from bike_assets_tests.oracle.made import CITIES, MADE, Step, recordings, told

RECORDINGS = sorted((Path(__file__).parents[2] / "bike_assets" / "data" / "recordings").glob("*.jsonl.xz"))
NOT_COMPARED = {"request_id", "seconds", "bytes", "error"}
"""The first three are free to differ between replays; `error` is a sentence, whose presence is compared."""

Rows = list[dict[str, Any]]


def answers(lines: list[Line]) -> list[Answer]:
    return [decode_line(json.dumps(line).encode(), "made") for line in lines]


def expected(lines: list[Line]) -> dict[str, Rows]:
    """By topic, what the oracle reads."""
    return {"station_status": station_status_rows(lines), "polls": poll_rows(lines),
            "station_information": information_rows(lines)}


def committed(kafka: StandInKafka) -> dict[str, Rows]:
    """By topic, what was committed, in the oracle's order."""
    return {
        "station_status": _sorted(kafka.rows(topics.STATION_STATUS), "station_id", "observed_at"),
        "polls": [_compared(row) for row in _sorted(kafka.rows(topics.POLLS), "feed", "fetched_at")],
        "station_information": _sorted(kafka.rows(topics.STATION_INFORMATION), "station_id", "observed_at"),
    }


def _sorted(rows: Rows, *names: str) -> Rows:
    return sorted(rows, key=lambda row: (row["system_id"], *(row[name] for name in names)))


def _compared(poll: dict[str, Any]) -> dict[str, Any]:
    assert (poll["error"] is None) == (poll["outcome"] in ("ok", "not_modified"))
    return {name: value for name, value in poll.items() if name not in NOT_COMPARED}


def assert_equal(kafka: StandInKafka, rows: dict[str, Rows]) -> None:
    """All of it, in all columns; the tables one by one, so that a difference is short to read."""
    found = committed(kafka)
    for topic, wanted in rows.items():
        assert found[topic] == wanted, topic
    assert_nothing_vanished(kafka)


def assert_nothing_vanished(kafka: StandInKafka) -> None:
    """Each rejected row, and each body that is none, stands among the rejections."""
    rejections = [(row["system_id"], row["feed"], row["fetched_at"]) for row in kafka.rows(topics.REJECTIONS)
                  if row["row_index"] >= 0]
    for poll in kafka.rows(topics.POLLS):
        assert poll["rows_in"] == poll["rows_accepted"] + poll["rows_rejected"]
        assert rejections.count((poll["system_id"], poll["feed"], poll["fetched_at"])) == poll["rows_rejected"]


# ---- the real recordings -------------------------------------------------------------------------------------------

@cache
def expected_of(path: Path) -> dict[str, Rows]:
    return expected(read_lines(path))


real = pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name.split("_")[0])


@real
def test_a_real_recording_gives_the_oracles_rows(path: Path) -> None:
    kafka = StandInKafka()
    replay(kafka, read_recording(path))
    assert_equal(kafka, expected_of(path))


@real
def test_a_restart_every_seventeen_answers_and_lost_commits_change_nothing(path: Path) -> None:
    kafka = StandInKafka([Fate.STORED, Fate.LOST, Fate.UNCONFIRMED, Fate.LOST] * 5)
    everything = list(read_recording(path))
    for start in range(0, len(everything), 17):
        replay(kafka, everything[start : start + 17])
    assert_equal(kafka, expected_of(path))


@real
def test_a_second_replay_adds_nothing_and_says_how_much_it_skipped(path: Path) -> None:
    kafka = StandInKafka()
    first = replay(kafka, read_recording(path))
    records = {partition: list(own) for partition, own in kafka.committed.items()}
    second = replay(kafka, read_recording(path))
    assert kafka.committed == records
    assert (second.lines, second.written, second.skipped, second.events) == (first.lines, 0, first.lines, 0)


# ---- by hand and at random -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", MADE)
def test_what_is_made_by_hand_gives_the_oracles_rows(name: str) -> None:
    kafka = StandInKafka()
    replay(kafka, answers(MADE[name]))
    assert_equal(kafka, expected(MADE[name]))


@pytest.mark.parametrize("name", MADE)
def test_so_it_does_with_a_restart_after_every_answer(name: str) -> None:
    kafka = StandInKafka()
    for answer in answers(MADE[name]):
        replay(kafka, [answer])
    assert_equal(kafka, expected(MADE[name]))


@settings(max_examples=150, deadline=None)
@given(recordings(), st.integers(1, 40))
def test_anything_gives_the_oracles_rows_whatever_the_batch(lines: list[Line], batch: int) -> None:
    kafka = StandInKafka()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replaying, "BATCH_ANSWERS", batch)
        replay(kafka, answers(lines))
    assert_equal(kafka, expected(lines))


@settings(max_examples=150, deadline=None)
@given(recordings(), st.lists(st.integers(0, 72), max_size=8), st.lists(st.sampled_from(Fate), max_size=12))
def test_restarts_and_failed_commits_anywhere_change_nothing(
    lines: list[Line], cuts: list[int], fates: list[Fate]
) -> None:
    kafka = StandInKafka(fates)
    everything = answers(lines)
    places = [0, *sorted(cuts), len(everything)]
    for start, end in itertools.pairwise(places):
        replay(kafka, everything[start:end])
    assert_equal(kafka, expected(lines))


@settings(max_examples=100, deadline=None)
@given(recordings(), st.lists(st.integers(0, 72), max_size=4))
def test_replays_cut_short_and_begun_again_add_nothing(lines: list[Line], ends: list[int]) -> None:
    kafka = StandInKafka()
    everything = answers(lines)
    for end in [*ends, len(everything), *ends]:
        replay(kafka, everything[:end])
    assert_equal(kafka, expected(lines))


# ---- answers with all contracts ------------------------------------------------------------------------------------

def all_contracts(lines: list[Line]) -> list[Line]:
    """The same answers as if they spoke of two contracts, one of which is missing from every third."""
    for number, line in enumerate(lines):
        line["system_id"] = "jcdecaux"
        if isinstance(line.get("body"), list) and number % 3 != 2:
            line["body"] = [*line["body"], *(row | {"contract_name": "Lyon"} for row in line["body"])]
    return lines


@settings(max_examples=100, deadline=None)
@given(st.lists(st.builds(Step, st.integers(1, 7_200_000), st.sampled_from(["poll", "poll", "no_json", "failed"]),
                          st.just({})), min_size=1, max_size=12), st.integers(1, 12), st.booleans())
def test_an_answer_with_all_contracts_gives_the_oracles_rows(
    steps: list[Step], batch: int, is_restarted: bool
) -> None:
    lines = all_contracts(told(CITIES[0], steps))
    kafka = StandInKafka()
    everything = answers(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replaying, "BATCH_ANSWERS", batch)
        half = len(everything) // 2 if is_restarted else 0
        replay(kafka, everything[:half])
        replay(kafka, everything[half:])
    found = committed(kafka)
    if not any(isinstance(line.get("body"), list) for line in lines):
        return  # no contract was ever named: the failures are recorded under the id of all contracts
    for topic, wanted in expected(lines).items():
        assert [row for row in found[topic] if row["system_id"] != "jcdecaux"] == wanted
