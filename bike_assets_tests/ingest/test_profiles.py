"""Whose word on a system counts: a person's, then its feed's, then what the project knows."""

import pytest
from structlog.testing import capture_logs

from bike_assets.ingest.memory import SystemMemory
from bike_assets.ingest.profiles import Profile, profiles, system_information
from bike_assets.model.answers import SystemPoll
from bike_assets.model.messages import SystemInformation
from bike_assets.sources.config import GbfsSource
from bike_assets_tests.ingest.builders import after
from bike_assets_tests.model.builders import NOON

FEED_SAYS = SystemPoll("Town Bikes", "Town", "Europe/Oslo", None)


def described(system_id: str, told: SystemPoll | None, profile: Profile) -> SystemInformation:
    found = system_information(SystemMemory(system_id), told, profile, NOON)
    assert found is not None
    return found


@pytest.mark.parametrize(("system_id", "told", "person", "zone"), [
    ("town", FEED_SAYS, "Asia/Tokyo", "Asia/Tokyo"),
    ("town", FEED_SAYS, None, "Europe/Oslo"),
    ("jcdecaux:toyama", None, None, "Asia/Tokyo"),
    ("jcdecaux:toyama", None, "Europe/Paris", "Europe/Paris"),
])
def test_the_time_zone_is_the_persons_the_feeds_or_the_tables(
    system_id: str, told: SystemPoll | None, person: str | None, zone: str
) -> None:
    with capture_logs() as logs:
        assert described(system_id, told, Profile(timezone=person)).timezone == zone
    assert logs == []


def test_where_nobody_says_it_is_utc_with_a_warning() -> None:
    with capture_logs() as logs:
        assert described("town", None, Profile()).timezone == "UTC"
    assert [(each["log_level"], each["system_id"]) for each in logs] == [("warning", "town")]


def test_an_unknown_zone_of_a_feed_is_passed_over_with_a_warning() -> None:
    with capture_logs() as logs:
        told = SystemPoll("Town", None, "Mars/Olympus", None)
        assert described("town", told, Profile()).timezone == "UTC"
    assert logs[0]["timezone"] == "Mars/Olympus"


def test_what_is_known_already_is_not_told_again() -> None:
    memory = SystemMemory("town")
    memory.information = described("town", FEED_SAYS, Profile())
    assert system_information(memory, FEED_SAYS, Profile(), after(days=1)) is None
    assert system_information(memory, None, Profile(), after(days=1)) is None
    renamed = system_information(memory, None, Profile(name="Ours"), after(days=1))
    assert renamed is not None
    assert (renamed.name, renamed.operator, renamed.timezone) == ("Ours", "Town", "Europe/Oslo")


def test_the_sources_file_speaks_of_its_own_systems_only() -> None:
    profile_of = profiles([GbfsSource(system_id="town", url="https://example.org", city="Town", timezone="Asia/Tokyo")])
    assert profile_of("town") == Profile(city="Town", timezone="Asia/Tokyo")
    assert profile_of("village") == Profile()
