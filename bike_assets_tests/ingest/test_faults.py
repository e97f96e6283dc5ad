"""All that a feed can do wrong, in one table: by each fault of the simulator, what comes of it, over HTTP and through
the real client, parsers, change detection and lane. Broker and clock are stand-ins.

Each runs three rounds: all is well, a fault, all is well again. Between them a bike is ridden, so that each round has
news. The other system, in the same lane, has to the letter what it has without the fault.
"""

import re
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest

from bike_assets.model.messages import GOOD, Outcome, Poll
from bike_assets.simulator.faults import FAULTS
from bike_assets.sources.reading import VEHICLE_FEED
from bike_assets_tests.ingest.rounds import (
    ALL_CONTRACTS,
    GBFS,
    GBFS_3,
    JCDECAUX,
    JCDECAUX_3,
    KEY,
    KINDS,
    MAX_BYTES,
    Rounds,
    rounds,
)
from bike_assets_tests.sources.certificates import trusted

STATUS, INFORMATION = "station_status", "station_information"
STATIONS = 4


@dataclass(frozen=True)
class Means:
    """What a fault means for a feed: how its poll ends; its rows; a pattern of why its row at `place`, or all of them,
    are rejected; how the first station is read and described otherwise than it is.
    """

    outcome: Outcome = Outcome.OK
    rows: tuple[int, int, int] = (STATIONS, STATIONS, 0)
    error: str | None = None
    reason: str | None = None
    place: int = 0
    reads: Mapping[str, Any] = field(default_factory=dict)
    described: Mapping[str, Any] = field(default_factory=dict)


WELL = Means()


def invalid(error: str) -> Means:
    """The body is refused whole."""
    return Means(Outcome.INVALID, (0, 0, 0), error, reason=error)


def fails(outcome: Outcome, error: str) -> Means:
    """There is no body."""
    return Means(outcome, (0, 0, 0), error)


def rejects(reason: str) -> Means:
    """The first row is refused, and no other."""
    return Means(rows=(STATIONS, STATIONS - 1, 1), reason=f"bad_field: ({reason})")


def all_rejected(reason: str) -> Means:
    """Each row is refused."""
    error = "no accepted row where stations are known"
    return Means(Outcome.INVALID, (STATIONS, 0, STATIONS), error, f"bad_field: ({reason})")


def of_both(jcdecaux: Means, gbfs: Means, gbfs_3: Means | None = None, jcdecaux_3: Means | None = None
            ) -> dict[str, dict[str, Means]]:
    """By kind, what it means for the status."""
    both = {JCDECAUX: jcdecaux, JCDECAUX_3: jcdecaux_3 or jcdecaux, GBFS: gbfs, GBFS_3: gbfs_3 or gbfs}
    return {kind: {STATUS: means} for kind, means in both.items()}


def of_feed_time(jcdecaux: Means, gbfs: Means, jcdecaux_3: Means) -> dict[str, dict[str, Means]]:
    """Of a file's own time, which both files of GBFS have."""
    found = of_both(jcdecaux, gbfs, jcdecaux_3=jcdecaux_3)
    return found | {kind: {STATUS: gbfs, INFORMATION: gbfs} for kind in (GBFS, GBFS_3)}


def of_all(means: Means) -> dict[str, dict[str, Means]]:
    """The same for both files with stations, in all kinds."""
    return {kind: {STATUS: means, INFORMATION: means} for kind in KINDS}


def of_description(means: Means) -> dict[str, dict[str, Means]]:
    """Of what a station is, which JCDecaux's status tells, and a file of its own in GBFS."""
    return {kind: {STATUS if "jcdecaux" in kind else INFORMATION: means} for kind in KINDS}


