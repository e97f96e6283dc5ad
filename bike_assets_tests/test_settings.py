"""Settings come from the environment, .env and bike.toml, and a mistake is told with its place."""

from pathlib import Path

import pytest

from bike_assets.local.leftovers import CHILD_MARK, MARK
from bike_assets.model.errors import WrongSettings
from bike_assets.settings import load_settings, unknown_variables

CANARY = "canary-0123456789"


@pytest.fixture(autouse=True)
def here(bare_directory: Path) -> Path:
    return bare_directory


def test_defaults_need_nothing(here: Path) -> None:
    settings = load_settings()
    assert settings.home == here / "var"
    assert settings.lake == here / "var" / "lake"
    assert settings.bootstrap_servers == "127.0.0.1:19092"
    assert settings.jcdecaux_key is None


def test_the_environment_wins_over_dot_env_and_that_over_the_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "bike.toml").write_text("page_port = 1001\ndagster_port = 1001\nkafka_port = 1001\n")
    (here / ".env").write_text("BIKE_PAGE_PORT=1002\nBIKE_DAGSTER_PORT=1002\n")
    monkeypatch.setenv("BIKE_PAGE_PORT", "1003")
    settings = load_settings()
    assert (settings.page_port, settings.dagster_port, settings.kafka_port) == (1003, 1002, 1001)


def test_what_the_command_line_gives_wins_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIKE_SOURCES", "theirs.toml")
    assert load_settings(sources=Path("mine.toml")).sources == Path("mine.toml")


def test_a_wrong_value_in_the_file_is_told_with_its_line(here: Path) -> None:
    (here / "bike.toml").write_text('home = "x"\n\npage_port = "eighty"\n')
    with pytest.raises(WrongSettings, match=r"^bike\.toml, line 3, page_port: .*valid integer"):
        load_settings()


def test_a_wrong_value_in_the_environment_is_told_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIKE_POLL_SECONDS", "-1")
    with pytest.raises(WrongSettings, match=r"^BIKE_POLL_SECONDS: .*greater than 0"):
        load_settings()


def test_an_environment_that_is_wrong_is_blamed_even_where_the_file_has_the_key_too(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "bike.toml").write_text("page_port = 8080\n")
    monkeypatch.setenv("BIKE_PAGE_PORT", "eighty")
    with pytest.raises(WrongSettings, match=r"^BIKE_PAGE_PORT: "):
        load_settings()


def test_a_wrong_value_in_dot_env_is_told_with_its_line(here: Path) -> None:
    (here / "bike.toml").write_text("page_port = 8080\n")
    (here / ".env").write_text("# ours\nBIKE_PAGE_PORT=eighty\n")
    with pytest.raises(WrongSettings, match=r"^\.env, line 2, BIKE_PAGE_PORT: "):
        load_settings()


def test_a_key_of_the_file_that_is_no_setting_is_told_with_its_line(here: Path) -> None:
    (here / "bike.toml").write_text("page_port = 8080\npage_prot = 8081\n")
    with pytest.raises(WrongSettings, match=r"^bike\.toml, line 2, page_prot: no such setting; `bike config`"):
        load_settings()


def test_a_file_that_is_no_toml_is_told_with_its_line(here: Path) -> None:
    (here / "bike.toml").write_text("page_port = 8080\nhome = \n")
    with pytest.raises(WrongSettings, match=r"^bike\.toml is no TOML: .*line 2"):
        load_settings()


def test_a_key_is_shown_by_nothing_that_prints_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIKE_JCDECAUX_KEY", CANARY)
    settings = load_settings()
    assert CANARY not in f"{settings} {settings!r} {settings.model_dump_json()} {settings.model_dump()}"
    assert settings.jcdecaux_key is not None
    assert settings.jcdecaux_key.get_secret_value() == CANARY


def test_a_wrong_value_is_not_repeated_for_it_could_be_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIKE_LOG_LEVEL", CANARY)
    with pytest.raises(WrongSettings) as wrong:
        load_settings()
    assert CANARY not in str(wrong.value)
    assert wrong.value.__cause__ is None


def test_a_variable_that_sets_nothing_is_told_with_what_may_be_meant(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIKE_POL_SECONDS", CANARY)
    monkeypatch.setenv("BIKE_PAGE_PORT", "1003")
    (here / ".env").write_text(f"export BIKE_QUUXQUUX={CANARY}\nbike_raw_days=3\nOTHER=1\n")
    assert unknown_variables() == [
        "BIKE_POL_SECONDS is no setting. Did you mean BIKE_POLL_SECONDS?",
        "BIKE_QUUXQUUX is no setting. `bike config` lists them all.",
    ]


def test_what_our_own_processes_are_known_by_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (MARK, CHILD_MARK, "BIKE_TEST_HOME"):
        monkeypatch.setenv(name, "x")
    assert unknown_variables() == []
