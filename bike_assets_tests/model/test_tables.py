from datetime import datetime
from enum import StrEnum
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from bike_assets.model.schema import Column, columns_of
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, LIVE_SYSTEM_MINUTE, TABLES


class Colour(StrEnum):
    RED = "red"


Share = Annotated[float, Meta(ge=0, le=1, description="of all")]


class Message(Struct):
    """One field of each kind."""

    name: str
    at: datetime
    count: int
    share: Share
    half: Annotated[Share | None, Meta(description="of the half")]
    colour: Annotated[Colour | None, Meta(description="as painted")]
    is_new: bool | None


COLUMNS = {column.name: column for column in columns_of(Message)}


def test_columns_keep_the_order_of_the_fields() -> None:
    assert tuple(COLUMNS) == Message.__struct_fields__


@pytest.mark.parametrize(
    ("name", "type_"),
    [("name", "string"), ("at", "timestamp"), ("count", "int"), ("share", "double"), ("half", "double"),
     ("colour", "string"), ("is_new", "boolean")],
)  # fmt: skip
def test_a_field_has_its_type_without_what_wraps_it(name: str, type_: str) -> None:
    assert COLUMNS[name].type == type_


def test_a_field_that_may_be_none_is_nullable() -> None:
    assert {name for name, column in COLUMNS.items() if column.nullable} == {"half", "colour", "is_new"}


def test_a_range_is_found_inside_an_alias() -> None:
    assert (COLUMNS["share"].low, COLUMNS["share"].high) == (0, 1)
    assert (COLUMNS["half"].low, COLUMNS["half"].high) == (0, 1)
    assert (COLUMNS["count"].low, COLUMNS["count"].high) == (None, None)


def test_the_fields_own_description_wins_over_its_aliass() -> None:
    assert COLUMNS["share"].description == "of all"
    assert COLUMNS["half"].description == "of the half"
    assert COLUMNS["name"].description == ""


def test_a_table_finds_its_column() -> None:
    assert EVENTS_POLLS.column("rows_in") == Column("rows_in", "int", "rows that the body had", low=0)


def test_a_tables_name_is_its_path() -> None:
    assert EVENTS_STATION_STATUS.path == ("events", "station_status")


def test_events_are_partitioned_by_their_utc_date_and_say_of_what() -> None:
    assert EVENTS_STATION_STATUS.partitioned_by == ("utc_date",)
    assert EVENTS_STATION_STATUS.column("utc_date").description == "UTC date of observed_at"
    assert EVENTS_POLLS.column("utc_date").description == "UTC date of fetched_at"


def test_every_table_is_without_deletion_vectors_and_keeps_a_short_log() -> None:
    for table in TABLES:
        assert table.properties["delta.enableDeletionVectors"] == "false"
        assert table.properties["delta.checkpointInterval"] == ("10" if table.path[0] == "warehouse" else "100")
    assert EVENTS_POLLS.properties["delta.logRetentionDuration"] == "interval 7 days"
    assert LIVE_SYSTEM_MINUTE.properties["delta.logRetentionDuration"] == "interval 1 days"


def test_the_log_has_the_range_of_each_file_for_keys_and_times_alone() -> None:
    ranged = {table.name: table.properties["delta.dataSkippingStatsColumns"].split(",") for table in TABLES}
    assert ranged["warehouse.fact_station_hour"] == ["system_id", "station_id", "hour_start", "local_date"]
    for table in TABLES:
        assert set(ranged[table.name]) <= {column.name for column in table.columns} - set(table.partitioned_by)
        assert not table.dated_by or table.is_personal or table.dated_by in ranged[table.name]


def test_names_are_taken_once() -> None:
    assert len({table.name for table in TABLES}) == len(TABLES)
    for table in TABLES:
        assert len({column.name for column in table.columns}) == len(table.columns)
