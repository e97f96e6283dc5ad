"""Minutes of a system, from committed events only."""

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from bike_assets.lake.duck import connect
from bike_assets.lake.maintenance import compact
from bike_assets.lake.replaced import take_out
from bike_assets.lake.rows import rows_near
from bike_assets.lake.tables import OpenTables, ensure_table, open_table, table_path
from bike_assets.lake.unread import days_unread
from bike_assets.model.messages import Outcome
from bike_assets.model.readings import State
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, EVENTS_TABLES, LIVE_SYSTEM_MINUTE, LIVE_TABLES
from bike_assets.model.topics import POLLS, STATION_STATUS, VEHICLE_TOTALS
from bike_assets.stream import live
from bike_assets.stream.events import SOURCES
from bike_assets.stream.live import replace_minutes, stretches, system_minutes
from bike_assets.stream.messages import rows_of, with_rows
from bike_assets_tests.model.builders import vehicle_totals
from bike_assets_tests.stream.builders import NOON, Message, batch, poll, status

AVAILABLE, CLOSED, EMPTY = State.AVAILABLE, State.CLOSED, State.EMPTY
MINUTES = [each.table.name for each in live.LIVES]
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def minutes(spark: SparkSession, *messages: Message) -> list[Row]:
    """The minutes that these messages make."""
    read = with_rows(batch(spark, *messages), (STATION_STATUS, POLLS))
    return system_minutes(rows_of(read, STATION_STATUS), rows_of(read, POLLS)).orderBy("minute").collect()


def test_levels_are_those_of_the_minutes_last_good_poll(spark: SparkSession) -> None:
    (minute,) = minutes(
        spark,
        Message(POLLS, poll(at=NOON + 40 * SECOND, bikes=31)),
        Message(POLLS, poll(at=NOON + 20 * SECOND, bikes=29)),
        Message(POLLS, poll(at=NOON + 50 * SECOND, outcome=Outcome.TIMEOUT)),
    )
    assert (minute.bikes_available, minute.stations, minute.departures) == (31, 4, 0)
    assert minute.saturation == pytest.approx(31 / 41)


def test_a_minute_without_a_good_poll_has_no_row(spark: SparkSession) -> None:
    assert minutes(spark, Message(POLLS, poll(outcome=Outcome.STALE))) == []


def test_where_no_docks_are_given_there_is_no_saturation(spark: SparkSession) -> None:
    (minute,) = minutes(spark, Message(POLLS, poll(docks=None)))
    assert (minute.docks_available, minute.saturation) == (None, None)


def test_flows_count_only_between_two_readings_of_an_open_station(spark: SparkSession) -> None:
    (minute,) = minutes(
        spark,
        Message(POLLS, poll()),
        Message(STATION_STATUS, status(bikes=2, before=5, state_before=AVAILABLE)),
        Message(STATION_STATUS, status(station_id="2", bikes=4, before=0, state_before=EMPTY)),
        Message(STATION_STATUS, status(station_id="3", bikes=9, before=1, state_before=CLOSED)),
        Message(STATION_STATUS, status(station_id="4", bikes=0, before=8, state=CLOSED, state_before=AVAILABLE)),
        Message(STATION_STATUS, status(station_id="5", bikes=6)),
        Message(STATION_STATUS, status(station_id="6", bikes=None, before=7, state=State.UNKNOWN,
                                       state_before=AVAILABLE)),
    )
    assert (minute.departures, minute.arrivals) == (3, 4)


class Lake:
    """A lake whose events come in by hand, and whose minutes are made by the stream's own function."""

    def __init__(self, spark: SparkSession, path: Path) -> None:
        self.spark, self.path = spark, path
        for table in EVENTS_TABLES + LIVE_TABLES:
            ensure_table(path, table)

    def add(self, *messages: Message) -> None:
        read = with_rows(batch(self.spark, *messages), SOURCES)
        for topic in {each.topic.name: each.topic for each in messages}.values():
            assert topic.table is not None
            rows_of(read, topic).write.format("delta").mode("append").save(str(table_path(self.path, topic.table)))

    def touch(self, *at: datetime) -> None:
        touched = [(of.table.name, "oslo", each) for of in live.LIVES for each in at]
        rows = self.spark.createDataFrame(touched, "live string, system_id string, minute timestamp")
        replace_minutes(rows, OpenTables(self.path), Counter())

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with connect(self.path) as con:
            return con.execute(query).fetchall()