NO_LIST = r"the answer is no (JSON array of stations|GBFS feed|station_\w+ of GBFS \S.*): "
NO_FEED = r"the answer is no station_\w+ of GBFS \S.*: "
NEVER = r"Expected an instant from 1970 to 2199 - at \$.(lastUpdate|last_reported)"
NOT_BEFORE = r"Expected int >= 0 - at \$.last_(update|reported)"
LONG = r"Expected str of length <= 2000 - at \$"
SECONDS = r"Expected milliseconds since 1970, got seconds - at \$.last_update"
TEXT = r"Expected int \| (float \| )?null, got str - at \$.last_(update|reported)"
NAIVE = r"Expected datetime with a timezone component - at \$.(lastUpdate|last_reported)"
NO_TIME = r"Expected datetime \| null, got int - at \$.lastUpdate"
TWICE = Means(rows=(STATIONS + 1, STATIONS, 1), reason="duplicate: 1 stands in this answer twice")
TABLE: dict[str, dict[str, dict[str, Means]]] = {
    "no_json": of_all(invalid(NO_LIST + "JSON is malformed")),
    "html": of_all(invalid(NO_LIST + "JSON is malformed")),
    "wrong_shape": of_all(invalid(NO_LIST + "(Expected array, got object|Object missing required field)")),
    "cut": of_all(invalid(NO_LIST + "Input data was truncated")),
    "huge": of_all(fails(Outcome.TOO_LARGE, r"answered with more than 2,000,000 bytes")),
    "bomb": of_all(fails(Outcome.TOO_LARGE, r"answered with more than 2,000,000 bytes")),
    "drip": of_all(fails(Outcome.TIMEOUT, r"did not answer in full within 0.5 s")),
    "length_too_long": of_all(fails(Outcome.HTTP_ERROR, r"could not be reached, or broke off \(IncompleteRead\)")),
    "length_too_short": of_all(invalid(NO_LIST + "Input data was truncated")),
    "redirect_loop": of_all(fails(Outcome.HTTP_ERROR, r"leads on and on, 3 redirects were followed")),
    "redirect_to_http": of_all(fails(Outcome.HTTP_ERROR, r"leads elsewhere, which is not followed: http://127.0.0.1:")),
    "redirect_elsewhere": of_all(fails(Outcome.HTTP_ERROR, r"leads elsewhere, which is not followed: http://localhost:")),
    "number_as_text": of_both(rejects(r"Expected int, got str - at \$.(available_bikes|totalStands.*bikes)"), WELL),
    "number_negative": of_both(rejects(r"Expected int >= 0 - at \$."), rejects(r"Expected int >= 0 - at \$.num_")),
    "number_1e400": of_both(rejects("Number out of range"), rejects("Number out of range")),
    "number_nan": of_both(rejects("Expected int, got null"), rejects("Object has neither num_bikes_available nor")),
    "twice": {kind: {STATUS: TWICE, INFORMATION: replace(TWICE, place=1)} for kind in KINDS},
    "half_character": of_description(Means(described={"name": "Station 1\ufffd"})),
    "control_characters": of_description(Means(described={"name": "Station 1  \x00\x1b"})),
    "long_name": of_description(rejects(LONG)),
    "long_id": {
        JCDECAUX: {STATUS: rejects("Expected int, got str - at \\$.number")},
        JCDECAUX_3: {STATUS: rejects("Expected int, got str - at \\$.number")},
        **{kind: {STATUS: rejects(LONG), INFORMATION: rejects(LONG)} for kind in (GBFS, GBFS_3)},
    },
    "unknown_enum": of_both(
        Means(reads=dict.fromkeys(("is_installed", "is_renting", "is_returning"), False)), WELL
    ),
    "no_capacity": of_description(Means(described={"capacity": None})),
    "docks_999": of_both(*[Means(reads={"docks_available": None})] * 2),
    "time_null": of_both(WELL, WELL),
    "time_negative": of_both(rejects(NOT_BEFORE), rejects(NOT_BEFORE), rejects(NEVER), rejects(NO_TIME)),
    "time_in_the_future": of_both(WELL, WELL),
    "time_in_seconds": of_both(rejects(SECONDS), WELL, WELL, rejects(NO_TIME)),
    "time_in_milliseconds": of_both(WELL, rejects(r"Expected int <= 7258118399 - at \$.last_reported"),
                                    rejects(r"Timestamp is out of range +- at \$.last_reported"), rejects(NO_TIME)),
    "time_as_text": of_both(rejects(TEXT), rejects(TEXT), rejects(NAIVE), rejects(NAIVE)),
    "feed_time_null": of_feed_time(WELL, invalid(NO_FEED), WELL),
    "feed_time_negative": of_feed_time(all_rejected(NOT_BEFORE), invalid(NO_FEED), all_rejected(NO_TIME)),
    "feed_time_in_the_future": of_both(WELL, WELL),
    "feed_time_in_seconds": of_both(all_rejected(SECONDS), WELL, None, all_rejected(NO_TIME)),
    "feed_time_in_milliseconds": of_feed_time(WELL, invalid(NO_FEED), all_rejected(NO_TIME)),
    "feed_time_as_text": of_feed_time(all_rejected(TEXT), invalid(NO_FEED), all_rejected(NAIVE)),
    "moved_300_km": of_description(Means(described={"lat": pytest.approx(2.7)})),
}  # fmt: skip
"""By fault, kind and feed; of a feed that is not named, and of files with stations alone, all is well."""

