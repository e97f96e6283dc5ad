"""What is written down once is nowhere forgotten: tables, topics, settings and their descriptions."""

from pathlib import Path

import dagster as dg
import pytest
from msgspec import Struct

from bike_assets.definitions import defs
from bike_assets.model.schema import Column, Table, columns_of
from bike_assets.model.tables import TABLES
from bike_assets.model.topics import TOPICS, Topic
from bike_assets.model.warehouse import DIM_CUSTOMER, DIM_DATE
from bike_assets.settings import Settings

CHECKOUT = Path(__file__).parents[1]
GRAPH = defs.resolve_asset_graph()
MESSAGES = [(topic, message) for topic in TOPICS for message in topic.message]
ASSETS = sorted(GRAPH.get_all_asset_keys())


def key_of(table: Table) -> dg.AssetKey:
    return dg.AssetKey(list(table.path))


def topic_key(topic: Topic) -> dg.AssetKey:
    return dg.AssetKey(["topics", topic.name])


def test_every_table_has_its_asset() -> None:
    assert {key_of(table) for table in TABLES} <= GRAPH.materializable_asset_keys


def test_every_topic_has_its_asset() -> None:
    assert {topic_key(topic) for topic in TOPICS} <= GRAPH.get_all_asset_keys()


def test_every_table_of_events_hangs_on_its_topic() -> None:
    for topic in TOPICS:
        if topic.table is not None:
            assert GRAPH.get(key_of(topic.table)).parent_keys == {topic_key(topic)}


def test_every_live_table_hangs_on_events() -> None:
    for table in TABLES:
        if table.path[0] == "live":
            layers = {key.path[0] for key in GRAPH.get(key_of(table)).parent_keys}
            assert layers in ({"events"}, {"events", "warehouse"})


@pytest.mark.parametrize("key", ASSETS, ids=lambda key: key.to_user_string())
def test_every_asset_says_whose_it_is_where_it_belongs_and_what_it_is(key: dg.AssetKey) -> None:
    asset = GRAPH.get(key)
    assert asset.owners
    assert asset.group_name in {"sources", "ingestion", "streaming", "warehouse", "serving", "maintenance"}
    assert asset.kinds
    assert asset.description


@pytest.mark.parametrize("key", ASSETS, ids=lambda key: key.to_user_string())
def test_every_asset_leads_on_to_the_page_and_to_what_its_columns_mean(key: dg.AssetKey) -> None:
    links = {name: GRAPH.get(key).metadata[name].value for name in ("live_page", "dictionary")}
    assert links["live_page"] == "http://127.0.0.1:8088"
    table = ".".join(key.path) if key in set(map(key_of, TABLES)) else None
    assert links["dictionary"].startswith("http://127.0.0.1:8088/dictionary")
    if table:
        assert links["dictionary"].endswith(f"#{table}")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_computed_table_shows_what_its_columns_are_made_of_and_hangs_on_it(table: Table) -> None:
    lineage = GRAPH.get(key_of(table)).metadata["dagster/column_lineage"].deps_by_column
    made_of = {dep.asset_key for deps in lineage.values() for dep in deps}
    if table.path[0] == "events" or table in (DIM_DATE, DIM_CUSTOMER):
        assert not made_of
        return
    assert set(lineage) == {column.name for column in table.columns}
    hangs_on = GRAPH.get(key_of(table)).parent_keys
    assert hangs_on - made_of <= {key_of(DIM_DATE)}, "a date is looked up by the checks, and makes no column"
    assert made_of <= hangs_on


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_shows_its_columns_in_dagster(table: Table) -> None:
    schema = GRAPH.get(key_of(table)).metadata["dagster/column_schema"]
    shown = [(column.name, column.type, column.description) for column in schema.columns]
    assert shown == [(column.name, column.type, column.description) for column in table.columns]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_is_checked_for_unique_keys(table: Table) -> None:
    assert dg.AssetCheckKey(key_of(table), "keys_are_unique") in GRAPH.asset_check_keys


def test_every_check_says_what_it_promises() -> None:
    for key in GRAPH.asset_check_keys:
        assert GRAPH.get_check_spec(key).description, key


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_and_column_is_described(table: Table) -> None:
    assert table.description
    assert [column.name for column in table.columns if not column.description] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_tables_key_stands_first_and_is_never_null(table: Table) -> None:
    first = table.columns[: len(table.grain)]
    assert tuple(column.name for column in first) == table.grain
    assert not any(column.nullable for column in first)


@pytest.mark.parametrize(("topic", "message"), MESSAGES, ids=lambda each: getattr(each, "__name__", ""))
def test_every_field_of_a_message_is_its_tables_column(topic: Topic, message: type[Struct]) -> None:
    if topic.table is None:
        assert topic.is_compacted, "what has no table is kept by Kafka for ever"
        return
    theirs: set[Column] = set(topic.table.columns)
    assert set(columns_of(message)) <= theirs
    added = {column.name for column in theirs} - set(message.__struct_fields__)
    assert added == {"utc_date", "kafka_partition", "kafka_offset"}


@pytest.mark.parametrize(("topic", "message"), MESSAGES, ids=lambda each: getattr(each, "__name__", ""))
def test_every_message_and_field_is_described_in_its_schema(topic: Topic, message: type[Struct]) -> None:
    schema = topic.schema["$defs"][message.__name__]
    assert schema["description"]
    for name, field in schema["properties"].items():
        # A nullable field carries its description itself, or its type does.
        assert any(each.get("description") for each in (field, *field.get("anyOf", ()))), name


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_and_in_the_example(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    lines = (CHECKOUT / ".env.example").read_text().splitlines()
    place = next((i for i, line in enumerate(lines) if line.startswith(f"# BIKE_{name.upper()}=")), None)
    assert place is not None, "not in .env.example"
    assert lines[place - 1] == f"# {description}"


def test_the_example_shows_every_default() -> None:
    shown = dict(
        line.removeprefix("# BIKE_").split("=", 1)
        for line in (CHECKOUT / ".env.example").read_text().splitlines()
        if line.startswith("# BIKE_")
    )
    for name, field in Settings.model_fields.items():
        if field.default is not None:
            default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
            assert shown[name.upper()] == default
