"""What is replaced is as if it had been so from the first: held against a replay of the mended answers alone."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from rich.console import Console

from bike_assets.ingest.memory import Memories
from bike_assets.ingest.profiles import Profile
from bike_assets.ingest.replay import Replayed, newer
from bike_assets.ingest.rewind import covered
from bike_assets.lake.duck import connect
from bike_assets.local import replacing
from bike_assets.local.rejections import chooser
from bike_assets.local.status import status
from bike_assets.model import topics
from bike_assets.model.answers import ALL_CONTRACTS, Answer
from bike_assets.model.errors import AlreadyRunning, HalfReplaced, NotARecording, NotReplaced
from bike_assets.model.tables import EVENTS_TABLES
from bike_assets.model.topics import POLLED
from bike_assets.quality.events import chain_is_unbroken
from bike_assets.quality.keys import keys_are_unique
from bike_assets.services import poller_lock, stream_lock
from bike_assets.settings import Settings, load_settings
from bike_assets_tests.ingest.builders import GBFS, JCDECAUX, TOWN, after, decoded
from bike_assets_tests.ingest.stand_in import PARTITIONS, StandInKafka, StandInWriter, replay
from bike_assets_tests.ingest.test_against_oracle import RECORDINGS, answers
from bike_assets_tests.lake.rows import write
from bike_assets_tests.local.test_rebuild import held_by_another
from bike_assets_tests.local.test_rejections import keep
from bike_assets_tests.model.builders import NOON
from bike_assets_tests.oracle.events import Line, read_lines
from bike_assets_tests.oracle.made import MADE, NO_JSON, Station, recordings

Rows = list[tuple[Any, ...]]


class World:
    """A Kafka, a lake and the stream between them, none of which needs a JVM."""

    def __init__(self, home: Path) -> None:
        self.settings: Settings = load_settings(home=home)
        self.kafka = StandInKafka()
        self.computed: dict[str, datetime] = {}
        self._drained: dict[int, int] = {}

    def replay(self, given: list[Answer]) -> Replayed:
        return replay(self.kafka, given)

    def drain(self) -> None:
        """What the stream does with all that came since; a message that forgets its key is no row."""
        for partition, records in self.kafka.committed.items():
            fresh = records[self._drained.get(partition, 0) :]
            self._drained[partition] = len(records)
            for topic in POLLED:
                if topic.table is not None:
                    instant = next(name for name in reversed(topic.table.grain) if name.endswith("_at"))
                    messages = [msgspec.json.decode(each.value, type=topic.message[0]) for each in fresh
                                if each.topic is topic and each.value is not None]
                    rows = [msgspec.structs.asdict(each) | {"utc_date": getattr(each, instant).date()}
                            for each in messages]
                    if rows or not (self.settings.lake / Path(*topic.table.path)).exists():
                        write(self.settings.lake, topic.table, rows)

    def replace(self, given: list[Answer], choose: replacing.Choose | None = None) -> dict[str, Any]:
        """A replacement by these answers, or by those that are chosen."""
        means = replacing.Means(
            self.kafka.writer, PARTITIONS, self.drain, self.compute_minutes, self.replay_each, dict, self.refuse_others)
        return replacing.replaced(self.settings, choose or chosen(given), "bike replay --replace again.jsonl", means)

    def compute_minutes(self, of: Mapping[str, datetime]) -> None:
        """There is no Spark here: `stream/test_live.py` has it do so."""
        self.computed = dict(of)

    def refuse_others(self) -> None:
        """Nobody else is here."""

    def replay_each(self, given: Iterable[Answer]) -> Replayed:
        """A replay that can be killed between any two answers."""
        total = Replayed()
        for answer in given:
            total.add(self.replay([answer]))
        return total

    def rows(self) -> dict[str, Rows]:
        """Every table of events, in the order of its key, without what differs between two replays."""
        with connect(self.settings.lake) as con:
            assert chain_is_unbroken(con).first_bad == []
            found = {}
            for table in EVENTS_TABLES:
                assert keys_are_unique(con, table).first_bad == []
                free = {"request_id", "seconds", "bytes", "kafka_partition", "kafka_offset"}
                names = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in free)
                query = f"SELECT {names} FROM {table.name} ORDER BY {', '.join(table.grain)}"  # noqa: S608
                found[table.name] = con.execute(query).fetchall()
            return found

    def state(self) -> dict[str, Any]:
        """What a poller would go on from."""
        names = ("observed_at", "last_good_poll_at", "feed_updated_at", "feed_has_advanced", "electric_types",
                 "is_shared_feed", "stations", "absent", "descriptions", "information")
        memories = {id_: each for number in range(PARTITIONS) for id_, each in self.kafka.memories(number).items()}
        return {id_: {name: getattr(each, name) for name in names} for id_, each in memories.items()}


def chosen(given: list[Answer]) -> replacing.Choose:
    return lambda *_: replacing.Chosen(lambda: given)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


def untouched(home: Path, given: list[Answer]) -> World:
    """A world that knows these answers only."""
    world = World(home)
    world.replay(given)
    world.drain()
    return world


def spoiled(lines: list[Line]) -> list[Line]:
    """What a broken parser would make of a recording: bodies that cannot be read, rows lost, names and counts wrong."""
    return [_spoiled(n, deepcopy(line)) for n, line in enumerate(lines)]


def _spoiled(n: int, line: Line) -> Line:
    rows = line.get("body")
    for name in ("data", "stations"):
        rows = rows.get(name) if isinstance(rows, dict) else rows
    if not isinstance(rows, list) or not rows:
        return line
    match n % 4:
        case 0:
            rows[0] = {"nothing": "of use"}
        case 1:
            return {**{name: value for name, value in line.items() if name != "body"}, "body_base64": NO_JSON}
        case 2:
            for row in filter(lambda row: isinstance(row, dict), rows):
                row.update({name: value + 1 for name, value in row.items()
                            if name in ("num_bikes_available", "available_bikes") and isinstance(value, int)})
                row.update({"name": "wrong"} if "name" in row else {})
                row.update({"station_id": f"{row['station_id']}x"} if "station_id" in row and n % 8 == 2 else {})
    return line


def in_order(lines: list[Line]) -> list[Line]:
    """Those that a replay takes: which others it skips hangs on what came before."""
    taken = {(answer.feed, answer.fetched_at) for answer in newer(Memories(), answers(lines))}
    return [line for line, answer in zip(lines, answers(lines), strict=True)
            if (answer.feed, answer.fetched_at) in taken]


def cut(given: list[Answer], part: float) -> datetime:
    return given[int(len(given) * part)].fetched_at


def since(given: list[Answer], at: datetime) -> list[Answer]:
    return [answer for answer in given if answer.fetched_at >= at]


def before(given: list[Answer], at: datetime) -> list[Answer]:
    return [answer for answer in given if answer.fetched_at < at]


def assert_replaced(home: Path, recorded: list[tuple[list[Line], float | None]]) -> None:
    """Recordings, each a system of its own: broken first, then replaced from a part of them on, or left as it is."""
    broken, mended, wanted = [], [], []
    for n, (lines, part) in enumerate(recorded):
        was, now = (_named(n, answers(each)) for each in (spoiled(lines), lines))
        broken += was
        at = cut(now, part) if part is not None else None
        mended += since(now, at) if at else []
        wanted += [*before(was, at), *since(now, at)] if at else was
    world = World(home / "replaced")
    world.replay(broken)
    world.replace(mended)
    other = untouched(home / "other", wanted)
    assert world.rows() == other.rows()
    assert world.state() == other.state()


@pytest.mark.parametrize("part", [0, 0.4, 0.99])
def test_what_is_made_by_hand_is_replaced_from_any_poll_on(tmp_path: Path, part: float) -> None:
    assert_replaced(tmp_path, [(in_order(lines), part) for lines in MADE.values()])


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name.split("_")[0])
def test_the_real_recordings_are_replaced_from_their_middle_on(tmp_path: Path, path: Path) -> None:
    assert_replaced(tmp_path, [(in_order(read_lines(path)), 0.5)])


def test_which_types_are_electric_is_still_known(world: World, tmp_path: Path) -> None:
    """No table tells; only an answer before those that are replayed did."""
    types = [{"vehicle_type_id": "e", "form_factor": "bicycle", "propulsion_type": "electric"}]
    lines = [GBFS.poll(after(minutes=n), TOWN | {"1": Station(n)}) for n in range(1, 6)]
    for line in lines:
        for row in line["body"]["data"]["stations"]:
            row["vehicle_types_available"] = [{"vehicle_type_id": "e", "count": row["num_bikes_available"]}]
    told = GBFS.line(NOON, "vehicle_types",
                     body={"last_updated": 1, "ttl": 0, "version": "2.3", "data": {"vehicle_types": types}})
    mended, broken = answers([told, *lines]), answers([told, *spoiled(lines)])
    world.replay(broken)
    world.replace(since(mended, AT))
    assert {2, 3, 4, 5} <= {poll["ebikes_available"] for poll in world.kafka.rows(topics.POLLS)}
    wanted = untouched(tmp_path / "other", [*before(broken, AT), *since(mended, AT)])
    assert (world.rows(), world.state()) == (wanted.rows(), wanted.state())


def test_anything_is_replaced_and_the_others_stay_as_they_were(tmp_path: Path) -> None:
    made: list[list[Line]] = []

    @settings(max_examples=60, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(recordings())
    def collect(lines: list[Line]) -> None:
        made.append(in_order(lines))

    collect()
    assert_replaced(tmp_path, [(lines, (n % 5) / 5 if n % 3 else None) for n, lines in enumerate(filter(None, made))])


def _named(n: int, given: list[Answer]) -> list[Answer]:
    return [replace(answer, system_id=f"{n}:{answer.system_id}") for answer in given]


LINES = [GBFS.information(after(minutes=0), {"1": "Square", "2": "Park"}),
         *(GBFS.poll(after(minutes=n), TOWN | {"1": Station(n, 9 - n)}) for n in range(1, 8)),
         GBFS.information(after(minutes=8), {"1": "Square", "2": "Gardens"})]
MENDED = answers(LINES)
BROKEN = answers(spoiled(LINES))
AT = after(minutes=2)


def mended_world(home: Path) -> World:
    return untouched(home, [*before(BROKEN, AT), *since(MENDED, AT)])


class Killed(BaseException):
    """The end of the process."""


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, where: str) -> Iterator[None]:
    """A kill at this step, or just after it where it ends in `!`; a number before that says at which of its calls."""
    name, number = re.fullmatch(r"(\w+?)(\d*)!?", where).groups()  # type: ignore[union-attr]
    target: Any = next(each for each in (StandInWriter, World, replacing) if hasattr(each, name))
    step: Callable[..., Any] = getattr(target, name)
    calls = count(1)

    def until_there(*given: Any) -> Any:
        is_there = next(calls) == int(number or 1)
        if is_there and not where.endswith("!"):
            raise Killed
        found = step(*given)
        if is_there:
            raise Killed
        return found

    with monkeypatch.context() as patched:
        patched.setattr(target, name, until_there)
        yield


TAKEN_OUT = ("write_whole!", "forget_days", "take_out", "take_out!", "take_out_descriptions", "take_out_descriptions!",
             "commit", "commit!", "write_whole2")  # fmt: skip
REPLAYED = ("write_whole2!", "replay_each", "replay1!", "replay4!", "replay_each!", "drain2", "drain2!",
            "compute_minutes!")  # fmt: skip
KILLS = (*TAKEN_OUT, *REPLAYED)


@pytest.mark.parametrize("kills", [*([each] for each in KILLS), list(KILLS)], ids=" then ".join)
def test_killed_anywhere_and_done_again_it_ends_in_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: list[str]
) -> None:
    world.replay(BROKEN)
    for each in kills:
        with killed_at(monkeypatch, each), pytest.raises(Killed):
            world.replace(since(MENDED, AT))
        assert_refused(world.settings)
    world.computed.clear()
    done = world.replace(since(MENDED, AT))
    assert world.computed == {"made_gbfs": AT}
    assert done["before"]["polls"] == len(since(BROKEN, AT)), "what was there before it was begun, also at the last try"
    assert_allowed(world.settings)
    wanted = mended_world(tmp_path / "other")
    assert world.rows() == wanted.rows()
    assert world.state() == wanted.state()


def assert_refused(settings: Settings) -> None:
    for lock in (poller_lock, stream_lock):
        with pytest.raises(HalfReplaced), lock(settings):
            pass
    assert "was broken off" in status(settings)["half_replaced"]


def assert_allowed(settings: Settings) -> None:
    for lock in (poller_lock, stream_lock):
        with lock(settings):
            pass
    assert status(settings)["half_replaced"] is None


@pytest.mark.parametrize("kills", [["write_whole2!"], ["replay1!"], ["drain2!"], list(KILLS)], ids=" then ".join)
def test_a_restore_that_was_killed_is_done_again_though_no_table_tells_what_was_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: list[str]
) -> None:
    world.replay(BROKEN)
    keep(world.settings, *MENDED)
    choose = chooser(world.settings, [world.settings.raw], "made_gbfs", None, AT)
    for each in kills:
        with killed_at(monkeypatch, each), pytest.raises(Killed):
            world.replace([], choose)
        assert_refused(world.settings)
    world.replace([], choose)
    assert_allowed(world.settings)
    first = after(minutes=4)
    wanted = untouched(tmp_path / "other", [*before(BROKEN, first), *since(MENDED, first)])
    assert world.rows() == wanted.rows()
    assert world.state() == wanted.state()


def half_done(world: World, monkeypatch: pytest.MonkeyPatch, choose: replacing.Choose | None = None) -> None:
    """A replacement of which two answers were replayed."""
    world.replay(BROKEN)
    with killed_at(monkeypatch, "replay2!"), pytest.raises(Killed):
        world.replace(since(MENDED, AT), choose)


def test_what_is_left_is_told_with_the_command_that_brings_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    half_done(world, monkeypatch)
    said = r"before its answers were all replayed, .*: do `bike replay --replace again\.jsonl` again .* delete /.*\.$"
    with pytest.raises(HalfReplaced, match=said), poller_lock(world.settings):
        pass


@pytest.mark.parametrize("less", [
    [answer for answer in MENDED if answer.fetched_at > AT],
    [replace(answer, system_id="another") for answer in MENDED],
    [],
], ids=["begins later", "another system", "nothing"])  # fmt: skip
def test_no_other_replacement_comes_between(world: World, monkeypatch: pytest.MonkeyPatch, less: list[Answer]) -> None:
    half_done(world, monkeypatch)
    with pytest.raises(HalfReplaced, match=r"again\.jsonl"):
        world.replace(less)
    assert_refused(world.settings)


def test_what_was_taken_out_must_be_told_to_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    half_done(world, monkeypatch)
    with pytest.raises(NotReplaced, match="up to 2026-06-01 12:08:00 UTC, these answers end at 2026-06-01 12:05:00"):
        world.replace([answer for answer in MENDED if answer.fetched_at <= after(minutes=5)])
    assert_refused(world.settings)


def test_more_may_be_replaced_than_was_broken_off(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_done(world, monkeypatch)
    world.replace(MENDED)
    assert world.rows() == untouched(tmp_path / "other", MENDED).rows()
    assert_allowed(world.settings)


def test_a_restore_and_a_recording_do_not_finish_each_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the one was to bring, the other may lack, and no table would tell."""
    keep(world.settings, *MENDED)
    choose = chooser(world.settings, [world.settings.raw], "made_gbfs", None, AT)
    half_done(world, monkeypatch)
    with pytest.raises(HalfReplaced):
        world.replace([], choose)
    world.replace(since(MENDED, AT))
    world.replay(later := answers([*spoiled([GBFS.poll(after(minutes=9), TOWN)])]))
    keep(world.settings, *later)
    with killed_at(monkeypatch, "replay_each"), pytest.raises(Killed):
        world.replace([], choose)
    with pytest.raises(HalfReplaced):
        world.replace([*since(MENDED, AT), *later])


