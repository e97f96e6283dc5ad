"""The days of a recording, and a home of its own to check them in."""

import os
from datetime import date
from pathlib import Path

import pytest

from bike_assets.defs.build import Broken, Built, Checked
from bike_assets.local.ci import FILLED_BY, OF_STATIONS, looked_through, own_settings, told_missing, told_unread
from bike_assets.local.report import Part, outcome, sentence
from bike_assets.model.errors import NotARecording
from bike_assets.model.tables import EVENTS_TABLES, LIVE_TABLES
from bike_assets.settings import load_settings
from bike_assets_tests.oracle.made import CITIES, City, Station, write

STATIONS = {"1": Station(3, 7)}


def test_days_in_a_row_are_built_together_and_others_apart(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", [CITIES[0].poll(at, STATIONS) for at in ("03 23:59:59", "04 00:00:00")])
    second = write(tmp_path / "b.jsonl.gz", [CITIES[0].poll(at, STATIONS) for at in ("05 12:00:00", "09 12:00:00")])
    found = looked_through([second, first])
    assert found.days == [(date(2024, 3, 3), date(2024, 3, 5)), (date(2024, 3, 9), date(2024, 3, 9))]


def test_a_recording_without_an_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotARecording, match=r"empty\.jsonl: no answer stands in it\.$"):
        looked_through([write(tmp_path / "empty.jsonl", [])])


def misnamed(city: City) -> dict[str, object]:
    """A line of a recorder that gives a feed another name than any parser knows."""
    return city.poll("03 12:00:00", STATIONS) | {"feed": f"{city.kind}.station_statuss"}


@pytest.mark.parametrize("city", CITIES, ids=["JCDecaux", "GBFS"])
def test_a_recording_of_no_feed_that_a_parser_reads_is_refused_with_the_names_in_it(
    tmp_path: Path, city: City
) -> None:
    recording = write(tmp_path / "a.jsonl", [misnamed(city), misnamed(city) | {"feed": "weather"}])
    named = rf"a\.jsonl: no parser reads '{city.kind}\.station_statuss', 'weather', and nothing else stands in it\.$"
    with pytest.raises(NotARecording, match=named):
        looked_through([recording])


@pytest.mark.parametrize("city", CITIES, ids=["JCDecaux", "GBFS"])
def test_a_name_that_no_parser_knows_is_a_warning_beside_others_and_no_feed(tmp_path: Path, city: City) -> None:
    recording = write(tmp_path / "a.jsonl", [misnamed(city), CITIES[1].information("03 12:00:00", {"1": "Gare"})])
    found = looked_through([recording])
    assert (found.feeds, found.unread) == ({"station_information"}, {f"{city.kind}.station_statuss"})
    (told,) = (check for part in told_unread(found.unread) for check in part.checks)
    assert outcome(told) == "warned"
    assert sentence(told).startswith(f"No parser reads '{city.kind}.station_statuss'; ")
    assert told_unread(set()) == []


@pytest.mark.parametrize(("city", "feeds"), [
    (CITIES[0], {"station_status", "station_information"}), (CITIES[1], {"station_status"}),
], ids=["JCDecaux", "GBFS"])  # fmt: skip
def test_the_feeds_are_those_of_which_an_answer_was_recorded(tmp_path: Path, city: City, feeds: set[str]) -> None:
    recording = write(tmp_path / "a.jsonl", [city.poll("03 12:00:00", STATIONS)])
    assert looked_through([recording]).feeds == feeds


EMPTY = Checked("events.station_information", "keys_are_unique", passed=False)


def test_what_the_recordings_have_no_feed_for_is_a_warning_that_names_the_feed() -> None:
    (part,) = told_missing([Part("the tables", [EMPTY])], {"station_status"})
    (told,) = part.checks
    assert outcome(told) == "warned"
    assert sentence(told) == "There was nothing to check: no recording has an answer of station_information."


STATUS = Checked("events.station_status", "keys_are_unique", passed=False)
VEHICLES = Checked("events.vehicle_totals", "keys_are_unique", passed=True, checked=9)


@pytest.mark.parametrize(("vehicles", "is_told"), [
    ([VEHICLES], "warned"), ([VEHICLES._replace(checked=0)], "failed"), ([], "failed"),
], ids=["read", "recorded and not read", "not recorded"])  # fmt: skip
@pytest.mark.parametrize("table", sorted(OF_STATIONS))
def test_no_stations_are_a_warning_only_where_vehicles_were_read_instead(
    table: str, vehicles: list[Checked], is_told: str
) -> None:
    empty = STATUS._replace(table=table)
    stream, _ = told_missing([Part("the stream", [empty]), Part("others", vehicles)], {"vehicle_status"})
    assert [outcome(check) for check in stream.checks] == [is_told]


@pytest.mark.parametrize(("step", "feeds"), [
    (STATUS, {"station_information"}),
    (EMPTY, {"station_information"}),
    (EMPTY._replace(checked=3, bad=1), set()),
    (EMPTY._replace(table="events.polls"), set()),
    (EMPTY._replace(table="events.system_information"), {"station_status"}),
    (EMPTY._replace(passed=True), set()),
    (EMPTY._replace(passed=None), set()),
    (Built("events.station_information", 0), set()),
    (Broken("the run", "It failed."), set()),
], ids=["no stations", "recorded and yet empty", "bad rows", "of any feed", "told by status", "passed", "not run",
        "built", "broken"],
)  # fmt: skip
def test_nothing_else_becomes_a_warning(step: Built | Checked | Broken, feeds: set[str]) -> None:
    assert told_missing([Part("the tables", [step])], feeds) == [Part("the tables", [step])]


def test_every_table_that_must_have_rows_is_filled_by_a_feed_or_by_any() -> None:
    must = {table.name for table in EVENTS_TABLES + LIVE_TABLES if not table.may_be_empty}
    assert must - FILLED_BY.keys() == {"events.polls", "events.feed_fields"}
    assert FILLED_BY.keys() <= must
    assert {table for table, feeds in FILLED_BY.items() if feeds == {"station_status"}} == OF_STATIONS


def test_the_home_is_no_part_of_the_users_but_for_the_jars(bare_directory: Path) -> None:
    root = bare_directory / "own"
    root.mkdir()
    environment = dict(os.environ)
    try:
        own = own_settings(load_settings(kafka="theirs:9092"), root, date(2013, 5, 1))
        assert (own.home, own.kafka, own.first_day) == (root, None, date(2013, 5, 1))
        assert (root / "jars").readlink() == bare_directory / "var" / "jars"
        told = load_settings()
        assert (told.home, told.first_day, told.kafka_port) == (root, own.first_day, own.kafka_port)
        assert len({own.kafka_port, own.kafka_controller_port, own.spark_port}) == 3
    finally:
        os.environ.clear()
        os.environ.update(environment)
