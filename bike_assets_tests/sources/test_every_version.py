"""One city, served in every version over HTTP and asked for as the poller asks, is the same city in all of them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import pytest
from pydantic import SecretStr

from bike_assets.ingest.asking import SourceAsker
from bike_assets.ingest.routing import expected_parts
from bike_assets.model.answers import (
    Description,
    InformationPoll,
    Parsed,
    StationPoll,
    SystemPoll,
    TypesPoll,
    VehiclePoll,
)
from bike_assets.model.readings import Reading, VehicleReading
from bike_assets.simulator.city import City, SimStation
from bike_assets.simulator.gbfs import VERSIONS
from bike_assets.simulator.seeds import generated_city
from bike_assets.simulator.server import serve
from bike_assets.sources.config import GbfsSource, JcdecauxSource, Source
from bike_assets.sources.http import Fetcher
from bike_assets.sources.plan import Defaults
from bike_assets.sources.reading import feed_name, read
from bike_assets_tests.simulator.builders import MORNING, after, fleet

TOWN = "jcdecaux:town"
TTL_S = 5
WITH_TYPES = [version for version in VERSIONS if version >= "2.1"]


@pytest.fixture(scope="module")
def town() -> City:
    """After a day's rides; a station is closed, one is missing from the status."""
    town = generated_city(60, 1, MORNING, (60.0, 10.0), system_id=TOWN, timezone="Europe/Oslo")
    town.fleet = fleet()
    town.advance(after(hours=24))
    town.stations[0].is_open = town.stations[1].is_in_feed = False
    return town


@pytest.fixture(scope="module")
def url(town: City) -> Iterator[str]:
    with serve([town], 0, lambda: after(hours=24), TTL_S) as base:
        yield base


def asked(url: str, source: Source) -> dict[str, Parsed]:
    """What the first turn of a source brings, read, by feed."""
    fetcher = Fetcher(10, 10**7)
    defaults = Defaults(60, url, SecretStr("a-key-of-any-kind"))
    found: dict[str, Parsed] = {}
    types: frozenset[str] | None = None
    for answer in SourceAsker(source, defaults, fetcher).ask():
        (part,) = expected_parts(answer, frozenset(source.system_ids))
        parsed = found[feed_name(part.feed)] = read(part, types)
        if isinstance(parsed, TypesPoll):
            types = frozenset(parsed.electric_types)
    fetcher.close()
    return found


def gbfs(url: str, version: str) -> dict[str, Parsed]:
    return asked(url, GbfsSource(system_id=TOWN, url=f"{url}/gbfs/{TOWN}/{version}/gbfs.json"))


def rows(poll: Parsed) -> dict[str, tuple[Reading, Description | None]]:
    assert isinstance(poll, StationPoll)
    assert not poll.rejected
    assert poll.rows_in == len(poll.rows)
    read_rows = (poll.read(place) for place in range(len(poll.rows)))
    return {row.station_id: (row.reading, row.information) for row in read_rows}


def times(poll: Parsed) -> list[datetime | None]:
    """Of the feed and of its rows, in whole seconds: some versions say no more."""
    assert isinstance(poll, StationPoll)
    own = [poll.feed_updated_at, *map(poll.reported_at, range(len(poll.rows)))]
    return [at and at.replace(microsecond=0) for at in own]


def in_feed(town: City) -> list[SimStation]:
    return [each for each in town.stations if each.is_in_feed]


@pytest.mark.parametrize("version", VERSIONS)
def test_stations_are_the_same_in_every_version_of_gbfs(town: City, url: str, version: str) -> None:
    poll = gbfs(url, version)["station_status"]
    assert {name: reading for name, (reading, _) in rows(poll).items()} == {
        each.station_id: Reading(each.bikes, each.ebikes if version in WITH_TYPES else None, each.docks, None, None,
                                 True, each.is_open, each.is_open)
        for each in in_feed(town)
    }  # fmt: skip
    usual = gbfs(url, "2.3")["station_status"]
    assert times(poll) == times(usual)


@pytest.mark.parametrize("version", VERSIONS)
def test_descriptions_are_the_same_in_every_version_of_gbfs(town: City, url: str, version: str) -> None:
    found = gbfs(url, version)
    information, system = found["station_information"], found["system_information"]
    assert isinstance(information, InformationPoll)
    assert information.descriptions == {
        each.station_id: Description(each.name, each.address, each.lat, each.lon, each.capacity, None)
        for each in town.stations
    }
    assert isinstance(system, SystemPoll)
    assert (system.name, system.operator, system.timezone) == ("Town", "Simulated", "Europe/Oslo")
    assert ("vehicle_types" in found) == (version in WITH_TYPES)


@pytest.mark.parametrize("version", VERSIONS)
def test_vehicles_are_the_same_in_every_version_of_gbfs_that_tells_as_much(town: City, url: str, version: str) -> None:
    poll = gbfs(url, version)["vehicle_status"]
    assert isinstance(poll, VehiclePoll)
    assert town.fleet is not None
    assert poll.vehicles == {
        each.vehicle_id: VehicleReading(
            "ebike" if version in WITH_TYPES else None, None, each.lat, each.lon, each.is_reserved, each.is_disabled,
            round(each.range_m / 500, 1) if version >= "2.3" else None,
            each.range_m if version in WITH_TYPES else None,
        )
        for each in town.fleet.standing
    }  # fmt: skip


@pytest.mark.parametrize("contracts", [{"contract": "town"}, {"contracts": ("town",)}])
@pytest.mark.parametrize("version", [1, 3])
def test_stations_are_the_same_in_both_versions_of_jcdecaux(
    town: City, url: str, version: Literal[1, 3], contracts: dict[str, Any]
) -> None:
    found = asked(url, JcdecauxSource(version=version, **contracts))["station_status"]
    assert {name: reading for name, (reading, _) in rows(found).items()} == {
        each.station_id: Reading(each.bikes, each.ebikes if version == 3 else None, each.docks, None, None,
                                 each.is_open, each.is_open, each.is_open)
        for each in in_feed(town)
    }  # fmt: skip
    assert {name: described for name, (_, described) in rows(found).items()} == {
        each.station_id: Description(each.name, each.address, each.lat, each.lon, each.capacity, False)
        for each in in_feed(town)
    }
    other = asked(url, JcdecauxSource(version=1 if version == 3 else 3, contract="town"))["station_status"]
    assert times(found) == times(other)
