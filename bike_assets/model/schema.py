"""What a table is: columns with types, units and ranges, a grain, a partitioning.

Spark schemas, Delta tables, range checks, Dagster's column schemas and the data dictionary derive from it.
"""

from dataclasses import dataclass
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct

ColumnType = Literal[
    "string", "timestamp", "date", "int", "bigint", "double", "boolean", "decimal(12,2)", "decimal(28,2)"
]

_TYPES: dict[type, ColumnType] = {str: "string", int: "int", float: "double", bool: "boolean",
                                 Decimal: "decimal(12,2)"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: Spark's name of its type, what it holds with its unit, and its range where it has one."""

    name: str
    type: ColumnType
    description: str = ""
    nullable: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A Delta table. `name` is `<schema>.<table>`: its name in SQL, its path in the lake, its asset key."""

    name: str
    description: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    partitioned_by: tuple[str, ...] = ()
    log_retention_days: int = 7
    may_be_empty: bool = False
    """Whether a healthy lake may have no row of it."""
    dated_by: str = ""
    """The instant whose UTC date is `utc_date`, of a table of events."""
    is_personal: bool = False
    """Whether its rows are people: nothing of a row is shown elsewhere, and its log has no value of one."""

    @property
    def path(self) -> tuple[str, str]:
        schema, table = self.name.split(".")
        return schema, table

    @property
    def properties(self) -> dict[str, str]:
        """Delta's table features, fixed: readers without deletion vectors, a log that stays short.

        Who opens a table reads all commits since the last checkpoint. A stream commits each few seconds, the warehouse
        some times a day.
        """
        return {
            "delta.enableDeletionVectors": "false",
            "delta.checkpointInterval": "10" if self.path[0] == "warehouse" else "100",
            "delta.logRetentionDuration": f"interval {self.log_retention_days} days",
            "delta.dataSkippingStatsColumns": ",".join(self._looked_for()),
        }

    def _looked_for(self) -> tuple[str, ...]:
        """Columns whose least and greatest values in each file stand in the log, for readers to pass over files.

        By its key and by time is how a table is asked; each column more costs whoever writes a row, and a longer log.
        """
        if self.is_personal:  # the log outlives the file
            return "kafka_partition", "kafka_offset"
        return tuple(
            column.name
            for column in self.columns
            if column.name not in self.partitioned_by
            and (column.name in self.grain or column.type in ("date", "timestamp"))
        )

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def columns_of(message: type[Struct]) -> tuple[Column, ...]:
    """The columns that a message's fields make."""
    hints = get_type_hints(message, include_extras=True)
    return tuple(_column(name, hints[name]) for name in message.__struct_fields__)


def _column(name: str, hint: Any) -> Column:
    metas: list[Meta] = []
    bare, nullable = _unwrap(hint, metas)
    low = next((meta.ge for meta in metas if meta.ge is not None), None)
    high = next((meta.le for meta in metas if meta.le is not None), None)
    description = next((meta.description for meta in metas if meta.description), "")
    column_type = "timestamp" if bare.__name__ == "datetime" else _type_of(bare)
    return Column(name, column_type, description, nullable, low, high)


def _unwrap(hint: Any, metas: list[Meta]) -> tuple[type, bool]:
    """The plain type inside Annotated and Optional, and whether None is allowed; collects the Metas."""
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *notes = get_args(hint)
        metas.extend(note for note in notes if isinstance(note, Meta))
        return _unwrap(inner, metas)
    if origin in (Union, UnionType):
        options = [option for option in get_args(hint) if option is not NoneType]
        bare, _ = _unwrap(options[0], metas)
        return bare, True
    return hint, False


def _type_of(bare: type) -> ColumnType:
    return next(_TYPES[base] for base in bare.__mro__ if base in _TYPES and base is not object)
