"""Days of a large city from its answers to the facts: this platform's whole cost, and the usual way's."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import duckdb
from pyspark.sql import SparkSession

from bench import by_duckdb, usual
from bench.bodies import GBFS, System, vehicle_types
from bench.report import result, say
from bench.sessions import session, spark_home
from bench.spent import Spent, spent, warm
from bench.world import DAY
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.writer import PartitionWriter
from bike_assets.lake.duck import connect
from bike_assets.lake.maintenance import compact
from bike_assets.local.broker import LocalBroker, ensure_topics
from bike_assets.local.jars import ensure_jars
from bike_assets.local.java import java_home
from bike_assets.local.ports import free_ports
from bike_assets.model.answers import Answer
from bike_assets.model.messages import Outcome
from bike_assets.model.tables import EVENTS_TABLES
from bike_assets.model.warehouse import DIM_SYSTEM, FACT_STATION_HOUR
from bike_assets.stream.service import Drain, StreamPlan
from bike_assets.warehouse.build import build
from bike_assets_tests.conftest import HOME

STATIONS, CHANGED_SHARE, POLLS_AN_HOUR = 3_000, 0.034, 60
SEED = 1

TIMES_LESS_WANTED, TIMES_SMALLER_WANTED = 20.0, 100.0


class City(NamedTuple):
    """A city, and the day that it is polled on."""

    system_id: str
    day: date


CITIES = tuple(City(f"city_{number}", DAY - timedelta(days=3 * (14 - number))) for number in range(1, 15))
"""Broker, stream and batch are resident, and their JVMs compile what is hot: what a day costs them is the last one's.
So far apart, and of other cities, the others do not reach into it.
"""


class Cost(NamedTuple):
    """What each step of this platform cost."""

    ingest: Spent
    stream: Spent
    batch: Spent

    @property
    def whole(self) -> Spent:
        """All three."""
        return self.ingest + self.stream + self.batch


def run(stations: int = STATIONS) -> None:
    """Two weeks by this platform; the last day by the usual way, its batch beside DuckDB, and what lies on disk."""
    with TemporaryDirectory(prefix="bike-bench-") as directory, session() as spark:
        home = Path(directory)
        lake, lines, usual_hours = home / "lake", home / "lines", home / "usual"
        lines.mkdir()
        costs = _costs(spark, home, lake, lines, stations)
        say("warehouse: the last day in the usual way")
        theirs = warm(lambda: usual.write_hours(spark, lines, usual_hours))
        _tell_whole_cost(costs, theirs, by_duckdb.sums_of_table(lake, DAY), usual_hours)
        _tell_batch(spark, lake, home / "hours.parquet")
        _tell_bytes(lake, stations)


def _costs(spark: SparkSession, home: Path, lake: Path, lines: Path, stations: int) -> list[Cost]:
    """What each day cost; `lines` has the last one's answers then, for the usual way."""
    java = java_home(None, HOME)
    found = []
    with LocalBroker(home, java, ensure_jars(HOME, java).kafka, *free_ports(2)) as broker:
        ensure_topics(broker.bootstrap, partitions=1)
        plan = StreamPlan(spark_home(), lake, broker.bootstrap, trigger_s=1.0)
        for city in CITIES:
            ingest = _ingest(plan.bootstrap_servers, city, lines, stations)
            stream = spent(Drain(plan, spark))
            run_session = spark.newSession()  # as a run has one: it sets what the stream is not to have
            batch = spent(partial(_build, run_session, lake, city.day))
            found.append(Cost(ingest, stream, batch))
            say(f"warehouse: {city.system_id} of {len(CITIES)}, {found[-1].whole.cpu_s:.1f} CPU s")
    return found


def _ingest(bootstrap_servers: str, city: City, lines: Path, stations: int) -> Spent:
    """Bring the day's answers into the topics, and write them as JSON lines for the usual way.

    Each poll is a transaction, as it is where no other system shares the partition.
    """
    system = System(city.system_id, GBFS, SEED, stations, CHANGED_SHARE)
    writer = PartitionWriter(bootstrap_servers, 0, lambda _: Profile(timezone="UTC"))
    writer.open()
    midnight = datetime.combine(city.day, time(), UTC)
    writer.write([vehicle_types(city.system_id, midnight)])
    whole = Spent(0.0, 0.0)
    for hour in range(24):
        answers = list(_answers(system, midnight + timedelta(hours=hour)))
        (lines / f"{hour:02}.jsonl").write_bytes(b"".join(map(_line, answers)))
        whole += spent(partial(_write, writer, answers))
    writer.close()
    return whole


