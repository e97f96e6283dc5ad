"""SQL Server: rows come by its own bulk copy.

No SQL Server could be had where this was made: the statements are tested, the server's answer to them is not.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from bike_assets.exports.store import Store

CONNECT_S = 10


class SqlServer(Store):
    """SQL Server 2019 or newer."""

    kind = "SQL Server"

    def __init__(self, url: sa.URL) -> None:
        super().__init__(url.set(drivername="mssql+pymssql"), {"login_timeout": CONNECT_S, "charset": "UTF-8"})

    def load(self, stage: sa.Table, rows: pa.RecordBatchReader) -> int:
        counted = _Counted(rows)
        con = self.engine.raw_connection()
        try:
            con.driver_connection.bulk_copy(stage.fullname, counted)  # type: ignore[union-attr]
            con.commit()
        finally:
            con.close()
        return counted.rows


class _Counted:
    """The rows as tuples, and how many went by. Instants are without their zone, which is UTC."""

    def __init__(self, rows: pa.RecordBatchReader) -> None:
        self._batches, self.rows = rows, 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for batch in self._batches:
            columns = [_plain(column).to_pylist() for column in batch.columns]
            self.rows += batch.num_rows
            yield from zip(*columns, strict=True)


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(pa.timestamp(column.type.unit)) if pa.types.is_timestamp(column.type) else column
