"""What is missing is found without anything being started."""

import socket
from pathlib import Path

import pytest

from bike_assets.local import doctor
from bike_assets.local.doctor import Finding, examine
from bike_assets.local.ports import busy_ports, free_ports
from bike_assets.settings import load_settings

PORTS = ("PAGE", "DAGSTER", "SIMULATOR", "SPARK", "KAFKA", "KAFKA_CONTROLLER")


@pytest.fixture(autouse=True)
def here(bare_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory with an empty home and free ports."""
    monkeypatch.setenv("BIKE_HOME", str(bare_directory / "home"))
    for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True):
        monkeypatch.setenv(f"BIKE_{name}_PORT", str(port))
    return bare_directory


def found(what: str) -> Finding:
    return next(finding for finding in examine() if finding.what == what)


def test_everything_that_a_start_needs_is_looked_at() -> None:
    looked_at = [finding.what for finding in examine()]
    assert looked_at == ["settings", "Python", "Java", "jars", "disk", "ports", "Kafka", "sources"]


def test_in_an_empty_home_only_the_jars_are_missing() -> None:
    assert [finding.what for finding in examine() if not finding.ok] == ["jars"]
    assert "`bike setup` fetches them" in found("jars").says


def test_wrong_settings_are_all_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIKE_PAGE_PORT", "eighty")
    (finding,) = examine()
    assert (finding.what, finding.ok) == ("settings", False)
    assert finding.says.startswith("BIKE_PAGE_PORT: ")


def test_a_java_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    monkeypatch.setenv("BIKE_JAVA_HOME", str(here / "no-java"))
    assert not found("Java").ok
    assert "no-java" in found("Java").says


def test_a_busy_port_is_told_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", load_settings().page_port)):
        assert busy_ports(load_settings())
        assert not found("ports").ok
        assert "BIKE_PAGE_PORT" in found("ports").says
    assert found("ports").ok


def test_a_broker_that_is_named_and_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setenv("BIKE_KAFKA", address)
    assert found("Kafka") == Finding("Kafka", ok=False, says=f"{address} does not answer; BIKE_KAFKA names it")


def test_too_little_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED_GB", 1e9)
    assert not found("disk").ok


def test_no_sources_file_is_no_fault_but_a_wrong_one_is(here: Path) -> None:
    assert found("sources").ok
    assert "cp sources.example.toml sources.toml" in found("sources").says
    (here / "sources.toml").write_text("[[systems]]\nkind = 'tram'\n")
    assert not found("sources").ok
    (here / "sources.toml").write_text("[[systems]]\nkind = 'jcdecaux'\ncontract = 'lyon'\n")
    assert found("sources") == Finding("sources", ok=True, says="1 sources in sources.toml")
