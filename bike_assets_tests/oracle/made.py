"""Recordings made by hand, each of one thing that goes wrong, and a strategy that makes any mixture of them.

Every hand-made one exists for a JCDecaux contract and for a GBFS system, with the same stations and times.
"""

import base64
import gzip
import json
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from hypothesis import strategies as st

Line = dict[str, Any]
NO_JSON = base64.b64encode(b"<html>\xff Bad Gateway</html>").decode()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write(path: Path, lines: list[Line]) -> Path:
    """Write a recording, packed as the suffix says (`.jsonl`, `.xz`, `.gz`, `.zst`)."""
    texts = [json.dumps(line, ensure_ascii=False) for line in lines]
    data = "".join(text + "\n" for text in texts).encode()
    if path.suffix == ".zst":
        duckdb.execute(f"COPY (SELECT unnest(?) AS line) TO '{path}' "
                       "(FORMAT csv, COMPRESSION zstd, HEADER false, DELIMITER '\x1f', QUOTE '', ESCAPE '')", [texts])
    elif path.suffix == ".xz":
        path.write_bytes(lzma.compress(data))
    else:
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def instant(text: str) -> datetime:
    """`30 23:50:00` is 2024-03-30T23:50:00Z: the day of March 2024, then the time."""
    return datetime.fromisoformat(f"2024-03-{text.replace(' ', 'T')}+00:00")


class Station(NamedTuple):
    """What a row of an answer says of a station, right or wrong."""

    bikes: int = 3
    docks: int | None = 7
    shut: str | None = None
    """The flag of GBFS that is false; JCDecaux has only one."""
    flaw: str | None = None
    """`negative`, `text`: a bad row; `twice`: an earlier report of the same station stands beside it."""


Stations = dict[str, Station]


@dataclass(frozen=True)
class City:
    """A system whose answers are made up: `kind` is `jcdecaux` or `gbfs`."""

    kind: str

    @property
    def system_id(self) -> str:
        """The identity of the system."""
        return "jcdecaux:made" if self.kind == "jcdecaux" else "made_gbfs"

    def line(self, at: datetime, feed: str = "station_status", **answer: Any) -> Line:
        """Any answer of this city."""
        name = "jcdecaux.v1.stations" if self.kind == "jcdecaux" else f"gbfs.{feed}"
        fetched_at = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"system_id": self.system_id, "feed": name, "fetched_at": fetched_at, **answer}

    def poll(self, at: str | datetime, stations: Stations, updated: str | datetime | None = None) -> Line:
        """A body with these stations; its own time is 20 s before `at` unless given."""
        when = instant(at) if isinstance(at, str) else at
        own = instant(updated) if isinstance(updated, str) else updated or when - timedelta(seconds=20)
        own = own.replace(microsecond=0)
        rows = [row for station_id, station in stations.items() for row in self._rows(station_id, station, own)]
        return self.line(when, body=rows if self.kind == "jcdecaux" else _gbfs(own, rows))

    def not_modified(self, at: str | datetime, feed: str = "station_status") -> Line:
        """A 304: no body."""
        return self.line(instant(at) if isinstance(at, str) else at, feed, status=304)

    def information(self, at: str | datetime, names: dict[str, str], **wrong: Any) -> Line:
        """GBFS's station_information with these names by station; `wrong` spoils every row."""
        when = instant(at) if isinstance(at, str) else at
        rows = [{"station_id": station_id, "name": name, "lat": 59.9, "lon": 10.7, "capacity": 10} | wrong
                for station_id, name in names.items()]
        return self.line(when, "station_information", body=_gbfs(when.replace(microsecond=0), rows))

    def _rows(self, station_id: str, station: Station, own: datetime) -> list[dict[str, Any]]:
        make = _jcdecaux_row if self.kind == "jcdecaux" else _gbfs_row
        row = make(station_id, station, own)
        if station.flaw == "twice":
            earlier = make(station_id, station._replace(bikes=station.bikes + 1), own - timedelta(seconds=60))
            return [earlier, row] if station.bikes % 2 else [row, earlier]
        return [row]


