"""The model's tables and topics in Dagster's words."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from bike_assets.defs.links import links
from bike_assets.model.lineage import LINEAGE
from bike_assets.model.schema import Table
from bike_assets.model.topics import Topic

OWNERS = ["team:bikes"]


def column_schema(table: Table) -> dg.TableSchema:
    """The table's columns with their descriptions, and what must hold of each."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.columns
        ],
        constraints=dg.TableConstraints(other=[f"one row per ({', '.join(table.grain)})"]),
    )


def column_lineage(table: Table) -> dg.TableColumnLineage:
    """What each column is made of; a table of events is its topic's messages, which have no columns."""
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(list(of.table.path), of.column) for of in made]
            for column, made in LINEAGE.get(table.name, {}).items()
        }
    )


def made_of(table: Table) -> list[list[str]]:
    """The tables that a table is computed from, as keys of assets."""
    return [list(path) for path in sorted({of.table.path for made in LINEAGE[table.name].values() for of in made})]


def table_metadata(table: Table, lineage: dg.TableColumnLineage) -> dict[str, Any]:
    """What an operator wants to know of rows, wherever they stand."""
    return {
        "dagster/column_schema": column_schema(table),
        "dagster/column_lineage": lineage,
        "grain": ", ".join(table.grain),
        **links(table),
    }


def table_spec(table: Table, group: str, deps: Sequence[dg.AssetDep | list[str]]) -> dg.AssetSpec:
    """A table of the lake as an asset: its key is its path in the lake."""
    return dg.AssetSpec(
        key=list(table.path),
        deps=deps,
        description=table.description,
        group_name=group,
        kinds={"spark", "deltalake"},
        owners=OWNERS,
        metadata={**table_metadata(table, column_lineage(table)), "dagster/table_name": table.name},
        skippable=True,
    )


def topic_metadata(topic: Topic) -> dict[str, Any]:
    """What an operator wants to know of a topic: how it is kept, and what its messages are."""
    return {
        "topic": topic.name,
        "kept": topic.config["cleanup.policy"],
        "json_schema": dg.JsonMetadataValue(topic.schema),
        **links(topic.table),
    }