def test_twice_is_once(world: World, tmp_path: Path) -> None:
    world.replay(BROKEN)
    world.replace(since(MENDED, AT))
    world.replace(since(MENDED, AT))
    assert world.rows() == mended_world(tmp_path / "other").rows()


def test_a_poller_goes_on_from_it(world: World, tmp_path: Path) -> None:
    later = answers([GBFS.poll(after(minutes=n), TOWN | {"1": Station(n - 5)}) for n in (9, 10)])
    world.replay(BROKEN)
    world.replace(since(MENDED, AT))
    world.replay(later)
    world.drain()
    assert world.rows() == untouched(tmp_path / "other", [*before(BROKEN, AT), *since(MENDED, AT), *later]).rows()


def test_the_days_of_it_are_told_anew(world: World) -> None:
    world.replay(BROKEN)
    world.drain()
    note = world.settings.closed_days
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"events.polls": {"2026-05-31": 3, "2026-06-01": 9, "2026-06-02": 1}}))
    world.replace(since(MENDED, AT))
    told = json.loads(note.read_text())
    assert told["events.polls"] == {"2026-05-31": 3, "2026-06-01": None, "2026-06-02": 1}, "retention emptied the last"
    assert {tuple(days) for days in told.values()} == {("2026-06-01",), ("2026-05-31", "2026-06-01", "2026-06-02")}


