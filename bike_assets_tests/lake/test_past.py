"""What is read back of an instant equals what a poller remembered then."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from bike_assets.ingest.memory import Memories, SystemMemory
from bike_assets.ingest.recordings import read_recording
from bike_assets.ingest.replay import newer
from bike_assets.ingest.rewind import recalled
from bike_assets.lake.duck import connect
from bike_assets.lake.past import TABLES, past
from bike_assets.model.answers import Answer
from bike_assets_tests.ingest.lakes import write_lake
from bike_assets_tests.ingest.stand_in import PARTITIONS, StandInKafka, replay
from bike_assets_tests.ingest.test_against_oracle import RECORDINGS, answers
from bike_assets_tests.ingest.test_vehicles import Polled, histories, polled
from bike_assets_tests.oracle.events import Line
from bike_assets_tests.oracle.made import MADE, recordings

NOT_TOLD = {"electric_types", "is_shared_feed", "last_poll", "totals", "unlisted_since"}


def remembered(memories: Memories) -> dict[str, dict[str, Any]]:
    """All that is remembered and can be read back."""
    return {
        system_id: {name: getattr(memory, name) for name in SystemMemory.__dataclass_fields__ if name not in NOT_TOLD}
        | {"totals": memory.totals.as_columns()}
        for system_id, memory in memories.items()
    }


def first_difference(found: Any, wanted: Any) -> Any:
    """None where they are equal, else the innermost part that differs: a memory is long to read."""
    if isinstance(found, dict) and isinstance(wanted, dict) and found != wanted:
        key = next(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
        return key, first_difference(found.get(key), wanted.get(key))
    return None if found == wanted else (found, wanted)


def of_kafka(kafka: StandInKafka) -> Memories:
    return Memories({key: each for number in range(PARTITIONS) for key, each in kafka.memories(number).items()})


def assert_read_back(lake: Path, given: list[Answer], cuts: list[datetime]) -> None:
    """At each of these instants, of each system, whatever came after it."""
    taken = list(newer(Memories(), given))  # the others are skipped, and at another cut others would be
    kafka = StandInKafka()
    replay(kafka, taken)
    write_lake(lake, kafka)
    systems = {answer.system_id for answer in taken}
    with connect(lake, TABLES) as con:
        for at in cuts:
            before = StandInKafka()
            replay(before, [answer for answer in taken if answer.fetched_at < at])
            found = recalled(past(con, dict.fromkeys(systems, at)))
            assert first_difference(remembered(found), remembered(of_kafka(before))) is None, at


def instants(given: list[Answer]) -> list[datetime]:
    return sorted({answer.fetched_at for answer in given})


@pytest.mark.parametrize("name", MADE)
def test_of_what_is_made_by_hand_at_each_answer(tmp_path: Path, name: str) -> None:
    given = answers(MADE[name])
    assert_read_back(tmp_path, given, instants(given))


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name.split("_")[0])
def test_of_the_real_recordings_at_some_of_their_answers(tmp_path: Path, path: Path) -> None:
    given = list(read_recording(path))
    assert_read_back(tmp_path, given, instants(given)[::29])


def test_of_anything(tmp_path: Path) -> None:
    """Many recordings at once, each a system of its own, at all of their instants in turn."""
    found: list[list[Line]] = []

    @settings(max_examples=60, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(recordings())
    def collect(lines: list[Line]) -> None:
        found.append(lines)

    collect()
    given_ = [replace(answer, system_id=f"{n}:{answer.system_id}")
              for n, lines in enumerate(found) for answer in answers(lines)]
    every = instants(given_)
    assert_read_back(tmp_path, given_, every[:: max(1, len(every) // 25)])


def test_of_any_vehicles(tmp_path: Path) -> None:
    found: list[list[Polled]] = []

    @settings(max_examples=40, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(histories())
    def collect(polls: list[Polled]) -> None:
        found.append(polls)

    collect()
    given_ = [replace(polled(*each), system_id=f"town {n}") for n, polls in enumerate(found) for each in polls]
    every = instants(given_)
    assert_read_back(tmp_path, given_, every[:: max(1, len(every) // 20)])
