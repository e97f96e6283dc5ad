"""Every topic's schema is told to a registry, where there is one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bike_assets.ingest import registry as registries
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


def test_a_second_time_registers_nothing_more_and_only_looks(running: Registry) -> None:
    first, asked = register(running.url), len(running.asked)
    assert register(running.url) == first
    assert {len(versions) for versions in running.subjects.values()} == {1}
    assert running.asked[asked:] == [f"POST /subjects/{topic.name}-value" for topic in TOPICS]


def with_weather() -> dict[str, Any]:
    """The schema of polls with a field more, which messages may lack."""
    made: dict[str, Any] = json.loads(json.dumps(POLLS.schema))
    made["$defs"]["Poll"]["properties"]["weather"] = {"type": "string"}
    return made


def test_a_new_field_is_taken_by_a_registry_whose_own_level_would_refuse_it(
    running: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = with_weather()
    running.subjects["polls-value"] = [POLLS.schema]
    monkeypatch.setattr(registries, "schema_text", lambda topic: json.dumps(newer if topic is POLLS else topic.schema))
    register(running.url)
    assert running.subjects["polls-value"] == [POLLS.schema, newer]
    assert running.levels["polls-value"] == "NONE"


@pytest.mark.parametrize(("level", "is_strict"), [("BACKWARD", False), (None, True)])
def test_a_level_that_is_not_ours_stays_and_what_it_refuses_is_told_with_the_one_that_is_wanted(
    running: Registry, monkeypatch: pytest.MonkeyPatch, level: str | None, *, is_strict: bool
) -> None:
    newer = with_weather()
    running.subjects["polls-value"], running.is_strict = [POLLS.schema], is_strict
    running.levels = {} if level is None else {"polls-value": level}
    monkeypatch.setattr(registries, "schema_text", lambda topic: json.dumps(newer if topic is POLLS else topic.schema))
    with pytest.raises(RegistryRefuses, match=r"409 It is not compatible .* \(its compatibility level is .*NONE\)\.$"):
        register(running.url)
    assert running.levels.get("polls-value") == level


def test_a_schema_that_breaks_the_one_that_is_there_is_refused_by_our_own_rule(running: Registry) -> None:
    older = with_weather()
    running.subjects["polls-value"], running.levels["polls-value"] = [older], "NONE"
    with pytest.raises(RegistryRefuses, match=r"does not take polls-value: .*has no weather any more\.$"):
        register(running.url)
    assert running.subjects["polls-value"] == [older]


def test_an_older_release_that_starts_again_is_known_and_refused_by_nobody(running: Registry) -> None:
    newer = with_weather()
    running.subjects["polls-value"] = [POLLS.schema, newer]
    register(running.url)
    assert running.subjects["polls-value"] == [POLLS.schema, newer]


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
