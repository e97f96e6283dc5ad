"""The lake as an export reads it: which version of each part is there, and its rows, a batch at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb import ColumnExpression, ConstantExpression

from bike_assets.lake.duck import broken_table, connect
from bike_assets.lake.versions import versions
from bike_assets.model.errors import LakeBroken
from bike_assets.model.schema import Table

WHOLE = "whole"
NOTHING = ""
"""The version of a part of which the lake has no file."""

BATCH_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """A day of a fact, or the whole of a dimension, as a version of the lake has it."""

    table: Table
    day: date | None
    version: str

    @property
    def name(self) -> str:
        return WHOLE if self.day is None else self.day.isoformat()


def parts_of(lake: Path, table: Table) -> dict[date | None, Part]:
    """The parts of which the table has files, by day. Raises LakeBroken.

    A version is asked for before the rows are read: a write between the two makes the part seem older than it is, so
    that it is read again.
    """
    return {day: Part(table, day, version) for day, version in versions(lake, table).items()}


@contextmanager
def rows_of(lake: Path, part: Part) -> Iterator[pa.RecordBatchReader]:
    """The part's rows, in the order of its key. Raises LakeBroken."""
    con = connect(lake, [part.table])
    try:
        rows = con.table(part.table.name)
        if part.day is not None:
            rows = rows.filter(ColumnExpression(part.table.partitioned_by[0]) == ConstantExpression(part.day))
        sorted_ = rows.sort(*(ColumnExpression(name) for name in part.table.grain)).to_arrow_reader(BATCH_ROWS)
        # To give the first, all have to be read: what is broken in the lake is known before a database is asked.
        batches = iter(sorted_)
        first = list(islice(batches, 1))
        yield pa.RecordBatchReader.from_batches(sorted_.schema, chain(first, batches))
    except (duckdb.Error, pa.ArrowException) as err:
        said = str(err).splitlines()[0]
        broken = broken_table(lake, err) if isinstance(err, duckdb.Error) else None
        raise broken or LakeBroken(f"{part.table.name} cannot be read: {said}.") from None
    finally:
        con.close()
