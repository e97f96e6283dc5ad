"""Whatever became of a body on its way, no parser fails but by saying so, and each of its rows is accounted for.

`BIKE_TEST_MUTATIONS` sets how many examples each test draws, of two mutated answers or, with all contracts, of one: 300
by default. With 50,000, each version's parsers read 100,000 answers, in some 90 s a version.
"""

import json
import os
import re
from dataclasses import replace
from datetime import timedelta

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
from bike_assets_tests.simulator.builders import MORNING, city, fleet, station
from bike_assets_tests.sources.builders import answer

TOWN = city([station("1"), station("2", ebikes=2), station("3", is_open=False)], system_id="jcdecaux:town",
            fleet=fleet(3))
OTHER = city([station("4"), station("5")], system_id="jcdecaux:other")
GBFS_FEEDS = ("gbfs", "gbfs_versions", "system_information", "vehicle_types", "station_information", "free_bike_status",
              "vehicle_status", "station_status")

EXAMPLES = int(os.environ.get("BIKE_TEST_MUTATIONS", "300"))
ODD_VALUES = [
    b"null", b"true", b"-1", b"0", b"1", b"2", b"999", b"3.5", b"1e400", b"-1e400", b"1" * 400, b"NaN", b"Infinity",
    b"-Infinity", b"[]", b"{}", b'"NaN\n"', b'"\x07\x00"', b'""', b'"5"', b'"-5"',
    b'"1e400"', b'"nan"', b'"null"', b'"true"', b'"\\ud83d"', b'"\\u0000"', b'"\xff"',
    b'"0001-01-01T00:00:00+14:00"', b'"9999-12-31T23:59:59-14:00"', b'"2026-06-01T12:00:00"', b"1780315200000",
    b'"%b"' % (b"a" * 3_000), b"[" * 3_000, b"[" * 600 + b"]" * 600, b'[{"text":5}]', b'[{"text":"x"}]',
]  # fmt: skip
_VALUE = re.compile(rb'(?<=:)(?:"[^"]*"|[-+.\w]+|\[\]|\{\})')
BROKEN_OFF = [b'"', b"}", b"]", b",", b"{", b"[", b"\\", b"\xc3", b"\x00", b" ", b"<html>", b":", b"u"]


def bodies(version: str) -> dict[str, bytes]:
    """By feed, what the simulator serves in a version."""
    if version in jcdecaux.ROWS:
        return {f"jcdecaux.{version}.stations": jcdecaux.body(jcdecaux.stations(TOWN, version))}
    made = {f"gbfs.{name}": gbfs.feed(TOWN, name, "http://127.0.0.1:1", 5, version) for name in GBFS_FEEDS}
    return {feed: body for feed, body in made.items() if body is not None}


@st.composite
def mutated(draw: st.DrawFn, body: bytes) -> bytes:
    """A body in which values became odd ones, bytes came or went, or pieces stand elsewhere."""
    for _ in range(draw(st.integers(1, 4))):
        match draw(st.integers(0, 4)):
            case 0 | 1:
                found = list(_VALUE.finditer(body))
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
    """Take an answer in as the poller does, and find each of its rows in the poll's record."""
    poll = take(memory, one, Profile(timezone="UTC")).poll
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


def test_what_is_mutated_here_is_read_whole() -> None:
    for version in (*gbfs.VERSIONS, *jcdecaux.ROWS):
        for feed, body in bodies(version).items():
            poll = take(SystemMemory(TOWN.system_id), asked(feed, body, 0), Profile(timezone="UTC")).poll
            assert (poll.outcome, poll.rows_rejected, poll.rows_in > 0) == (Outcome.OK, 0, True)


@pytest.mark.parametrize("version", jcdecaux.ROWS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_mutated_answer_with_all_contracts_loses_a_row(version: str, data: st.DataObject) -> None:
    rows = jcdecaux.stations(TOWN, version) + jcdecaux.stations(OTHER, version)
    feed, body = f"jcdecaux.{version}.stations", data.draw(mutated(jcdecaux.body(rows)))
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
