"""MariaDB, and MySQL: rows come by LOAD DATA LOCAL INFILE, the one bulk path that needs no file on the server.

No MySQL could be had where this was made: what is said to it was tested on MariaDB, and its own collation looked at.
"""

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.mysql.base import MySQLDialect

from bike_assets.exports.store import STAGE, Store
from bike_assets.model.errors import DatabaseRefuses

CONNECT_S = 10
LOCK_S = 30
ANSWER_S = 3600
"""A day is copied in one statement, which answers when it is done: so long a silence is no answer."""

_MODES = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE"

_LOAD = (
    "LOAD DATA LOCAL INFILE :path INTO TABLE {stage} CHARACTER SET utf8mb4 "
    "FIELDS TERMINATED BY ',' ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\n'"
)


class MariaDb(Store):
    """MariaDB 10.6 or newer, or MySQL 8.0.17 or newer. A schema is a database there: the address names it."""

    kind = "MySQL"
    schema = None

    def __init__(self, url: sa.URL) -> None:
        begins = f"SET time_zone = '+00:00', sql_mode = '{_MODES}', innodb_lock_wait_timeout = {LOCK_S}"
        self._options = {"local_infile": True, "connect_timeout": CONNECT_S, "read_timeout": ANSWER_S,
                         "charset": "utf8mb4", "init_command": begins}  # fmt: skip
        super().__init__(url.set(drivername="mysql+pymysql"), self._options)

    def prepare(self) -> None:
        """Ask first which of the two it is: their collations have nothing in common."""
        with self.told(), self.engine.connect() as con:
            is_mariadb = isinstance(con.dialect, MySQLDialect) and con.dialect.is_mariadb
        if is_mariadb and self.kind != "MariaDB":
            self.kind = "MariaDB"
            super().__init__(self.url.set(drivername="mariadb+pymysql"), self._options)
        super().prepare()

    def load(self, stage: sa.Table, rows: pa.RecordBatchReader) -> int:
        with tempfile.TemporaryDirectory(prefix="bike-export-") as scratch:
            file = Path(scratch) / "rows.csv"
            _write(rows, file)
            name = self.engine.dialect.identifier_preparer.format_table(stage)
            with self.engine.begin() as con:
                count = con.execute(sa.text(_LOAD.format(stage=name)), {"path": str(file)}).rowcount
                self._refuse_what_was_changed(con, stage)
                return count

    def _refuse_what_was_changed(self, con: sa.Connection, stage: sa.Table) -> None:
        """With LOCAL, strict mode or not, a value that does not fit is cut or replaced, and a warning says so."""
        warning = con.exec_driver_sql("SHOW WARNINGS LIMIT 1").first()
        if warning is not None:
            table = stage.name.removesuffix(STAGE)
            raise DatabaseRefuses(f"{self.place}: {table} would not be as the lake has it: {warning.Message}.")


def _write(rows: pa.RecordBatchReader, file: Path) -> None:
    """As LOAD DATA takes it without escapes: a quote within quotes is doubled, null is a bare NULL."""
    schema = _plain(rows.schema)
    plain = pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in rows))
    with duckdb.connect() as con:
        con.from_arrow(plain).write_csv(
            str(file), header=False, na_rep="NULL", quotechar='"', escapechar='"', quoting="ALL"
        )


def _plain(schema: pa.Schema) -> pa.Schema:
    """Instants without their zone, which is UTC, and flags as numbers."""
    return pa.schema([field.with_type(_plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_boolean(kind):
        return pa.int8()
    return pa.timestamp(kind.unit) if pa.types.is_timestamp(kind) else kind
