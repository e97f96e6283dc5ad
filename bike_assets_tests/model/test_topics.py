import json
from typing import Any

import jsonschema
import msgspec
import pytest
from msgspec import Struct

from bike_assets.model.topics import (
    POLLS,
    STATION_INFORMATION,
    STATION_STATE,
    TOPICS,
    Topic,
    partition_of,
    schema_text,
    station_key,
)
from bike_assets_tests.model.builders import one_of_each

BY_NAME = {topic.name: topic for topic in TOPICS}
EACH = one_of_each()


def as_json(message: Struct) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(msgspec.json.encode(message))
    return decoded


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topics_schema_is_a_json_schema(topic: Topic) -> None:
    jsonschema.Draft202012Validator.check_schema(topic.schema)
    assert json.loads(schema_text(topic)) == topic.schema


def test_there_is_a_message_of_each_kind_to_try() -> None:
    assert {type(message) for _, message in EACH} == {kind for topic in TOPICS for kind in topic.message}


@pytest.mark.parametrize(("topic", "message"), EACH, ids=lambda each: type(each).__name__)
def test_a_message_as_it_is_sent_holds_to_its_schema(topic: str, message: Struct) -> None:
    jsonschema.validate(as_json(message), BY_NAME[topic].schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(("topic", "message"), EACH, ids=lambda each: type(each).__name__)
def test_a_message_without_what_it_is_of_does_not(topic: str, message: Struct) -> None:
    sent = as_json(message)
    del sent[next(iter(sent))]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(sent, BY_NAME[topic].schema, jsonschema.Draft202012Validator)


def test_a_count_below_zero_does_not() -> None:
    sent = as_json(next(message for topic, message in EACH if topic == "polls")) | {"rows_in": -1}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(sent, POLLS.schema, jsonschema.Draft202012Validator)


def test_events_are_kept_for_seven_days() -> None:
    assert POLLS.config["cleanup.policy"] == "delete"
    assert POLLS.config["retention.ms"] == str(7 * 24 * 60 * 60 * 1000)


def test_state_is_kept_for_ever_the_newest_of_each_key() -> None:
    assert STATION_STATE.config["cleanup.policy"] == "compact"
    assert STATION_STATE.config["min.compaction.lag.ms"] == "0"
    assert "retention.ms" not in STATION_STATE.config


def test_what_feeds_a_table_is_not_compacted_before_the_table_has_it() -> None:
    assert STATION_INFORMATION.config["min.compaction.lag.ms"] == str(7 * 24 * 60 * 60 * 1000)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_kafkas_own_time_is_that_of_writing_so_that_an_old_recording_is_kept(topic: Topic) -> None:
    assert topic.config["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize(
    ("system_id", "partition"),
    [("oslobysykkel", 2), ("jcdecaux:lyon", 0), ("jcdecaux:besancon", 1), ("vélo", 3)],
)
def test_a_system_never_moves_to_another_partition(system_id: str, partition: int) -> None:
    # Known values: another hash would let two writers work on one system.
    assert partition_of(system_id, 4) == partition


def test_all_of_a_systems_messages_stand_in_one_partition_that_exists() -> None:
    assert {partition_of(f"system-{number}", 3) for number in range(100)} == {0, 1, 2}


def test_a_stations_key_names_its_system_first() -> None:
    assert station_key("jcdecaux:lyon", "a/b").split("/", 1) == ["jcdecaux:lyon", "a/b"]
