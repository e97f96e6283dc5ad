"""Every topic's schema is told to a registry, where there is one."""

import json
from collections.abc import Iterator

import pytest

from bike_assets.ingest.registry import register
from bike_assets.local.parts import register_schemas
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import RegistryDown, RegistryRefuses
from bike_assets.model.topics import POLLS, TOPICS
from bike_assets.settings import load_settings
from bike_assets_tests.ingest.registries import Registry, registry


@pytest.fixture
def running() -> Iterator[Registry]:
    with registry() as made:
        yield made


def test_each_topics_schema_is_registered_under_its_name(running: Registry) -> None:
    ids = register(running.url + "/")
    assert set(ids) == {f"{topic.name}-value" for topic in TOPICS}
    assert running.subjects == {f"{topic.name}-value": [topic.schema] for topic in TOPICS}


def test_a_second_time_registers_nothing_more(running: Registry) -> None:
    assert register(running.url) == register(running.url)
    assert {len(versions) for versions in running.subjects.values()} == {1}


def test_a_schema_that_breaks_the_one_that_is_there_is_refused_in_one_sentence(running: Registry) -> None:
    older = json.loads(json.dumps(POLLS.schema))
    older["$defs"]["Poll"]["properties"]["weather"] = {"type": "string"}
    running.subjects["polls-value"] = [older]
    with pytest.raises(RegistryRefuses, match=r"does not take polls-value: 409 It is not compatible .* schema\.$"):
        register(running.url)


def test_a_registry_that_is_broken_or_none_is_told_and_can_be_tried_again(running: Registry) -> None:
    running.broken = 503
    with pytest.raises(RegistryDown, match="answered 503"):
        register(running.url)
    running.broken, running.said = None, b"<html>"
    with pytest.raises(RegistryDown, match="does not answer as a schema registry"):
        register(running.url)


def test_a_registry_that_is_down_is_told_without_its_password() -> None:
    (port,) = free_ports(1)
    with pytest.raises(RegistryDown, match=rf"at 127\.0\.0\.1:{port} did not answer") as told:
        register(f"http://bike:canary-0123@127.0.0.1:{port}")
    assert "canary" not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.parametrize("name", ["SCHEMA_REGISTRY_URL", "BIKE_SCHEMA_REGISTRY_URL"])
def test_the_poller_tells_the_registry_that_the_environment_names(
    running: Registry, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, running.url)
    register_schemas(load_settings())
    assert len(running.subjects) == len(TOPICS)


def test_polling_goes_on_without_a_registry_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register_schemas(load_settings())
    (port,) = free_ports(1)
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", f"http://127.0.0.1:{port}")
    register_schemas(load_settings())
    said = capsys.readouterr()
    assert "did not answer" in said.out + said.err
