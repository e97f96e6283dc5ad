"""Every column that is computed says of what."""

import pytest

from bike_assets.model.lineage import LINEAGE
from bike_assets.model.schema import Table
from bike_assets.model.tables import LIVE_TABLES, TABLES, VIEWS
from bike_assets.model.warehouse import DIM_DATE, WAREHOUSE_TABLES

COMPUTED = [table for table in LIVE_TABLES + VIEWS + WAREHOUSE_TABLES if table is not DIM_DATE]


@pytest.mark.parametrize("table", COMPUTED, ids=lambda table: table.name)
def test_every_column_that_is_computed_is_made_of_some(table: Table) -> None:
    made = LINEAGE[table.name]
    assert set(made) == {column.name for column in table.columns}
    assert all(made.values()), [name for name, of in made.items() if not of]


@pytest.mark.parametrize("table", COMPUTED, ids=lambda table: table.name)
def test_what_a_column_is_made_of_exists_and_is_told_once(table: Table) -> None:
    there = {(each.name, column.name) for each in TABLES for column in each.columns}
    for name, made in LINEAGE[table.name].items():
        told = [(of.table.name, of.column) for of in made]
        assert set(told) <= there, name
        assert len(set(told)) == len(told), name


def test_lineage_tells_of_tables_that_there_are() -> None:
    assert set(LINEAGE) == {table.name for table in COMPUTED}
