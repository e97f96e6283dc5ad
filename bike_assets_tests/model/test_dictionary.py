from pathlib import Path

import pytest

import bike_assets
from bike_assets.model.dictionary import dictionary
from bike_assets.model.readings import State
from bike_assets.model.schema import Column, Table
from bike_assets.model.tables import LIVE_SYSTEM_MINUTE, TABLES
from bike_assets.model.warehouse import DIM_STATION, FACT_STATION_HOUR

IN_DOCS = Path(bike_assets.__file__).parents[1] / "docs" / "dictionary.md"


def table(*columns: Column) -> Table:
    return Table("live.example", "An example.", ("a", "b"), columns, ("utc_date",))


def row_of(column: Column) -> str:
    """How a column is shown."""
    return next(line for line in dictionary([table(column)]).splitlines() if line.startswith(f"| `{column.name}`"))


def test_the_one_in_docs_is_that_of_the_model() -> None:
    renew = "python -m bike_assets.model.dictionary > docs/dictionary.md"
    assert IN_DOCS.read_text() == dictionary(TABLES), f"the tables have changed; renew it: {renew}"


def test_a_table_is_told_with_its_grain_and_its_partition() -> None:
    said = dictionary([table()])
    assert "### live.example\n\nAn example.\n\nOne row per `a`, `b`. Partitioned by `utc_date`.\n" in said


def test_a_table_without_days_tells_of_no_partition() -> None:
    assert "Partitioned" not in dictionary([LIVE_SYSTEM_MINUTE, DIM_STATION])


def test_only_the_given_tables_are_told() -> None:
    said = dictionary([DIM_STATION])
    assert [line for line in said.splitlines() if line.startswith("### ")] == ["### warehouse.dim_station"]


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (Column("n", "int", "how many"), "| `n` | int |  |  | how many |"),
        (Column("n", "int", "how many", nullable=True), "| `n` | int | may be |  | how many |"),
        (Column("n", "int", "how many", low=0), "| `n` | int |  | from 0 | how many |"),
        (Column("n", "int", "how many", high=3), "| `n` | int |  | to 3 | how many |"),
        (Column("n", "double", "s", low=-90.5, high=90_000), "| `n` | double |  | -90.5 to 90,000 | s |"),
        (Column("n", "string", "a | b"), r"| `n` | string |  |  | a \| b |"),
    ],
)
def test_a_column_is_told_with_type_null_range_and_meaning(column: Column, shown: str) -> None:
    assert row_of(column) == shown


def test_every_column_says_what_it_holds() -> None:
    columns = [(table.name, column) for table in TABLES for column in table.columns]
    assert [f"{name}.{column.name}" for name, column in columns if not column.description] == []


def test_every_state_is_told_in_the_order_in_which_they_apply() -> None:
    said = dictionary([FACT_STATION_HOUR])
    places = [said.index(f"| `{state}` |") for state in State]
    assert places == sorted(places)
