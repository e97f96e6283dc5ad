"""The tables of the lake, each written down once.

The `events.*` tables are their messages with three columns more; Spark schemas, Delta tables, range
checks, Dagster's column schemas and the data dictionary all derive from here.
"""

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct

from bike_assets.model import messages

ColumnType = Literal["string", "timestamp", "date", "int", "bigint", "double", "boolean"]

_TYPES: dict[type, ColumnType] = {str: "string", int: "int", float: "double", bool: "boolean"}


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

    @property
    def path(self) -> tuple[str, str]:
        schema, table = self.name.split(".")
        return schema, table

    @property
    def properties(self) -> dict[str, str]:
        """Delta's table features, fixed: readers without deletion vectors, a log that stays short."""
        return {
            "delta.enableDeletionVectors": "false",
            "delta.checkpointInterval": "100",
            "delta.logRetentionDuration": f"interval {self.log_retention_days} days",
        }

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


def _events(name: str, message: type[Struct], grain: tuple[str, ...]) -> Table:
    own = columns_of(message)
    return Table(
        name=f"events.{name}",
        description=" ".join((message.__doc__ or "").split()),
        grain=grain,
        columns=(
            *(next(column for column in own if column.name == key) for key in grain),
            *(column for column in own if column.name not in grain),
            Column("utc_date", "date", f"UTC date of {grain[-1] if grain[-1].endswith('_at') else 'fetched_at'}"),
            Column("kafka_partition", "int", "where the message stood in its topic", nullable=True),
            Column("kafka_offset", "bigint", "where the message stood in its partition", nullable=True),
        ),
        partitioned_by=("utc_date",),
    )


EVENTS_STATION_STATUS = _events(
    "station_status", messages.StationStatus, ("system_id", "station_id", "observed_at")
)
EVENTS_STATION_INFORMATION = _events(
    "station_information", messages.StationInformation, ("system_id", "station_id", "observed_at")
)
EVENTS_SYSTEM_INFORMATION = _events(
    "system_information", messages.SystemInformation, ("system_id", "observed_at")
)
EVENTS_POLLS = _events("polls", messages.Poll, ("system_id", "feed", "fetched_at"))
EVENTS_REJECTIONS = _events(
    "rejections", messages.Rejection, ("system_id", "feed", "fetched_at", "row_index")
)

LIVE_SYSTEM_MINUTE = Table(
    name="live.system_minute",
    description="A system in a UTC minute: levels at its last good poll, flows summed; no good poll, no row.",
    grain=("system_id", "minute"),
    columns=(
        Column("system_id", "string", "the system"),
        Column("minute", "timestamp", "start of the UTC minute"),
        Column("stations", "int", "stations with an accepted reading", low=0),
        Column("empty", "int", "of them open, without a bike", low=0),
        Column("full", "int", "of them open, with bikes and without a dock", low=0),
        Column("closed", "int", "of them not open", low=0),
        Column("bikes_available", "int", "over open stations", low=0),
        Column("docks_available", "int", "over open stations that give docks", nullable=True, low=0),
        Column("ebikes_available", "int", "over open stations that give them", nullable=True, low=0),
        Column("saturation", "double", "bikes / (bikes + docks) over open stations that give docks",
               nullable=True, low=0, high=1),
        Column("departures", "int", "bikes gone between good polls that ended in this minute", low=0),
        Column("arrivals", "int", "bikes come between good polls that ended in this minute", low=0),
    ),
    log_retention_days=1,
)

EVENTS_TABLES = (
    EVENTS_STATION_STATUS,
    EVENTS_STATION_INFORMATION,
    EVENTS_SYSTEM_INFORMATION,
    EVENTS_POLLS,
    EVENTS_REJECTIONS,
)
LIVE_TABLES = (LIVE_SYSTEM_MINUTE,)
TABLES = EVENTS_TABLES + LIVE_TABLES
