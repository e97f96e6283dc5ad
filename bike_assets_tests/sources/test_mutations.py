"""Whatever became of a body on its way, no parser fails but by saying so, and each of its rows is accounted for.

`BIKE_TEST_MUTATIONS` sets how many examples each test draws, of two mutated answers or, with all contracts, of one: 300
by default. `python -m bench mutations` puts 100,000 through each parser, without looking for the smallest that fails.
"""

import json
import os
import re
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bike_assets.ingest.memory import SystemMemory
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.records import take
from bike_assets.ingest.routing import parts
from bike_assets.model.answers import ALL_CONTRACTS, Answer
from bike_assets.model.messages import Outcome
from bike_assets.simulator import gbfs, jcdecaux
from bike_assets_tests.simulator.builders import MORNING
from bike_assets_tests.sources.builders import answer
from bike_assets_tests.sources.mutants import (
    BROKEN_OFF,
    ODD_VALUES,
    OTHER,
    TOWN,
    VALUE,
    all_contracts,
    bodies,
)

EXAMPLES = int(os.environ.get("BIKE_TEST_MUTATIONS", "300"))


@st.composite
def mutated(draw: st.DrawFn, body: bytes) -> bytes:
    """A body in which values became odd ones, bytes came or went, or pieces stand elsewhere."""
    for _ in range(draw(st.integers(1, 4))):
        match draw(st.integers(0, 4)):
            case 0 | 1:
                found = list(VALUE.finditer(body))
                if found:
                    start, end = draw(st.sampled_from(found)).span()
                    body = body[:start] + draw(st.sampled_from(ODD_VALUES)) + body[end:]
            case 2:
                at = draw(st.integers(0, len(body)))
                body = body[:at] + draw(st.sampled_from(BROKEN_OFF) | st.binary(max_size=4)) + body[at:]
            case 3:
                start = draw(st.integers(0, len(body)))
                body = body[:start] + body[start + draw(st.integers(0, 40)) :]
            case 4:
                start, at = draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))
                body = body[:at] + body[start : start + draw(st.integers(0, 300))] + body[at:]
    return body


def asked(feed: str, body: bytes, second: int, system_id: str = TOWN.system_id) -> Answer:
    return replace(answer(feed, body, system_id), fetched_at=MORNING + timedelta(seconds=second))


def account_for(memory: SystemMemory, one: Answer) -> None:
    """Take an answer in as the poller does, find each of its rows in the poll's record, and read all back that it
    commits: what cannot be read again would end every poller of the partition.
    """
    poll, records = take(memory, one, Profile(timezone="UTC"))
    for record in records:
        kinds = record.topic.message
        kind = kinds[0] if len(kinds) == 1 or "/" in record.key else kinds[1]
        assert record.value is None or msgspec.json.decode(record.value, type=kind)
    if poll.outcome is Outcome.INVALID and not poll.rows_in:
        assert poll.error
    assert poll.rows_in == poll.rows_accepted + poll.rows_rejected


@pytest.mark.parametrize("version", [*gbfs.VERSIONS, *jcdecaux.ROWS])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_mutated_body_breaks_a_parser_or_loses_a_row(version: str, data: st.DataObject) -> None:
    feed, body = data.draw(st.sampled_from(sorted(bodies(version).items())))
    memory = SystemMemory(TOWN.system_id)
    memory.electric_types = frozenset({"ebike"})
    account_for(memory, asked(feed, body, 0))
    for second in (1, 2):
        account_for(memory, asked(feed, data.draw(mutated(body)), second))


@pytest.mark.parametrize("endless", [b'"inf"', b'"Infinity"', b"1e400"])
def test_a_range_without_end_is_committed_as_nothing_that_cannot_be_read_again(endless: bytes) -> None:
    body, found = re.subn(rb'(?<="max_range_meters":)[\d.]+', endless, bodies("2.3")["gbfs.vehicle_types"])
    assert found
    account_for(SystemMemory(TOWN.system_id), asked("gbfs.vehicle_types", body, 0))


def test_what_is_mutated_here_is_read_whole() -> None:
    for version in (*gbfs.VERSIONS, *jcdecaux.ROWS):
        for feed, body in bodies(version).items():
            poll = take(SystemMemory(TOWN.system_id), asked(feed, body, 0), Profile(timezone="UTC")).poll
            assert (poll.outcome, poll.rows_rejected, poll.rows_in > 0) == (Outcome.OK, 0, True)


@pytest.mark.parametrize("version", jcdecaux.ROWS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_mutated_answer_with_all_contracts_loses_a_row(version: str, data: st.DataObject) -> None:
    feed, body = f"jcdecaux.{version}.stations", data.draw(mutated(all_contracts(version)))
    expected = [TOWN.system_id, OTHER.system_id]
    found = parts(asked(feed, body, 0, ALL_CONTRACTS), lambda: expected)
    polls = [take(SystemMemory(part.system_id), part, Profile(timezone="UTC")).poll for part in found]
    assert {poll.system_id for poll in polls} >= set(expected)
    assert all(poll.rows_in == poll.rows_accepted + poll.rows_rejected for poll in polls)
    try:
        came = len(json.loads(body))
    except (ValueError, RecursionError):
        return
    assert sum(poll.rows_in for poll in polls) in (came, 0)
