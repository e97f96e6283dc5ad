"""The members' key: whose it is, and what is said where there is none; and whom `forget` does not know."""

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from bike_assets import services
from bike_assets.local.demo import demo_settings
from bike_assets.local.members import poll_members
from bike_assets.model.errors import WrongSettings
from bike_assets.settings import Settings, load_settings


@pytest.fixture
def settings(bare_directory: Path) -> Settings:
    return load_settings(home=bare_directory / "home")


def test_without_a_key_nothing_is_asked_and_it_is_said_how_to_make_one(settings: Settings) -> None:
    with pytest.raises(WrongSettings, match=r"BIKE_MEMBERS_KEY is not set.*openssl rand -hex 32"):
        poll_members(settings.model_copy(update={"members_url": SecretStr("http://127.0.0.1:1/")}))


def test_an_address_with_a_key_in_it_is_not_shown(bare_directory: Path) -> None:
    said = load_settings(home=bare_directory, members_url="https://me:hidden@h.example/?key=hidden").model_dump_json()
    assert "hidden" not in said


def test_without_an_address_nothing_is_asked(settings: Settings) -> None:
    with pytest.raises(WrongSettings, match="BIKE_MEMBERS_URL names no members API"):
        poll_members(settings)


def test_the_demo_makes_a_key_that_only_its_owner_reads_and_keeps_it(settings: Settings) -> None:
    demo = demo_settings(settings)
    assert stat.S_IMODE(demo.members_key_file.stat().st_mode) == 0o600
    check = services.members_keyed(demo).check
    assert services.members_keyed(demo_settings(settings)).check == check
    assert demo.members_url is not None
    assert demo.members_url.get_secret_value() == f"http://127.0.0.1:{settings.simulator_port}/members/api/?seed=demo"


def test_a_key_of_the_settings_comes_before_the_homes(settings: Settings) -> None:
    demo_settings(settings)
    own = settings.model_copy(update={"members_key": SecretStr("k" * 32)})
    assert services.members_keyed(own).check != services.members_keyed(settings).check