def test_it_is_refused_where_what_follows_is_not_given(world: World) -> None:
    world.replay(BROKEN)
    world.drain()
    was = world.rows()
    with pytest.raises(NotReplaced, match=r"polls of made_gbfs up to 2026-06-01 12:08:00 UTC, these answers end at "
                                          r"2026-06-01 12:05:00 UTC: what follows"):
        world.replace([answer for answer in MENDED if answer.fetched_at <= after(minutes=5)])
    assert world.rows() == was
    assert not world.settings.replacement.exists()


def test_it_is_refused_where_a_feed_would_be_lost(world: World) -> None:
    world.replay(BROKEN)
    later = answers([GBFS.poll(after(minutes=9), TOWN)])
    with pytest.raises(NotReplaced, match=r"polls of made_gbfs's station_information since .*, of which these answers"):
        world.replace([*(each for each in since(MENDED, AT) if each.feed.endswith("status")), *later])


def test_no_answer_replaces_nothing(world: World) -> None:
    with pytest.raises(NotARecording, match="no answer"):
        world.replace([])


def test_answers_with_all_contracts_tell_of_each_that_stands_in_one_of_them() -> None:
    lines = [JCDECAUX.poll(after(minutes=n), TOWN) | {"system_id": ALL_CONTRACTS} for n in range(3)]
    lines[0] = {**lines[0], "body": None, "status": 503}
    [found] = [each for id_, each in covered(map(decoded, lines)).items() if id_ == "jcdecaux:made"]
    assert (found.first, found.last, found.feeds) == (NOON, after(minutes=2), {"station_status"})