@pytest.fixture(params=[live.FEW_ROWS, -1], ids=["few", "many"])
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two ways to replace minutes."""
    monkeypatch.setattr(live, "FEW_ROWS", request.param)


@pytest.mark.usefixtures("writer")
def test_a_minute_that_is_touched_again_is_replaced_and_not_added_to(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    lake.add(
        Message(POLLS, poll(bikes=30)),
        Message(STATION_STATUS, status(bikes=2, before=5, state_before=AVAILABLE)),
    )
    lake.touch(NOON)
    lake.touch(NOON, NOON)
    later = NOON + 30 * SECOND
    lake.add(
        Message(POLLS, poll(at=later, bikes=28)),
        Message(STATION_STATUS, status(at=later, bikes=0, before=2, state=EMPTY, state_before=AVAILABLE)),
    )
    lake.touch(NOON)
    found = lake.ask("SELECT bikes_available, departures, arrivals FROM live.system_minute")
    assert found == [(28, 5, 0)]


@pytest.mark.usefixtures("writer")
def test_minutes_that_were_not_touched_stay_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    midnight = NOON.replace(hour=0) + timedelta(days=1)
    for at in (NOON, midnight - HOUR, midnight):
        lake.add(Message(POLLS, poll(at=at)))
    lake.touch(NOON, midnight)
    found = lake.ask("SELECT minute FROM live.system_minute ORDER BY 1")
    assert [each for (each,) in found] == [NOON, midnight]


def test_a_minute_out_of_which_rows_were_taken_keeps_what_stays(spark: SparkSession, tmp_path: Path) -> None:
    """A replacement cuts a minute in two; none of its new rows need lie in it."""
    lake = Lake(spark, tmp_path)
    for seconds in (10, 50, 70):
        at = NOON + seconds * SECOND
        totals = msgspec.json.encode(vehicle_totals(observed_at=at, vehicles=seconds))
        lake.add(Message(VEHICLE_TOTALS, totals), Message(POLLS, poll(at=at, bikes=seconds)))
    lake.touch(NOON, NOON + live.MINUTE)
    cut = NOON + 40 * SECOND
    take_out(tmp_path, {"oslo": cut})
    assert [lake.ask(f"SELECT count(*) FROM {name}") for name in MINUTES] == [[(0,)]] * 2  # noqa: S608
    live.compute_minutes(spark, tmp_path, {"oslo": cut})
    assert lake.ask("SELECT minute, vehicles FROM live.vehicles_system_minute") == [(NOON, 10)]
    assert lake.ask("SELECT minute, bikes_available FROM live.system_minute") == [(NOON, 10)]


def test_what_is_rewritten_beside_a_minute_stays_little(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FEW_MINUTES", 3)
    lake = Lake(spark, tmp_path)
    for minute in range(8):
        lake.add(Message(POLLS, poll(at=NOON + minute * live.MINUTE, bikes=minute)))
        lake.touch(NOON + minute * live.MINUTE)
        lake.touch(NOON + minute * live.MINUTE)
    assert lake.ask("SELECT count(*), sum(bikes_available) FROM live.system_minute") == [(8, 28)]
    newest = [(NOON + 7 * live.MINUTE, NOON + 8 * live.MINUTE)]
    assert rows_near(open_table(tmp_path, LIVE_SYSTEM_MINUTE), "minute", newest) <= 4


def totals(at: datetime = NOON, vehicles: int = 5, **given: Any) -> Message:
    return Message(VEHICLE_TOTALS, msgspec.json.encode(vehicle_totals(observed_at=at, vehicles=vehicles, **given)))


@pytest.mark.usefixtures("writer")
def test_vehicles_are_those_of_the_minutes_last_good_poll(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    lake.add(totals(NOON + 40 * SECOND, vehicles=7, reserved=2, top_charged=None), totals(NOON + 20 * SECOND))
    lake.add(totals(NOON + 60 * SECOND, system_id="brest"))
    lake.touch(NOON, NOON + 60 * SECOND)
    lake.add(totals(NOON + 50 * SECOND, vehicles=6))
    lake.touch(NOON)
    columns = "system_id, minute, vehicles, reserved, top_charged"
    found = lake.ask(f"SELECT {columns} FROM live.vehicles_system_minute ORDER BY 1")  # noqa: S608
    top = vehicle_totals().top_charged
    assert found == [("brest", NOON + live.MINUTE, 5, 0, top), ("oslo", NOON, 6, 0, top)]


def test_only_what_was_touched_is_written(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    lake.add(totals(), Message(POLLS, poll()))
    rows = spark.createDataFrame([("live.vehicles_system_minute", "oslo", NOON)],
                                 "live string, system_id string, minute timestamp")  # fmt: skip
    counted: Counter[str] = Counter()
    replace_minutes(rows, OpenTables(tmp_path), counted)
    assert dict(counted) == {"live/system_minute": 0, "live/vehicles_system_minute": 1}
    assert lake.ask("SELECT count(*) FROM live.system_minute") == [(0,)]
    assert open_table(tmp_path, LIVE_SYSTEM_MINUTE).version() == 0


@pytest.mark.parametrize(("watched", "is_kept"), [(2, False), (3, True)])
def test_a_checkpoint_of_other_tables_is_begun_anew(
    spark: SparkSession, tmp_path: Path, watched: int, is_kept: bool
) -> None:
    for table in EVENTS_TABLES:
        ensure_table(tmp_path, table)
    offsets = tmp_path / "_checkpoints" / "live" / "offsets"
    offsets.mkdir(parents=True)
    (offsets / "9").write_text("\n".join(["v1", "{}", *["{}"] * 3]))
    (offsets / "10").write_text("\n".join(["v1", "{}", *["{}"] * watched]))
    live.live_query(spark, tmp_path, Counter())
    assert offsets.exists() is is_kept


def test_what_the_query_has_read_stands_in_its_checkpoint(spark: SparkSession, tmp_path: Path) -> None:
    lake, made_of = Lake(spark, tmp_path), (EVENTS_POLLS, EVENTS_STATION_STATUS)
    lake.add(Message(POLLS, poll()))
    assert days_unread(tmp_path, made_of) == {NOON.date()}
    live.live_query(spark, tmp_path, Counter()).trigger(availableNow=True).start().awaitTermination()
    assert lake.ask("SELECT count(*) FROM live.system_minute") == [(1,)]
    assert days_unread(tmp_path, made_of) == set()
    lake.add(Message(POLLS, poll(at=NOON + 24 * HOUR)))
    assert days_unread(tmp_path, made_of) == {(NOON + 24 * HOUR).date()}


def test_touched_minutes_are_joined_to_few_stretches() -> None:
    touched = [(NOON + HOUR, NOON + 2 * HOUR), (NOON, NOON + HOUR / 2), (NOON + 9 * HOUR, NOON + 9 * HOUR)]
    assert stretches(touched) == [(NOON, NOON + 2 * HOUR), (NOON + 9 * HOUR, NOON + 9 * HOUR)]


@pytest.mark.usefixtures("writer")
def test_a_compaction_in_the_midst_of_a_batch_costs_a_second_try_and_no_minute(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(spark, tmp_path)
    lake.add(Message(POLLS, poll()), Message(POLLS, poll(at=NOON + 2 * HOUR, bikes=7)))
    lake.touch(NOON)
    lake.touch(NOON + 2 * HOUR)

    def compacted_meanwhile(status: DataFrame, polls: DataFrame) -> DataFrame:
        """The minutes, and a compaction once Delta has begun the write that asks for their plan."""
        rows = system_minutes(status, polls)
        once = rows.sparkSession.createDataFrame([(str(tmp_path),)], "lake string").mapInArrow(_compacts, "n int")
        return rows.crossJoin(once).drop("n")

    monkeypatch.setattr(spark.sparkContext, "pythonExec", sys.executable)
    monkeypatch.setattr(live, "LIVES", (live.LIVES[0]._replace(compute=compacted_meanwhile),))
    lake.touch(NOON)
    assert (tmp_path / "compacted").exists()
    assert lake.ask("SELECT count(*), sum(bikes_available) FROM live.system_minute")[0][0] == 2


def _compacts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch_ in batches:
        lake = Path(batch_["lake"][0].as_py())
        if not (lake / "compacted").exists():
            (lake / "compacted").touch()
            assert compact(lake, LIVE_SYSTEM_MINUTE, []).done == (None,)
        yield pa.RecordBatch.from_pydict({"n": pa.array([1], pa.int32())})
