"""The warehouse as a star: which tables are whole, which are taken a day at a time, and what refers to what.

It follows from the tables themselves, so that a table that is added is in every database without another word.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bike_assets.model.schema import Column, Table
from bike_assets.model.warehouse import DIM_CUSTOMER, DIM_DATE, WAREHOUSE_TABLES

DIMENSIONS = (*(table for table in WAREHOUSE_TABLES if not table.partitioned_by), DIM_CUSTOMER)
FACTS = tuple(table for table in WAREHOUSE_TABLES if table.partitioned_by)


@dataclass(frozen=True, slots=True)
class Reference:
    """A column whose values are the key of a dimension."""

    column: str
    dimension: Table

    @property
    def key(self) -> str:
        return self.dimension.grain[0]


def references(table: Table) -> tuple[Reference, ...]:
    """What the table refers to.

    A column named as the key of a dimension is that key, and each date of a fact is in `dim_date`: the rule by which
    the check `every_fact_has_its_dimension` looks. To what has a key of several columns, as the versions of a customer
    have, nothing refers.
    """
    keys = {other.grain[0]: other for other in DIMENSIONS if len(other.grain) == 1 and other is not table}
    named = [Reference(column.name, keys[column.name]) for column in table.columns if column.name in keys]
    dates = [Reference(column.name, DIM_DATE) for column in table.columns if column.type == "date"]
    return (*named, *(dates if table.partitioned_by else ()))


def time_key(fact: Table) -> Column:
    """The column of a fact's key that says which day a row belongs to: the date itself, or an instant of it."""
    day = fact.column(fact.partitioned_by[0])
    if day.name in fact.grain:
        return day
    return next(fact.column(name) for name in fact.grain if fact.column(name).type == "timestamp")


def bounds(fact: Table, day: date) -> tuple[date, date] | tuple[datetime, datetime]:
    """From where to where, itself not included, the day's rows have their `time_key`."""
    after = day + timedelta(days=1)
    if time_key(fact).type == "date":
        return day, after
    return _midnight(day), _midnight(after)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