def _answers(system: System, hour: datetime) -> Iterator[Answer]:
    """An hour's polls, half a minute past each minute."""
    for number in range(POLLS_AN_HOUR):
        yield system.answer(hour + timedelta(minutes=number, seconds=30))


def _line(answer: Answer) -> bytes:
    return b'{"fetched_at":"%s","body":%s}\n' % (answer.fetched_at.isoformat().encode(), answer.body)


def _write(writer: PartitionWriter, answers: list[Answer]) -> None:
    for answer in answers:
        (poll,) = writer.write([answer])
        assert poll.outcome is Outcome.OK


def _raw_bytes(lake: Path) -> int:
    """What the polls say of the bodies that they read, decompressed."""
    with connect(lake) as con:
        query = "SELECT sum(bytes) FROM events.polls WHERE feed = 'station_status' AND utc_date = $1"
        return int(con.execute(query, [DAY]).fetchall()[0][0])


def _build(spark: SparkSession, lake: Path, day: date) -> None:
    build(spark, lake, DIM_SYSTEM, (day, day))
    build(spark, lake, FACT_STATION_HOUR, (day, day))


def _tell_whole_cost(costs: list[Cost], theirs: Spent, sums: by_duckdb.Sums, usual_hours: Path) -> None:
    ours = costs[-1].whole
    times = theirs.cpu_s / ours.cpu_s
    result(
        "warehouse",
        case="city",
        departures=sums.departures,
        cpu_s=round(ours.cpu_s, 1),
        wall_s=round(ours.wall_s, 1),
        **{f"{step}_cpu_s": round(each.cpu_s, 1) for step, each in costs[-1]._asdict().items()},
        first_day_cpu_s=round(costs[0].whole.cpu_s, 1),
        usual_cpu_s=round(theirs.cpu_s, 1),
        usual_wall_s=round(theirs.wall_s, 1),
        times_less_cpu=round(times, 1),
        times_wanted=TIMES_LESS_WANTED,
        is_met=times >= TIMES_LESS_WANTED,
        is_same=_agrees(sums, usual_hours),
    )


def _agrees(ours: by_duckdb.Sums, usual_hours: Path) -> bool:
    """Whether both ways found the same rows, flows and times."""
    names = ("departures", "arrivals", "seconds_empty", "seconds_full", "seconds_available", "seconds_closed")
    columns = ", ".join(f"round(sum({name}), 3)" for name in names)
    query = f"SELECT count(*), {columns} FROM read_parquet('{usual_hours}/*.parquet')"  # noqa: S608
    with duckdb.connect() as con:
        found = con.execute(query).fetchall()[0]
    wanted = (ours.rows, *(getattr(ours, name) for name in names))
    return all(abs(a - b) <= 1e-6 * abs(b) for a, b in zip(found, wanted, strict=True))


def _tell_batch(spark: SparkSession, lake: Path, file: Path) -> None:
    ours = warm(lambda: build(spark, lake, FACT_STATION_HOUR, (DAY, DAY)))
    theirs = warm(lambda: by_duckdb.write_hours(lake, DAY, file))
    result(
        "warehouse",
        case="city_batch",
        wall_s=round(ours.wall_s, 2),
        cpu_s=round(ours.cpu_s, 2),
        duckdb_wall_s=round(theirs.wall_s, 2),
        duckdb_cpu_s=round(theirs.cpu_s, 2),
        times_duckdb_cpu=round(ours.cpu_s / theirs.cpu_s, 1),
        is_same=by_duckdb.is_same(by_duckdb.sums_of_table(lake, DAY), by_duckdb.sums_of_file(file)),
    )


def _tell_bytes(lake: Path, stations: int) -> None:
    raw_bytes = _raw_bytes(lake)
    sizes = {table.name: compact(lake, table, [DAY]).after.bytes for table in (*EVENTS_TABLES, FACT_STATION_HOUR)}
    stored = sum(sizes.values())
    result(
        "warehouse",
        case="bytes",
        raw_bytes_a_station_day=round(raw_bytes / stations),
        bytes_a_station_day=round(stored / stations),
        **{f"{name}_bytes": size for name, size in sizes.items()},
        times_smaller=round(raw_bytes / stored),
        times_wanted=TIMES_SMALLER_WANTED,
        is_met=raw_bytes / stored >= TIMES_SMALLER_WANTED,
    )
