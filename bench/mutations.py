"""100,000 mutated answers through each parser, as the poller takes them: none breaks, and each row is accounted for.

Each parser has a process of its own, so that the most memory that it ever had is its own. `BIKE_BENCH_MUTATIONS` sets
how many answers each gets.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from random import Random
from typing import Any, NamedTuple

import psutil

from bench.report import result, say
from bike_assets.ingest.memory import Memories
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.records import take
from bike_assets.ingest.routing import parts
from bike_assets.model import topics
from bike_assets.model.answers import ALL_CONTRACTS, Answer
from bike_assets.simulator import gbfs, jcdecaux
from bike_assets_tests.simulator.builders import MORNING
from bike_assets_tests.sources.builders import answer
from bike_assets_tests.sources.mutants import OTHER, TOWN, all_contracts, bodies, mutated

ANSWERS = int(os.environ.get("BIKE_BENCH_MUTATIONS", "100000"))
AFTER_A_GOOD_ONE = 50
"""So many mutated answers follow a good one, with which they are compared; then all is forgotten."""
WARM = 2_000
MB = 1e6


class Case(NamedTuple):
    """A parser, by the versions that it reads: a body of each."""

    name: str
    feed: str
    system_id: str
    good: tuple[bytes, ...]


def run() -> None:
    """Every parser, one after the other."""
    for case in cases():
        say(f"mutations: {case.name}")
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            result("mutations", parser=case.name, **alone.submit(put_through, case, ANSWERS).result())


def cases() -> Iterator[Case]:
    """The feeds of GBFS 1 and 2, which one parser reads, of GBFS 3, and JCDecaux's stations."""
    for family in ("GBFS 1 and 2", "GBFS 3"):
        versions = [each for each in gbfs.VERSIONS if (each >= "3") == (family == "GBFS 3")]
        found: dict[str, list[bytes]] = {}
        for version in versions:
            for feed, body in bodies(version).items():
                found.setdefault(feed, []).append(body)
        for feed, good in found.items():
            yield Case(f"{family}, {feed.removeprefix('gbfs.')}", feed, TOWN.system_id, tuple(good))
    for version in jcdecaux.ROWS:
        [(feed, body)] = bodies(version).items()
        yield Case(f"JCDecaux {version}", feed, TOWN.system_id, (body,))
        yield Case(f"JCDecaux {version}, all contracts", feed, ALL_CONTRACTS, (all_contracts(version),))


def put_through(case: Case, count: int) -> dict[str, Any]:
    """Take so many mutated answers in, and tell what came of them. Raises AssertionError where a row is lost."""
    chance, outcomes, memories = Random(case.name), Counter[str](), Memories()
    rows_in = accepted = rejected = longest = 0
    began, process, warm_mb = time.process_time(), psutil.Process(), 0.0
    for number in range(count):
        good = chance.choice(case.good)
        if number % AFTER_A_GOOD_ONE == 0:
            memories = Memories()
            list(_polls(memories, _answer(case, good, number)))
        body = mutated(good, chance)
        longest = max(longest, len(body))
        for poll, kept in _polls(memories, _answer(case, body, number + 1)):
            assert poll.rows_in == poll.rows_accepted + poll.rows_rejected, body
            assert kept == poll.rows_rejected, body
            outcomes[str(poll.outcome)] += 1
            rows_in, accepted = rows_in + poll.rows_in, accepted + poll.rows_accepted
            rejected += poll.rows_rejected
        if number == min(WARM, count - 1):
            warm_mb = process.memory_info().rss / MB
    return {
        "answers": count, "polls": outcomes.total(), "outcomes": dict(outcomes), "rows_in": rows_in,
        "rows_accepted": accepted, "rows_rejected": rejected, "longest_bytes": longest,
        "cpu_s": round(time.process_time() - began, 1), "memory_warm_mb": round(warm_mb), "memory_peak_mb": _peak_mb(),
    }  # fmt: skip


def _answer(case: Case, body: bytes, second: int) -> Answer:
    return replace(answer(case.feed, body, case.system_id), fetched_at=MORNING + timedelta(seconds=2 * second))


def _polls(memories: Memories, one: Answer) -> Iterator[tuple[Any, int]]:
    """The records of an answer's polls, each with how many rejected rows are kept of it."""
    for part in parts(one, lambda: [TOWN.system_id, OTHER.system_id]):
        atom = take(memories[part.system_id], part, Profile(timezone="UTC"))
        kept = sum(each.topic is topics.REJECTIONS and b'"row_index":-1' not in (each.value or b"")
                   for each in atom.records)  # fmt: skip
        yield atom.poll, kept


def _peak_mb() -> int:
    """The most memory that this process ever had resident."""
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB)
