"""The lake as DuckDB sees it: every table a view under its name, in a database in memory.

Nothing is served from a DuckDB file: one that a process writes cannot be opened by another.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from bike_assets.lake.tables import OpenTables, is_there, table_path
from bike_assets.model.constants import ABANDONED_AFTER, MAX_GAP
from bike_assets.model.errors import LakeBroken, WrongQuery
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_STATION_STATUS,
    EVENTS_VEHICLE_STATUS,
    EVENTS_VEHICLE_TOTALS,
    TABLES,
)
from bike_assets.model.warehouse import DIM_CUSTOMER

_DUCK = {"string": "VARCHAR", "timestamp": "TIMESTAMPTZ", "date": "DATE", "int": "INTEGER",
         "bigint": "BIGINT", "double": "DOUBLE", "boolean": "BOOLEAN",
         "decimal(12,2)": "DECIMAL(12,2)", "decimal(28,2)": "DECIMAL(28,2)"}

_VIEWS_OF = {EVENTS_POLLS: ("station_status",), EVENTS_VEHICLE_TOTALS: ("vehicle_status",)}
"""Views that a table is part of, beside that of its own name."""

_READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})


def connect(lake: Path, tables: Sequence[Table] = TABLES) -> duckdb.DuckDBPyConnection:
    """A connection with these tables as they are now; a table that nobody has made yet is empty.

    No file is opened before a question needs it. So a table that is broken fails the questions about it and no
    others, and neither a view nor a question about some days takes longer for the days beside them.
    """
    con, opened = _opened(tables), OpenTables(lake)
    for table in tables:
        _show(con, opened, table)
    _show_latest(con, tables)
    return con


class Views:
    """The lake in one connection that stays open, for who asks again and again: to open one takes longer than most
    answers. Each look makes the views of those tables anew that were written since the last.
    """

    def __init__(self, tables: OpenTables) -> None:
        self._tables = tables
        self._shown: dict[str, int | None] = {}
        self._con: duckdb.DuckDBPyConnection | None = None

    def newest(self, tables: Sequence[Table] = TABLES) -> duckdb.DuckDBPyConnection:
        """The connection, with these tables as they are now. It is not to be closed, and asked about no others: they
        are as they were at an earlier look, or cannot be read.
        """
        if self._con is None:
            self._con = _opened(TABLES)
            for table in TABLES:
                _broken(self._con, table, f"{table.name} was not asked for.")
            _show_latest(self._con, TABLES)
        for table in tables:
            self._shown[table.name] = _show(self._con, self._tables, table, self._shown.pop(table.name, None))
        return self._con

    def close(self) -> None:
        """Close the connection; the next look opens another."""
        if self._con is not None:
            self._con.close()
        self._con, self._shown = None, {}


def connect_read_only(lake: Path, query: str) -> duckdb.DuckDBPyConnection:
    """For a question of people: nothing outside the lake's views can be read, and nothing written.

    Every table can be described; of those that the question names the files are opened.
    """
    con, opened = _opened(TABLES), OpenTables(lake)
    for table in TABLES:
        if _is_named(table, query):
            _show(con, opened, table)
        else:
            _broken(con, table, f"Name {table.name} in the question: only what it names is opened.")
    _show_latest(con, TABLES)
    con.execute("SET allowed_directories = [$1]", [str(lake)])
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def _opened(tables: Sequence[Table]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.load_extension("icu")  # linked in, but not loaded; time zones need it
    con.execute("SET TimeZone = 'UTC'")
    for schema in {table.path[0] for table in tables}:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    return con


def _is_named(table: Table, query: str) -> bool:
    """Whether the question may be about the table, itself or by the view that is made of it."""
    return any(name in query.lower() for name in (table.path[1], *_VIEWS_OF.get(table, ())))


def _show(
    con: duckdb.DuckDBPyConnection, tables: OpenTables, table: Table, shown: int | None = None
) -> int | None:
    """Make the table's view, unless `shown` is its newest version; the version that the view shows, None where none."""
    if not is_there(tables.lake, table):
        _empty(con, table)
        return None
    try:
        opened = tables.newest(table)
        if opened.version() != shown:
            _show_files(con, table, opened)
        return opened.version()
    except LakeBroken as err:
        _broken(con, table, str(err))
    except duckdb.Error as err:
        _broken(con, table, _unreadable(table, err))
    return None


def _show_files(con: duckdb.DuckDBPyConnection, table: Table, opened: DeltaTable) -> None:
    files = [unquote(uri) for uri in opened.file_uris()]
    if files:
        _view(con, table, files)
    else:
        _empty(con, table)