OVER_TIME = {"frozen", "older", "empty"}
"""What only shows over several polls: see `test_faults_over_time`."""


@contextmanager
def polled(kind: str, fault: str | None, patch: pytest.MonkeyPatch) -> Iterator[Rounds]:
    tls = trusted(patch) if fault == "redirect_to_http" else None
    with rounds(kind, patch, 0.5 if fault == "drip" else 10, tls) as both:
        yield both


def see_well(both: Rounds, polls: dict[str, Poll]) -> None:
    """All is told as it is."""
    assert {poll.outcome for poll in polls.values()} <= GOOD
    assert polls[STATUS].rows_rejected == 0
    assert both.readings() == both.true_readings()
    assert both.town().descriptions == both.true_descriptions()


@cache
def undisturbed(kind: str) -> list[tuple[str, str, Any]]:
    """What the other system has where nobody misbehaves."""
    with pytest.MonkeyPatch.context() as patch, rounds(kind, patch) as both:
        for _ in range(3):
            see_well(both, both.poll(minutes=1))
            both.ride()
        return both.of_village()


def test_every_fault_is_in_the_table() -> None:
    assert TABLE.keys() | OVER_TIME == FAULTS
    assert not TABLE.keys() & OVER_TIME


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", TABLE)
def test_a_fault_costs_no_more_than_it_must(fault: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = undisturbed(kind)
    with polled(kind, fault, monkeypatch) as both:
        see_well(both, both.poll(minutes=1))
        before = both.readings(), both.town().descriptions
        both.ride()
        both.fault(fault)
        polls = both.poll(minutes=1)
        for feed, poll in polls.items():
            judge(both, poll, TABLE[fault][kind].get(feed, WELL))
        see_stations(both, TABLE[fault][kind], *before)
        both.ride()
        both.fault(None)
        see_well(both, both.poll(minutes=1))
        if "https" not in both.url:
            assert both.of_village() == expected
        assert {url.partition("/gbfs/")[0].partition("/vls/")[0] for url in both.asked} == {both.url}
        assert not any(KEY.encode() in (record.value or b"") for record in both.kafka.committed[0])


def judge(both: Rounds, poll: Poll, means: Means) -> None:
    """A poll of the round with the fault is as the table says."""
    assert (poll.outcome in GOOD) == (means.outcome is Outcome.OK), poll.error
    if poll.outcome is Outcome.NOT_MODIFIED:
        return
    assert (poll.outcome, poll.rows_in, poll.rows_accepted, poll.rows_rejected) == (
        means.outcome, *(means.rows if poll.feed in (STATUS, INFORMATION) else (poll.rows_in, poll.rows_in, 0))
    )  # fmt: skip
    assert re.search(means.error or "^$", poll.error or ""), poll.error
    found = both.rejections(poll.feed)
    assert [place for place, _ in found] == _places(means)
    assert all(re.match(means.reason or "", reason) for _, reason in found), found
    if poll.feed == STATUS:
        assert poll.stations == (means.rows[1] if poll.outcome in GOOD else None)
        assert (poll.events > 0) == (poll.outcome in GOOD)


def _places(means: Means) -> list[int]:
    """Of what is rejected: -1 is a body."""
    if means.rows[2] == 0:
        return [] if means.reason is None else [-1]
    return [means.place] if means.rows[2] == 1 else list(range(STATIONS))


def see_stations(both: Rounds, means: Mapping[str, Means], readings: Any, descriptions: Any) -> None:
    """The stations of the round with the fault: all but the first as they are, and that as the table says."""
    status, whole = means.get(STATUS, WELL), means.get(INFORMATION, means.get(STATUS, WELL))
    is_lost = status.rows[1] < STATIONS
    if status.outcome is Outcome.OK:
        readings = both.true_readings()
        readings["1"] = readings["1"]._replace(**status.reads)
        if is_lost:
            del readings["1"]
    assert both.readings() == readings
    assert both.town().absent == ({"1"} if is_lost and status.outcome is Outcome.OK else set())
    described = {name: getattr(both.town().descriptions["1"], name) for name in whole.described}
    assert described == whole.described
    assert both.town().descriptions.items() - descriptions.items() <= {("1", both.town().descriptions["1"])}


OTHER_FILES = {"gbfs": "gbfs", "system_information": "system_information", "vehicle_types": "vehicle_types",
               INFORMATION: INFORMATION, "free_bike_status": VEHICLE_FEED, "vehicle_status": VEHICLE_FEED}
"""All that is polled beside the status, by what poll records call it; a system lists one of the last two."""


@pytest.mark.parametrize(("kind", "file"), [
    *((GBFS, file) for file in OTHER_FILES if file != "vehicle_status"),
    *((GBFS_3, file) for file in ("gbfs", "vehicle_types", "vehicle_status")),
])  # fmt: skip
def test_no_fault_of_another_file_costs_a_row_of_the_status(
    kind: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once all is known, whatever is wrong with what else is asked: each fault in turn, and news of the status."""
    felt = set()
    with rounds(kind, monkeypatch, 0.3, vehicles=3) as both:
        both.poll(minutes=1)
        for fault in sorted(FAULTS):
            both.ride()
            both.fault(fault, file)
            polls = both.poll(minutes=1)
            told = polls[OTHER_FILES[file]]
            felt |= {fault} if told.outcome not in GOOD or told.rows_rejected else set()
            status = polls[STATUS]
            assert (fault, status.outcome, status.rows_accepted) == (fault, Outcome.OK, STATIONS)
            assert both.readings() == both.true_readings(), fault
            assert told.rows_in == told.rows_accepted + told.rows_rejected
            assert told.rows_rejected <= 1, "of this file too the others are kept"
        both.fault(None)
        assert {poll.outcome for poll in both.poll(minutes=1).values()} <= GOOD
    assert {"html", "cut", "drip", "redirect_loop", "huge"} <= felt
    assert file == "system_information" or "long_id" in felt or (file == "gbfs" and "long_name" in felt)


@pytest.mark.parametrize("fault", ["huge", "bomb"])
def test_what_is_too_large_is_left_with_memory_for_one_body(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with rounds(JCDECAUX, monkeypatch) as both:
        both.poll(minutes=1)
        both.fault(fault)
        both.poll(minutes=1)  # the bomb is made
        tracemalloc.start()
        assert both.poll(minutes=1)[STATUS].outcome is Outcome.TOO_LARGE
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * MAX_BYTES


ROWS_OF_ONE = [name for name, means in TABLE.items() if means[JCDECAUX][STATUS].outcome is Outcome.OK]


@pytest.mark.parametrize("fault", ROWS_OF_ONE)
def test_bad_rows_of_a_contract_are_no_other_contracts_trouble_in_one_answer(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed(ALL_CONTRACTS)
    with rounds(ALL_CONTRACTS, monkeypatch) as both:
        both.poll(minutes=1)
        both.ride()
        both.fault(fault)
        judge(both, both.poll(minutes=1)[STATUS], TABLE[fault][JCDECAUX][STATUS])
        both.ride()
        both.fault(None)
        see_well(both, both.poll(minutes=1))
        # A body is what is left for a system of one that it shares: its bytes are its own rows.
        assert both.of_village() == expected
