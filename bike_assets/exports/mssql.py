"""SQL Server: rows come by its own bulk copy.

No SQL Server could be had where this was made: the statements are tested, the server's answer to them is not.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from bike_assets.exports.store import STAGE, Store
from bike_assets.model.errors import DatabaseRefuses

CONNECT_S = 10
ANSWER_S = 3600
"""A day is copied in one statement, which answers when it is done: so long a silence is no answer."""


class SqlServer(Store):
    """SQL Server 2019 or newer."""

    kind = "SQL Server"

    def __init__(self, url: sa.URL) -> None:
        options = {"login_timeout": CONNECT_S, "timeout": ANSWER_S, "charset": "UTF-8"}
        super().__init__(url.set(drivername="mssql+pymssql"), options)

    def load(self, stage: sa.Table, rows: pa.RecordBatchReader) -> int:
        lengths = {column.name: length for column in stage.columns if (length := self._length(column))}
        counted = _Counted(rows, lengths, f"{self.place}: {stage.name.removesuffix(STAGE)}")
        con = self.engine.raw_connection()
        try:
            con.driver_connection.bulk_copy(stage.fullname, counted)  # type: ignore[union-attr]
            con.commit()
        finally:
            con.close()
        return counted.rows

    def _length(self, column: sa.Column[Any]) -> int | None:
        return getattr(column.type.dialect_impl(self.engine.dialect), "length", None)


class _Counted:
    """The rows as tuples, and how many went by. Instants are without their zone, which is UTC.

    Raises DatabaseRefuses at a text that is longer than its column.
    """

    def __init__(self, rows: pa.RecordBatchReader, lengths: Mapping[str, int], place: str) -> None:
        self._batches, self._lengths, self._place, self.rows = rows, lengths, place, 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for batch in self._batches:
            columns = [_plain(column).to_pylist() for column in batch.columns]
            for name, values in zip(batch.schema.names, columns, strict=True):
                self._refuse_too_long(name, values)
            self.rows += batch.num_rows
            yield from zip(*columns, strict=True)

    def _refuse_too_long(self, name: str, values: Sequence[Any]) -> None:
        most = self._lengths.get(name)
        longest = max((_characters(value) for value in values if value is not None), default=0) if most else 0
        if most and longest > most:
            raise DatabaseRefuses(f"{self._place} takes {most} characters of {name}, and a row has {longest}.")


def _characters(text: str) -> int:
    """As NVARCHAR counts them: what lies beyond the first plane is two."""
    return len(text.encode("utf-16-le")) // 2


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(pa.timestamp(column.type.unit)) if pa.types.is_timestamp(column.type) else column