def test_what_nobody_knew_then_is_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new station of the broken answers leaves the topics with them."""
    world.replay(BROKEN)
    with killed_at(monkeypatch, "replay_each"), pytest.raises(Killed):
        world.replace(MENDED)
    assert world.state() == {}
    newest = {(each.topic, each.key): each.value for own in world.kafka.committed.values() for each in own
              if each.topic.is_compacted}
    assert {value for (topic, _), value in newest.items() if topic is topics.STATION_STATE} == {None}


# Station 2 is listed no more from the first day on: it is remembered as absent for a day, its description for thirty.
CITY = {"1": "Square", "2": "Park"}
LEFT = [GBFS.information(NOON, CITY), GBFS.poll(NOON, TOWN), GBFS.poll(after(minutes=5), {"1": Station(4)}),
        GBFS.information(after(minutes=6), {"1": "Square"}), GBFS.poll(after(days=2), {"1": Station(3)}),
        GBFS.information(after(days=2, minutes=1), {"1": "Square"}),
        GBFS.information(after(days=33), {"1": "Plaza"}), GBFS.poll(after(days=33, minutes=1), {"1": Station(2)})]


def described(world: World) -> dict[str, str]:
    [system] = world.state().values()
    return {id_: each.name for id_, each in system["descriptions"].items()}


def test_a_forgotten_description_stays_forgotten_though_the_table_has_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.replay(answers(LEFT))
    assert described(world) == {"1": "Plaza"}
    with killed_at(monkeypatch, "replay_each"), pytest.raises(Killed):
        world.replace(answers(LEFT[5:]))
    assert described(world) == {"1": "Square"}, "what is known otherwise now is put back, and no more"
    world.replace(answers(LEFT[5:]))
    assert described(world) == {"1": "Plaza"}
    assert [row for row in world.rows()["events.station_information"] if "Park" in row], "no table loses it"


def test_a_description_that_was_remembered_then_is_put_back_though_it_was_forgotten_since(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.replay(answers(LEFT))
    with killed_at(monkeypatch, "replay_each"), pytest.raises(Killed):
        world.replace(answers(LEFT[3:]))
    assert described(world) == CITY, "its station was absent for a minute then; another name is the old one again"


def test_whoever_came_between_is_found_before_anything_is_taken_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise AlreadyRunning("Others may have written.")

    world.replay(BROKEN)
    world.drain()
    was, state = world.rows(), world.state()
    monkeypatch.setattr(world, "refuse_others", refuse)
    with pytest.raises(AlreadyRunning):
        world.replace(since(MENDED, AT))
    assert (world.rows(), world.state()) == (was, state)
    assert_allowed(world.settings)


@pytest.mark.parametrize(("lock", "who"), [("poller.lock", "A poller or a replay"),
                                           ("stream.lock", "A stream or a drain")])
def test_it_is_refused_beside_who_writes(world: World, lock: str, who: str) -> None:
    with (
        held_by_another(world.settings.run / lock) as pid,
        pytest.raises(AlreadyRunning, match=rf"^{who} is at work in this home: .*\(pid {pid}\)"),
    ):
        replacing.replace(world.settings, chosen(MENDED), "again", lambda _: Profile(), Console())
