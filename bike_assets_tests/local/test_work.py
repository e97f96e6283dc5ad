"""What a replay says of the systems that it replays."""

from pathlib import Path

from bike_assets.ingest.profiles import Profile
from bike_assets.local.work import replayed_profiles
from bike_assets.settings import load_settings

OSLO = """
[[systems]]
kind = "gbfs"
system_id = "oslobysykkel"
url = "http://127.0.0.1/gbfs.json"
timezone = "Europe/Oslo"
"""


def test_a_replay_takes_the_time_zone_that_the_sources_file_gives_its_system(bare_directory: Path) -> None:
    (bare_directory / "sources.toml").write_text(OSLO)
    profile_of = replayed_profiles(load_settings(), None)
    assert profile_of("oslobysykkel").timezone == "Europe/Oslo"
    assert profile_of("another") == Profile()


def test_a_time_zone_that_was_given_is_that_of_all(bare_directory: Path) -> None:
    (bare_directory / "sources.toml").write_text(OSLO)
    profile_of = replayed_profiles(load_settings(), "America/New_York")
    assert {profile_of(each).timezone for each in ("oslobysykkel", "another")} == {"America/New_York"}


def test_a_replay_needs_no_sources_file(bare_directory: Path) -> None:
    assert replayed_profiles(load_settings(), None)("oslobysykkel") == Profile()
