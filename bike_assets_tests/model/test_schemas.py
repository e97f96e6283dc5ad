"""A topic's schema changes only so that everybody reads on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bike_assets.model import schemas
from bike_assets.model.compatibility import breaks
from bike_assets.model.schemas import PAGE, Broken, file_name, page, write
from bike_assets.model.topics import STATION_STATE, STATION_STATUS, TOPICS, Topic, schema_text
from bike_assets_tests.conftest import CHECKOUT

DOCS = CHECKOUT / "docs" / "schemas"
ANEW = "`python -m bike_assets.model.schemas docs/schemas` writes it anew"
every_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
Change = Callable[[dict[str, Any]], object]


@every_topic
def test_a_topics_schema_is_compatible_with_the_one_in_the_docs(topic: Topic) -> None:
    assert breaks(json.loads((DOCS / file_name(topic)).read_text()), topic.schema) == []


@every_topic
def test_the_docs_have_the_schema_as_it_is(topic: Topic) -> None:
    assert (DOCS / file_name(topic)).read_text() == schema_text(topic) + "\n", ANEW


def test_the_docs_show_every_topic_message_and_field_and_no_other() -> None:
    assert (DOCS / PAGE).read_text() == page(), ANEW
    assert {file.name for file in DOCS.iterdir()} == {file_name(topic) for topic in TOPICS} | {PAGE}
    for topic in TOPICS:
        assert f"\n## {topic.name}\n" in page()
        for kind in topic.message:
            assert f"\n### {kind.__name__}\n" in page()
            assert all(f"| `{name}` |" in page() for name in kind.__struct_fields__)


def changed(change: Change) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a station's status as it is, and with a change of its message."""
    old, new = (json.loads(schema_text(STATION_STATUS)) for _ in range(2))
    change(new["$defs"])
    return old, new


def fields(defs: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = defs["StationStatus"]["properties"]
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda defs: fields(defs).update(weather={"type": "string"}),
        lambda defs: fields(defs).update(station_id={"anyOf": [fields(defs)["station_id"], {"type": "null"}]}),
        lambda defs: fields(defs).update(reported_at={"anyOf": [{"type": "null"}, {"type": "string"}]}),
        lambda defs: fields(defs)["kind"].update(description="why"),
        lambda defs: defs["EventKind"]["enum"].append("rumour"),
        lambda defs: fields(defs)["bikes_before"]["anyOf"][0].pop("maximum"),
        lambda defs: fields(defs)["bikes_before"]["anyOf"][0].update(type="number"),
    ],
    ids=["a field", "null", "order", "words", "a value", "wider", "whole numbers to numbers"],
)
def test_what_only_adds_is_compatible(change: Change) -> None:
    old, new = changed(change)
    assert old != new
    assert breaks(old, new) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda defs: fields(defs).pop("kind"), "the message has no kind any more"),
        (lambda defs: fields(defs).update(station_id={"type": "integer"}), "station_id was string and is integer"),
        (lambda defs: fields(defs).update(reported_at={"type": "string"}), "reported_at was null and is string"),
        (lambda defs: defs["EventKind"]["enum"].remove("absent"), "kind may not be absent any more"),
        (lambda defs: fields(defs)["bikes_before"]["anyOf"][0].update(maximum=9),
         "bikes_before has a narrower maximum: 9"),
        (lambda defs: fields(defs)["bikes_before"]["anyOf"][0].update(minimum=1),
         "bikes_before has a narrower minimum: 1"),
        (lambda defs: defs["StationStatus"]["required"].append("weather"),
         "the message must have weather now, which messages of before lack"),
        (lambda defs: defs["StationStatus"]["required"].remove("kind"),
         "the message may lack kind now, which readers rely on"),
        (lambda defs: fields(defs)["station_id"].update(pattern="^a"),
         "station_id has another pattern: ^a, and was None"),
    ],
)  # fmt: skip
def test_what_breaks_somebody_is_told(change: Change, said: str) -> None:
    assert breaks(*changed(change)) == [said]


ANYTHING: dict[str, Any] = {"type": "object"}
OPEN = ANYTHING | {"additionalProperties": True}
CLOSED = ANYTHING | {"additionalProperties": False}
TEXTS = ANYTHING | {"additionalProperties": {"type": "string"}}
LIST: dict[str, Any] = {"type": "array"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (ANYTHING, CLOSED, "the message may have no other fields any more"),
        (TEXTS, CLOSED, "the message may have no other fields any more"),
        (ANYTHING, TEXTS, "each of the message was anything and is string"),
        (OPEN, TEXTS, "each of the message was anything and is string"),
        (TEXTS, OPEN, "each of the message was string and is anything"),
        (LIST, LIST | {"items": {"type": "string"}}, "each of the message was anything and is string"),
        (LIST, LIST | {"items": False}, "the message may have no items any more"),
        (LIST | {"items": {"type": "string"}}, LIST, "each of the message was string and is anything"),
        (ANYTHING | {"properties": {"a": True}}, ANYTHING | {"properties": {"a": {"type": "string"}}},
         "a was anything and is string"),
    ],
)  # fmt: skip
def test_what_is_in_an_object_or_a_list_stays_allowed_and_relied_on(
    old: dict[str, Any], new: dict[str, Any], said: str
) -> None:
    assert breaks(old, new) == [said]


@pytest.mark.parametrize(("old", "new"), [(ANYTHING, OPEN), (OPEN, ANYTHING), (CLOSED, OPEN), (CLOSED, TEXTS),
                                          (LIST, LIST | {"items": {}})])  # fmt: skip
def test_what_allows_as_much_or_what_nobody_had_breaks_nothing(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert breaks(old, new) == []


def test_a_kind_of_message_may_come_and_not_go() -> None:
    both = STATION_STATE.schema
    one = {**both, "anyOf": both["anyOf"][:1]}
    assert breaks(one, both) == []
    assert len(breaks(both, one)) == 1


def test_the_files_are_not_written_over_by_a_change_that_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    before = {file: file.read_text() for file in tmp_path.iterdir()}
    older = json.loads(schema_text(STATION_STATUS))
    fields(older["$defs"])["weather"] = {"type": "string"}
    (tmp_path / file_name(STATION_STATUS)).write_text(json.dumps(older))
    with pytest.raises(Broken, match="station_status: the message has no weather any more"):
        write(tmp_path)
    assert json.loads((tmp_path / file_name(STATION_STATUS)).read_text()) == older
    monkeypatch.setattr(schemas, "TOPICS", TOPICS[1:])
    write(tmp_path)
    assert {file for file in before if file.read_text() != before[file]} == {
        tmp_path / file_name(STATION_STATUS), tmp_path / PAGE,
    }  # fmt: skip
