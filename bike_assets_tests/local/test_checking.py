"""`bike sources check`, against real servers that behave and misbehave, by the command line and from within."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bike_assets.local.checking import check_sources, wanted
from bike_assets.model.errors import WrongSettings
from bike_assets.model.tables import EVENTS_FEED_FIELDS
from bike_assets.settings import load_settings
from bike_assets.simulator import gbfs
from bike_assets.simulator.server import serve
from bike_assets.sources.config import GbfsSource, JcdecauxSource
from bike_assets.sources.findings import Checked
from bike_assets.sources.shapes import shape_of
from bike_assets_tests.journeys.apis import (
    BAD_ROWS,
    ELSEWHERE,
    FORBIDDEN,
    GOOD,
    NO_JSON,
    SLOW,
    WRONG_SHAPE,
    apis,
)
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.simulator.builders import city, station
from bike_assets_tests.test_cli import Bike

KEY = "canary/5f3e9d+0a"
PAIR = [station("1"), station("2")]


@pytest.fixture
def api() -> Iterator[str]:
    with apis() as url:
        yield url


@pytest.fixture
def simulator() -> Iterator[str]:
    with serve([city(PAIR), city(PAIR, system_id="jcdecaux:town")], 0) as url:
        yield url


def check(*sources: GbfsSource | JcdecauxSource, **given: Any) -> list[Checked]:
    settings = load_settings(**({"jcdecaux_key": KEY} | given))
    return check_sources(settings, sources, lambda: None)


def test_what_a_city_is_is_told_by_its_feeds(simulator: str) -> None:
    [town] = check(GbfsSource(system_id="town", url=f"{simulator}/gbfs/town/gbfs.json"))
    assert (town.is_usable, town.version, town.stations, town.rejected) == (True, "2.3", 2, 0)
    assert town.feeds == [
        "gbfs_versions", "station_information", "station_status", "system_information", "vehicle_types"
    ]  # fmt: skip
    assert town.versions == ["1.0", "1.1", "2.0", "2.1", "2.2", "2.3", "3.0"]
    newest = f"it can be had in GBFS 3.0 too: {simulator}/gbfs/town/3.0/gbfs.json"
    assert (town.faults, town.remarks) == ([], [newest])


def test_what_a_city_answers_otherwise_than_in_the_lakes_last_week_is_told(
    simulator: str, tmp_path: Path
) -> None:
    """By the same rules as the daily check, of the systems that are asked alone; the lake is as it was."""
    source, home = GbfsSource(system_id="town", url=f"{simulator}/gbfs/town/gbfs.json"), tmp_path / "home"
    lake = load_settings(home=home).lake
    good = gbfs.feed(city(PAIR), "station_status", simulator, 5) or b""
    was = good.replace(b'"is_renting"', b'"renting":"yes","is_renting"')
    hours = [datetime.now(UTC) - timedelta(hours=hour) for hour in (3, 2, 1)]
    fields = [each for at in hours for name in ("town", "other") for each in shape_of(was, name, "station_status", at)]
    write_messages(lake, EVENTS_FEED_FIELDS, *fields)
    files = sorted(lake.rglob("*"))
    [town] = check(source, home=home)
    said = [each for each in town.remarks if "drifts" in each]
    path = re.escape("data.stations[].renting")
    at = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    assert len(said) == 1
    assert re.fullmatch(rf"station_status drifts: {path} was given by 100 % until {at}, and is given by 0 % since {at}",
                        said[0])  # fmt: skip
    assert sorted(lake.rglob("*")) == files
    [page] = check(GbfsSource(system_id="elsewhere", url=source.url), home=home)
    assert page.remarks == [each for each in town.remarks if "drifts" not in each]


def test_a_lake_that_cannot_be_read_keeps_no_city_from_being_checked(simulator: str, tmp_path: Path) -> None:
    lake = load_settings(home=tmp_path).lake
    write_messages(lake, EVENTS_FEED_FIELDS, *shape_of(b'[{"a":1}]', "town", "station_status", datetime.now(UTC)))
    [file] = lake.rglob("*.parquet")
    file.write_bytes(b"no parquet")
    [town] = check(GbfsSource(system_id="town", url=f"{simulator}/gbfs/town/gbfs.json"), home=tmp_path)
    assert town.is_usable
    assert town.remarks[-1].startswith("whether it drifts cannot be told: events.feed_fields cannot be read: ")


@pytest.mark.parametrize(("case", "fault"), [
    (FORBIDDEN, "answered with status 403"),
    (ELSEWHERE, "leads elsewhere, which is not followed"),
    (NO_JSON, "it answers a web page, not JSON"),
    (WRONG_SHAPE, "Expected array, got object"),
])  # fmt: skip
def test_what_is_wrong_with_a_contract_is_told_and_no_key_with_it(api: str, case: str, fault: str) -> None:
    [checked] = check(JcdecauxSource(contract="lyon", url=f"{api}/{case}"))
    assert not checked.is_usable
    assert fault in checked.faults[0]
    assert KEY not in repr(checked)


def test_bad_rows_are_counted_and_the_good_ones_make_it_usable(api: str) -> None:
    [checked] = check(JcdecauxSource(contract="lyon", url=f"{api}/{BAD_ROWS}"))
    assert (checked.is_usable, checked.stations, checked.rejected) == (True, 2, 3)
    assert "station_status: bad_field: Object missing required field name" in checked.reasons


def test_each_contract_of_one_answer_is_told_and_one_that_is_missing_too(simulator: str) -> None:
    town, nantes = check(JcdecauxSource(contracts=("Town", "Nantes"), url=simulator))
    assert (town.system_id, town.is_usable, town.stations) == ("jcdecaux:town", True, 2)
    assert (nantes.system_id, nantes.is_usable) == ("jcdecaux:nantes", False)
    assert nantes.faults == ["station_status: the contract is missing from the answer with all contracts"]


def test_a_contract_without_a_key_is_told_as_its_fault(api: str) -> None:
    page = GbfsSource(system_id="page", url=f"{api}/{NO_JSON}")
    lyon, other = check(JcdecauxSource(contract="lyon", url=f"{api}/{GOOD}"), page, jcdecaux_key=None)
    assert lyon.faults[0].startswith("BIKE_JCDECAUX_KEY is not set")
    assert other.faults == ["gbfs: it answers a web page, not JSON"]


def test_slow_ones_are_waited_for_together_and_only_so_long(api: str) -> None:
    slow = [JcdecauxSource(contract=f"city{number}", url=f"{api}/{SLOW}") for number in range(8)]
    began = time.monotonic()
    found = check(*slow, read_seconds=0.5)
    assert time.monotonic() - began < 8 * 0.5, "one after the other would take so long"
    assert [each.system_id for each in found] == [f"jcdecaux:city{number}" for number in range(8)]
    assert all("did not answer in full within 0.5 s" in each.faults[0] for each in found)


def test_a_system_is_that_of_the_file_else_the_catalogues_and_a_url_is_itself(bare_directory: Path) -> None:
    (bare_directory / "sources.toml").write_text(
        '[[systems]]\nkind = "gbfs"\nsystem_id = "bruxelles"\nurl = "https://mine.example/gbfs.json"\n'
    )
    settings = load_settings()
    mine, listed, address = wanted(settings, ["bruxelles", "namur", "https://new.example/gbfs.json?a=1", "bruxelles"])
    assert [each.url for each in (mine, listed, address)] == [
        "https://mine.example/gbfs.json",
        "https://api.cyclocity.fr/contracts/namur/gbfs/v3/gbfs.json",
        "https://new.example/gbfs.json?a=1",
    ]
    assert address.system_ids == ("https://new.example/gbfs.json",)
    assert wanted(settings, []) == [mine]


def test_of_many_contracts_only_those_that_are_named_are_told(bare_directory: Path, simulator: str) -> None:
    entry = f'[[systems]]\nkind = "jcdecaux"\ncontracts = ["Nantes", "Town"]\nurl = "{simulator}"\n'
    (bare_directory / "sources.toml").write_text(entry)
    settings = load_settings(jcdecaux_key=KEY)
    [town] = check_sources(settings, wanted(settings, ["jcdecaux:town"]), lambda: None)
    assert (town.system_id, town.is_usable) == ("jcdecaux:town", True)
    assert len(check_sources(settings, wanted(settings, []), lambda: None)) == 2


@pytest.mark.parametrize(("asked", "said"), [
    ("ftp://new.example", r"^ftp://new.example cannot be asked: give an http or https URL\.$"),
    ("https://new.example/?apiKey=1", r"^https://new.example/ cannot be asked: a key does not belong in this file"),
    ("oslo", "^oslo is not in the catalogue; near to it are "),
])  # fmt: skip
def test_what_cannot_be_asked_is_one_sentence(bare_directory: Path, asked: str, said: str) -> None:
    with pytest.raises(WrongSettings, match=said):
        wanted(load_settings(), [asked])


def test_the_command_shows_what_it_found_and_its_status_tells(tmp_path: Path, simulator: str, api: str) -> None:
    bike = Bike(tmp_path, BIKE_JCDECAUX_KEY=KEY)
    address = f"{simulator}/gbfs/town/gbfs.json"
    [town] = bike.json("sources", "check", address)
    assert (town["system_id"], town["is_usable"]) == (address, True)
    (tmp_path / "sources.toml").write_text("".join(
        f'[[systems]]\nkind = "jcdecaux"\ncontract = "{case}"\nurl = "{api}/{case}"\n' for case in (GOOD, FORBIDDEN)
    ))  # fmt: skip
    done = bike("sources", "check")
    assert done.returncode == 1
    assert "2 checked, 1 of them not usable." in done.stdout
    assert "answered with status 403" in done.stdout
    assert KEY not in done.stdout + done.stderr
    assert not (tmp_path / "home").exists(), "nothing is committed"