def _show_latest(con: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """The views that are made of two tables, where both are there."""
    if EVENTS_POLLS in tables and EVENTS_STATION_STATUS in tables:
        _live_station_status(con)
    if EVENTS_VEHICLE_STATUS in tables and EVENTS_VEHICLE_TOTALS in tables:
        _live_vehicle_status(con)


def _view(con: duckdb.DuckDBPyConnection, table: Table, files: list[str]) -> None:
    """The table's rows, of the model's columns and types: null where a file was written before a column was there.

    With `schema`, DuckDB opens no file to learn its columns. It does then not look for partitions in the paths, but
    passes over files by what is computed from `filename` alone.
    """
    schema = ", ".join(
        f"'{c.name}': {{name: '{c.name}', type: '{_DUCK[c.type]}', default_value: NULL}}"
        for c in table.columns if c.name not in table.partitioned_by
    )  # fmt: skip
    columns = ", ".join(
        f"{_day_of_path(files[0], c.name)} AS {c.name}" if c.name in table.partitioned_by else f'"{c.name}"'
        for c in table.columns
    )  # fmt: skip
    # As a variable, the list is not parsed anew with each look at the view.
    paths = "_files_of_" + "_".join(table.path)
    con.execute(f"SET VARIABLE {paths} = $1", [files])
    rows = f"read_parquet(getvariable('{paths}'), filename = true, schema = MAP {{{schema}}})"
    con.execute(f"CREATE OR REPLACE VIEW {table.name} AS SELECT {columns} FROM {rows}")


def _day_of_path(path: str, column: str) -> str:
    """The day that stands in a file's path, at the same place in each: looking for it there takes twice as long."""
    folder = f"/{column}="
    return f"TRY_CAST(substr(filename, {path.rindex(folder) + len(folder) + 1}, {len('2026-01-01')}) AS DATE)"


def _empty(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    columns = ", ".join(f'NULL::{_DUCK[c.type]} AS "{c.name}"' for c in table.columns)
    con.execute(f"CREATE OR REPLACE VIEW {table.name} AS SELECT {columns} WHERE false")


def _broken(con: duckdb.DuckDBPyConnection, table: Table, reason: str) -> None:
    """A view that can be described, and that gives the reason to every question about its rows."""
    told = f"error({_text(reason)})"  # in each column: what is asked of one may be decided before there is a row
    columns = ", ".join(f'{told}::{_DUCK[c.type]} AS "{c.name}"' for c in table.columns)
    con.execute(f"CREATE OR REPLACE VIEW {table.name} AS SELECT {columns} WHERE {told} IS NULL")


def _unreadable(table: Table, err: duckdb.Error) -> str:
    return f"{table.name} cannot be read: {str(err).splitlines()[0]}."


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _live_station_status(con: duckdb.DuckDBPyConnection) -> None:
    """`live.station_status`: the latest event of each station, unknown where nobody has looked since."""
    con.execute("CREATE SCHEMA IF NOT EXISTS live")
    con.execute(
        f"""
        CREATE OR REPLACE VIEW live.station_status AS
        WITH good AS (
            SELECT system_id, max(fetched_at) AS last_good_poll_at
            FROM {EVENTS_POLLS.name}
            WHERE feed = 'station_status' AND outcome IN ('ok', 'not_modified')
            GROUP BY system_id)
        SELECT latest.* REPLACE (
            CASE WHEN good.last_good_poll_at >= now() - to_seconds({MAX_GAP.total_seconds():.0f})
                 THEN latest.state ELSE 'unknown' END AS state)
        FROM (SELECT * FROM {EVENTS_STATION_STATUS.name}
              QUALIFY row_number() OVER (PARTITION BY system_id, station_id ORDER BY observed_at DESC) = 1
             ) AS latest
        LEFT JOIN good USING (system_id)
        """
    )


def _live_vehicle_status(con: duckdb.DuckDBPyConnection) -> None:
    """`live.vehicle_status`: the vehicles of each system's last good poll of them, made of the events of its hour."""
    con.execute("CREATE SCHEMA IF NOT EXISTS live")
    con.execute(
        f"""
        CREATE OR REPLACE VIEW live.vehicle_status AS
        WITH good AS (
            SELECT system_id, max(observed_at) AS last_good_poll_at
            FROM {EVENTS_VEHICLE_TOTALS.name}
            GROUP BY system_id)
        SELECT *, epoch(last_good_poll_at - stands_since) / 3600 AS stands_hours,
               last_good_poll_at - stands_since >= to_seconds({ABANDONED_AFTER.total_seconds():.0f}) AS is_abandoned
        FROM (SELECT vehicles.*, last_good_poll_at
              FROM {EVENTS_VEHICLE_STATUS.name} AS vehicles JOIN good USING (system_id)
              WHERE observed_at BETWEEN date_trunc('hour', last_good_poll_at) AND last_good_poll_at
              QUALIFY row_number() OVER (PARTITION BY system_id, vehicle_id ORDER BY observed_at DESC) = 1)
        WHERE kind <> 'absent'
        """
    )


# DuckDB would look into the one schema that has none.
_SHOW_TABLES = re.compile(r"\s*show\s+tables\s*;?\s*", re.IGNORECASE)
_ALL_TABLES = """
    SELECT table_schema || '.' || table_name AS "table", count(*) AS columns
    FROM information_schema.columns GROUP BY ALL ORDER BY ALL"""


class Answered(NamedTuple):
    """What a question gave."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def ask(lake: Path, query: str) -> Answered:
    """Answer a person's question over the lake's views.

    Raises WrongQuery with what DuckDB says of it, LakeBroken where a table that it is about cannot be read.
    """
    con = connect_read_only(lake, query)
    if _SHOW_TABLES.fullmatch(query):
        query = _ALL_TABLES
    try:
        _refuse_writes(con, query)
        result = con.execute(query)
        return Answered([column[0] for column in result.description or []], result.fetchall())
    except duckdb.CatalogException as err:
        # What DuckDB proposes instead are tables of its own.
        raise broken_table(lake, err) or WrongQuery(
            f"DuckDB cannot answer this: {str(err).splitlines()[0]} `bike sql \"show tables\"` lists the tables."
        ) from None
    except duckdb.Error as err:
        raise broken_table(lake, err) or WrongQuery(f"DuckDB cannot answer this: {err}") from None
    finally:
        con.close()


def not_made(lake: Path, query: str) -> list[str]:
    """What to do about the tables of a question that nobody has made yet, which it found empty; a sentence each way."""
    missing: dict[str, list[str]] = {}
    for table in TABLES:
        if _is_asked(table, query) and not is_there(lake, table):
            missing.setdefault(_MADE_BY.get(table, _MADE_IN[table.path[0]]), []).append(table.name)
    return [f"Nothing is in {', '.join(names)} yet: {what_to_do}" for what_to_do, names in missing.items()]


_FILLED = "`bike up` polls and fills it; `bike drain` brings in what the topics hold."
_MADE_IN = {
    "warehouse": "`bike build 2026-11-20` builds a day; under `bike up` each is built in the morning after it.",
    "events": _FILLED, "live": _FILLED,
}  # fmt: skip
_MADE_BY = {DIM_CUSTOMER: "`bike customers` brings in the list that BIKE_CUSTOMERS names."}


def _is_asked(table: Table, query: str) -> bool:
    """Whether the question names the table in full, or a view that it is part of."""
    names = (table.name, *(f"live.{view}" for view in _VIEWS_OF.get(table, ())))
    return any(re.search(rf"\b{re.escape(name)}\b", query, re.IGNORECASE) for name in names)


def broken_table(lake: Path, err: duckdb.Error) -> LakeBroken | None:
    """What is broken, where the error names a table's file, or comes from the view of a broken table."""
    said = str(err).splitlines()[0]
    for table in TABLES:
        if (told := said.find(f"{table.name} cannot be read: ")) >= 0:
            return LakeBroken(said[told:])
        if f"{table_path(lake, table)}/" in said:
            return LakeBroken(_unreadable(table, err))
    return None


def rows_of(lake: Path, table: Table, query: str, **given: pa.Table) -> list[dict[str, Any]]:
    """The rows of a question of ours over one table, and over what is given beside it.

    Raises LakeBroken whatever DuckDB says: the question is right.
    """
    with connect(lake, [table]) as con:
        for name, rows in given.items():
            con.register(name, rows)
        try:
            return con.sql(query).to_arrow_table().to_pylist()  # type: ignore[no-any-return]
        except duckdb.Error as err:
            said = str(err).splitlines()[0]
            raise broken_table(lake, err) or LakeBroken(f"{table.name} cannot be read: {said}.") from None


def _refuse_writes(con: duckdb.DuckDBPyConnection, query: str) -> None:
    """Raise WrongQuery for all but one statement that only reads.

    DuckDB itself would let a COPY write into the lake: as a statement, under EXPLAIN ANALYZE, and in the
    WITH of a SELECT. So each node of the parsed query has to be of a kind that reads.
    """
    statements = con.extract_statements(query)
    if len(statements) != 1:
        raise WrongQuery("Ask one question at a time.")
    (parsed,) = con.execute("SELECT json_serialize_sql($1::VARCHAR)", [query]).fetchall()[0]
    if statements[0].type != duckdb.StatementType.SELECT or not set(_nodes(json.loads(parsed))) <= _READING_NODES:
        raise WrongQuery("The tables can only be read here: SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE, SHOW.")


def _nodes(parsed: Any) -> Iterator[str]:
    """The kinds of all query nodes in DuckDB's own account of a statement."""
    if isinstance(parsed, dict):
        if "cte_map" in parsed:
            yield parsed["type"]
        parsed = list(parsed.values())
    if isinstance(parsed, list):
        for part in parsed:
            yield from _nodes(part)