def _gbfs(own: datetime, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"last_updated": int(own.timestamp()), "ttl": 60, "version": "2.3", "data": {"stations": rows}}


def _bikes(station: Station) -> Any:
    return {"negative": -1, "text": "three"}.get(station.flaw or "", station.bikes)


def _gbfs_row(station_id: str, station: Station, own: datetime) -> dict[str, Any]:
    flags = {name: name != station.shut for name in ("is_installed", "is_renting", "is_returning")}
    docks = {} if station.docks is None else {"num_docks_available": station.docks}
    return {"station_id": station_id, "num_bikes_available": _bikes(station), **docks, **flags,
            "last_reported": int(own.timestamp())}


def _jcdecaux_row(station_id: str, station: Station, own: datetime) -> dict[str, Any]:
    docks = {} if station.docks is None else {"available_bike_stands": station.docks}
    return {"number": int(station_id), "contract_name": "Made", "name": f"0{station_id} - PLACE", "address": "Place",
            "position": {"lat": 47.2, "lng": 6.0}, "banking": station_id == "1", "bonus": False, "bike_stands": 10,
            "status": "CLOSED" if station.shut else "OPEN", "available_bikes": _bikes(station), **docks,
            "last_update": (own - EPOCH) // timedelta(milliseconds=1)}


# ---- by hand -------------------------------------------------------------------------------------------------------

BOTH = {"1": Station(3, 7), "2": Station(0, 10)}


def the_first_poll_of_an_hour_with_a_changed_station(city: City) -> list[Line]:
    """Station 1 changes in the first poll of 11:00 (no keyframe), station 2 does not (a keyframe)."""
    return [city.poll("30 10:58:00", BOTH), city.poll("30 10:59:00", BOTH),
            city.poll("30 11:00:00.250", BOTH | {"1": Station(1, 9)}), city.poll("30 11:01:00", BOTH)]


def an_absence_over_an_hours_edge(city: City) -> list[Line]:
    """Station 2 is gone from 10:59 to 12:01 and comes back with another reading."""
    alone = {"1": Station(3, 7)}
    return [city.poll("30 10:58:00", BOTH), city.poll("30 10:59:00", alone), city.poll("30 11:00:00", alone),
            city.poll("30 11:30:00", alone), city.poll("30 12:00:00", alone),
            city.poll("30 12:01:00", BOTH | {"2": Station(2, 8)})]


def a_gap_of_40_minutes_over_midnight(city: City) -> list[Line]:
    """Nobody looks from 23:50 to 00:30; meanwhile two bikes left station 1."""
    return [city.poll("30 23:40:00", BOTH), city.poll("30 23:50:00", BOTH),
            city.poll("31 00:30:00", BOTH | {"1": Station(1, 9)}), city.poll("31 00:40:00", BOTH)]


def nothing_new(city: City) -> list[Line]:
    """304 before any body, in an hour, at the start of one, and after an absence."""
    return [city.not_modified("30 10:40:00"), city.poll("30 10:45:00", BOTH), city.not_modified("30 10:50:00"),
            city.not_modified("30 11:00:00"), city.not_modified("30 11:05:00"),
            city.poll("30 11:40:00", {"1": Station(1, 9)}), city.not_modified("30 12:00:00")]


def a_rejected_row(city: City) -> list[Line]:
    """Station 2's rows are bad for two polls over an hour's edge: it is absent, station 1 is not touched."""
    bad = BOTH | {"2": Station(flaw="negative")}
    return [city.poll("30 10:58:00", BOTH), city.poll("30 10:59:00", bad),
            city.poll("30 11:00:00", BOTH | {"2": Station(flaw="text")}), city.poll("30 11:01:00", BOTH)]


def an_older_body(city: City) -> list[Line]:
    """A cache answers with an older body, then the feed goes on."""
    return [city.poll("30 10:50:00", BOTH), city.poll("30 10:55:00", BOTH | {"1": Station(1, 9)}),
            city.poll("30 11:00:00", BOTH, updated="30 10:49:40"),
            city.poll("30 11:01:00", BOTH | {"1": Station(1, 9)})]


def a_frozen_body(city: City) -> list[Line]:
    """The body's time stands still after having advanced: good for 30 minutes, then stale, by body and by 304."""
    still = {"updated": "30 10:10:00"}
    return [city.poll("30 10:00:00", BOTH, updated="30 10:00:00"), city.poll("30 10:10:00", BOTH, **still),
            city.poll("30 10:40:00", BOTH, **still), city.poll("30 10:40:01", BOTH | {"1": Station(1, 9)}, **still),
            city.not_modified("30 11:00:00"), city.poll("30 11:10:00", BOTH)]


def a_body_that_never_advanced(city: City) -> list[Line]:
    """A time that has stood still from the first poll on says nothing: all are good."""
    still = {"updated": "30 08:00:00"}
    return [city.poll("30 10:00:00", BOTH, **still), city.poll("30 10:40:00", BOTH, **still),
            city.not_modified("30 11:20:00")]


def a_clock_in_the_future(city: City) -> list[Line]:
    """One body says that it is of tomorrow: it is good, and nobody is judged by it; the same half an hour ahead is."""
    return [city.poll("30 10:50:00", BOTH), city.poll("30 10:55:00", BOTH | {"1": Station(1, 9)}),
            city.poll("30 10:56:00", BOTH, updated="31 10:56:00"), city.not_modified("30 10:57:00"),
            city.poll("30 10:58:00", BOTH), city.poll("30 10:59:00", BOTH, updated="30 11:29:00"),
            city.poll("30 11:00:00", BOTH), city.poll("30 11:30:00", BOTH)]


def an_empty_list(city: City) -> list[Line]:
    """No station before any is known is a good poll; afterwards it is invalid, and nobody becomes absent."""
    return [city.poll("30 10:57:00", {}), city.poll("30 10:58:00", BOTH), city.poll("30 11:00:00", {}),
            city.poll("30 11:01:00", BOTH | {"1": Station(1, 9)})]


def a_duplicate_id(city: City) -> list[Line]:
    """Station 1 stands twice in a body, the later report first or last: 3 bikes, then 2."""
    return [city.poll("30 10:58:00", BOTH | {"1": Station(3, 7, flaw="twice")}),
            city.poll("30 10:59:00", BOTH | {"1": Station(2, 7, flaw="twice")})]


def a_body_that_is_no_json(city: City) -> list[Line]:
    """Bytes that are no JSON, then JSON of another shape."""
    wrong = {"error": "Unauthorized"} if city.kind == "jcdecaux" else _gbfs(instant("30 11:00:30"), []) | {"data": []}
    return [city.poll("30 10:58:00", BOTH), city.line(instant("30 11:00:00"), body_base64=NO_JSON),
            city.line(instant("30 11:00:30"), body=wrong), city.poll("30 11:01:00", BOTH)]


def repeats_and_late_lines(city: City) -> list[Line]:
    """The same line again, one that is older, and one of the same instant that says something else."""
    other = BOTH | {"1": Station(1, 9)}
    first, second = city.poll("30 10:58:00", BOTH), city.poll("30 10:59:00", other)
    return [first, first, second, city.poll("30 10:58:30", BOTH), first, city.poll("30 10:59:00", BOTH),
            city.poll("30 11:00:00", other)]


def a_closure(city: City) -> list[Line]:
    """Station 1 closes and opens again with other bikes: no departures, no arrivals, two states entered."""
    return [city.poll("30 10:50:00", BOTH), city.poll("30 10:55:00", BOTH | {"1": Station(0, 0, shut="is_renting")}),
            city.poll("30 11:00:00", BOTH | {"1": Station(0, 0, shut="is_renting")}),
            city.poll("30 11:05:00", BOTH | {"1": Station(2, 8)}), city.poll("30 11:06:00", BOTH)]


def seen_again_after_a_day(city: City) -> list[Line]:
    """Station 2 vanishes for 30 hours; its absence is told for 24 of them. Then both are unseen for 25 hours."""
    alone = {"1": Station(3, 7)}
    hours = [city.poll(instant("28 10:00:00") + timedelta(hours=n), alone) for n in range(1, 31)]
    return [city.poll("28 10:00:00", BOTH), *hours, city.poll("29 16:30:00", BOTH),
            city.poll("30 17:30:01", alone), city.poll("30 18:00:00", alone), city.poll("30 18:01:00", BOTH)]


def docks_that_are_not_given(city: City) -> list[Line]:
    """Missing and 999 docks are null and never full; 0 docks are."""
    return [city.poll("30 10:58:00", {"1": Station(3, None), "2": Station(3, 999), "3": Station(3, 0)}),
            city.poll("30 10:59:00", {"1": Station(3, 999), "2": Station(3, 0), "3": Station(0, 0)})]


def answers_that_failed(city: City) -> list[Line]:
    """A 503, and no answer in time, at the start of an hour: the next good poll brings the keyframes."""
    return [city.poll("30 10:58:00", BOTH), city.line(instant("30 11:00:00"), status=503),
            city.line(instant("30 11:00:30"), error="timeout"), city.poll("30 11:01:00", BOTH)]


def descriptions(city: City) -> list[Line]:
    """A station that is renamed, one that leaves the list and comes back the same, a bad row, a 304."""
    named = {"1": "Square", "2": "Station"}
    if city.kind == "jcdecaux":
        renamed = city.poll("30 10:59:00", BOTH)
        renamed["body"][0]["name"] = "01 - SQUARE"
        return [city.poll("30 10:58:00", BOTH), renamed, city.poll("30 11:00:00", {"1": BOTH["1"]}), renamed,
                city.poll("30 11:01:00", BOTH)]
    return [city.information("30 10:58:00", named), city.information("30 10:59:00", named | {"1": "New Square"}),
            city.information("30 11:00:00", {"1": "New Square"}), city.information("30 11:01:00", named, lat=91),
            city.not_modified("30 11:02:00", "station_information"), city.information("30 11:03:00", named)]


BY_HAND: tuple[Callable[[City], list[Line]], ...] = (
    the_first_poll_of_an_hour_with_a_changed_station, an_absence_over_an_hours_edge,
    a_gap_of_40_minutes_over_midnight, nothing_new, a_rejected_row, an_older_body, a_frozen_body,
    a_body_that_never_advanced, a_clock_in_the_future, an_empty_list, a_duplicate_id, a_body_that_is_no_json,
    repeats_and_late_lines, a_closure, seen_again_after_a_day, docks_that_are_not_given, answers_that_failed,
    descriptions)
CITIES = (City("jcdecaux"), City("gbfs"))
MADE: dict[str, list[Line]] = {f"{make.__name__}[{city.kind}]": make(city) for make in BY_HAND for city in CITIES}
"""Every hand-made recording by name, for `pytest.mark.parametrize`."""


# ---- at random -----------------------------------------------------------------------------------------------------

START = instant("28 22:50:00")
SECONDS, MINUTES, HOURS = 1_000, 60_000, 3_600_000
GAPS_MS = st.one_of(
    st.integers(1, 90).map(lambda n: n * SECONDS), st.integers(1, 15).map(lambda n: n * MINUTES),
    st.integers(1, 45).map(lambda n: n * MINUTES), st.integers(1, 40).map(lambda n: n * HOURS), st.integers(1, 5_000),
    st.sampled_from([30 * MINUTES, 30 * MINUTES + 1, 24 * HOURS, 24 * HOURS + 1]))
STATIONS = st.builds(
    Station, bikes=st.integers(0, 3), docks=st.sampled_from([2, 1, 0, 999, None]),
    shut=st.sampled_from([None, None, None, "is_renting", "is_returning", "is_installed"]),
    flaw=st.sampled_from([None, None, None, None, "twice", "negative", "text"]))
KINDS = (*["poll"] * 8, *["not_modified"] * 2, "frozen", "older", "ahead", "empty", "no_json", "wrong_shape", "failed",
         "repeat", "late", "information", "information_not_modified")


class Step(NamedTuple):
    """What happens next to a made-up city."""

    gap_ms: int
    kind: str
    moved: dict[str, Station | None]
    """The stations that say something new; None: they leave the list."""


STEPS = st.builds(Step, gap_ms=GAPS_MS, kind=st.sampled_from(KINDS),
                  moved=st.just({}) | st.dictionaries(st.sampled_from(["1", "2", "3"]), st.none() | STATIONS | STATIONS,
                                                      max_size=3))


class _Told:
    """The lines of a city as its steps are told."""

    def __init__(self, city: City) -> None:
        self.city, self.at, self.updated = city, START, START - timedelta(seconds=20)
        self.stations: Stations = {"1": Station(3, 1), "2": Station(0, 2)}
        self.lines: list[Line] = []

    def add(self, step: Step) -> None:
        """Let the gap pass, move the stations, and answer."""
        for station_id, station in step.moved.items():
            self.stations.pop(station_id, None)
            if station is not None:
                self.stations[station_id] = station
        if step.kind == "repeat" and self.lines:
            self.lines.append(self.lines[-1])
        elif step.kind == "late":
            self.lines.append(self.city.poll(self.at - timedelta(milliseconds=step.gap_ms), self.stations))
        else:
            self.at += timedelta(milliseconds=step.gap_ms)
            self.lines.append(self.answer(step.kind))

    def answer(self, kind: str) -> Line:
        """The answer at this moment."""
        city, at = self.city, self.at
        if kind.startswith("information") and city.kind == "gbfs":
            names = {station_id: f"Square {station.bikes}" for station_id, station in self.stations.items()}
            if kind == "information":
                return city.information(at, names)
            return city.not_modified(at, "station_information")
        if kind == "older":
            return city.poll(at, self.stations, updated=self.updated - timedelta(seconds=30))
        others: dict[str, Callable[[], Line]] = {
            "not_modified": lambda: city.not_modified(at),
            "frozen": lambda: city.poll(at, self.stations, updated=self.updated),
            "ahead": lambda: city.poll(at, self.stations, updated=at + timedelta(minutes=30 + len(self.stations))),
            "empty": lambda: city.poll(at, {}),
            "no_json": lambda: city.line(at, body_base64=NO_JSON),
            "wrong_shape": lambda: city.line(at, body={"error": "Unauthorized"}),
            "failed": lambda: city.line(at, status=503),
        }
        if kind in others:
            return others[kind]()
        self.updated = at - timedelta(seconds=20)
        return city.poll(at, self.stations)


def told(city: City, steps: list[Step]) -> list[Line]:
    """The recording of a city to which all this happens."""
    told = _Told(city)
    for step in steps:
        told.add(step)
    return told.lines


def recordings() -> st.SearchStrategy[list[Line]]:
    """Recordings of a JCDecaux contract, a GBFS system or both in turn: everything that `BY_HAND` has, mixed.

    About 15 answers of a system, 36 at most; what fails shrinks to few.
    """
    # Lists of lists: a plain list would have 6 on average, too few for an absence over hours.
    parts = st.lists(st.lists(STEPS, min_size=1, max_size=6), min_size=1, max_size=6)
    steps = parts.map(lambda nested: [step for part in nested for step in part])
    one = st.builds(told, st.sampled_from(CITIES), steps)
    two = st.builds(lambda first, second: _in_turn(told(CITIES[0], first), told(CITIES[1], second)), steps, steps)
    return st.one_of(one, two)


def _in_turn(first: list[Line], second: list[Line]) -> list[Line]:
    return [line for pair in zip_longest(first, second) for line in pair if line is not None]
