"""A hundred thousand vehicles of one system, polled each minute: what share of one core it takes.

Answers in memory to committed Kafka records, as `ingest` measures it; beside it `json.loads` of the same bodies alone.
"""

import gc
import json
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from bench.ingest import apart
from bench.report import result, say
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.writer import PartitionWriter
from bike_assets.local.broker import LocalBroker, ensure_topics
from bike_assets.local.jars import ensure_jars
from bike_assets.local.java import java_home
from bike_assets.local.ports import free_ports
from bike_assets.model.answers import Answer
from bike_assets.model.messages import Outcome
from bike_assets_tests.conftest import HOME

VEHICLES = 100_000
RIDDEN, TOUCHED = 0.015, 0.02
"""Parts of the vehicles that in a minute are back from a trip under another id, and that changed otherwise."""
NOISE_DEGREES = 0.00003
"""Of a GPS fix: 3 m, at each poll and vehicle."""
SHARE_WANTED = 0.10
EVERY = timedelta(minutes=1)
BEGAN_AT = datetime(2026, 1, 1, 0, 55, 30, tzinfo=UTC)
POLLS = 12
"""Of which the first sees every vehicle for the first time, and one opens an hour."""
SEED = 1


def run() -> None:
    """Poll by poll; an hour is 59 polls and the one that opens it."""
    java = java_home(None, HOME)
    with TemporaryDirectory(prefix="bike-bench-") as directory:
        broker = LocalBroker(Path(directory), java, ensure_jars(HOME, java).kafka, *free_ports(2))
        with apart(broker):
            ensure_topics(broker.bootstrap, partitions=1)
            _measure(broker.bootstrap)


def _measure(bootstrap_servers: str) -> None:
    writer = PartitionWriter(bootstrap_servers, 0, lambda _: Profile(timezone="UTC"))
    writer.open()
    usual: list[tuple[float, float, int]] = []
    opening: list[tuple[float, float, int]] = []
    json_s = []
    memory_mb, size = 0.0, 0
    for number, body in zip(range(POLLS), bodies(), strict=False):
        at = BEGAN_AT + number * EVERY
        say(f"vehicles: {at:%H:%M}")
        spent = _polled(writer, Answer("city", "gbfs.free_bike_status", at, "bench", http_status=200, body=body))
        json_s.append(_json_s(body))
        if number:
            (opening if at.hour != (at - EVERY).hour else usual).append(spent)
        memory_mb, size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, len(body)
    writer.close()
    cpu_s, opening_cpu_s = (median(each[0] for each in polls) for polls in (usual, opening))
    share = (59 * cpu_s + opening_cpu_s) / 3600
    result(
        "vehicles", vehicles=VEHICLES, body_mb=round(size / 1e6, 1), cpu_s_a_poll=round(cpu_s, 2),
        wall_s_a_poll=round(median(each[1] for each in usual), 2),
        events_a_poll=round(median(each[2] for each in usual)), opening_cpu_s=round(opening_cpu_s, 2),
        opening_events=opening[0][2], json_s=round(median(json_s), 2),
        share_of_a_core=round(share, 3), share_wanted=SHARE_WANTED, is_met=share <= SHARE_WANTED,
        peak_memory_mb=round(memory_mb), repeats=len(usual),
    )  # fmt: skip


def _polled(writer: PartitionWriter, answer: Answer) -> tuple[float, float, int]:
    """CPU s, wall s and events of a poll, from its bytes until it is committed."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    [poll] = writer.write([answer])
    spent = time.process_time() - cpu, time.perf_counter() - wall, poll.events
    assert (poll.outcome, poll.rows_accepted) == (Outcome.OK, VEHICLES)
    return spent


def _json_s(body: bytes) -> float:
    gc.collect()
    began = time.process_time()
    json.loads(body)
    return time.process_time() - began


def bodies() -> Iterator[bytes]:
    """A minute's body after the other, in the words of GBFS 2.3."""
    chance = Random(SEED)
    ids = [f"{chance.getrandbits(64):016x}" for _ in range(VEHICLES)]
    places = [(chance.uniform(48.8, 48.9), chance.uniform(2.2, 2.4)) for _ in ids]
    ranges = [chance.randint(2_000, 50_000) for _ in ids]
    reserved = [False] * VEHICLES
    seconds = int(BEGAN_AT.timestamp())
    while True:
        rows = ",".join(
            f'{{"bike_id":"{id_}","lat":{lat + chance.uniform(-1, 1) * NOISE_DEGREES:.6f},'
            f'"lon":{lon + chance.uniform(-1, 1) * NOISE_DEGREES:.6f},"is_reserved":{"true" if kept else "false"},'
            f'"is_disabled":false,"vehicle_type_id":"ebike","last_reported":{seconds - chance.randint(0, 600)},'
            f'"current_range_meters":{range_m},"current_fuel_percent":{range_m / 50_000:.3f},'
            f'"rental_uris":{{"web":"https://city.example/{id_}"}}}}'
            for id_, (lat, lon), range_m, kept in zip(ids, places, ranges, reserved, strict=True)
        )
        yield f'{{"last_updated":{seconds},"ttl":60,"version":"2.3","data":{{"bikes":[{rows}]}}}}'.encode()
        seconds += 60
        for at in chance.sample(range(VEHICLES), int(RIDDEN * VEHICLES)):
            ids[at] = f"{chance.getrandbits(64):016x}"
            places[at] = chance.uniform(48.8, 48.9), chance.uniform(2.2, 2.4)
            ranges[at] = max(ranges[at] - 3_000, 0) or 50_000
        for at in chance.sample(range(VEHICLES), int(TOUCHED * VEHICLES)):
            reserved[at] = not reserved[at]
