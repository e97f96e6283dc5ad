"""The lake as DuckDB sees it: every table a view under its name, in a database in memory.

Nothing is served from a DuckDB file: one that a process writes cannot be opened by another.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from bike_assets.lake.tables import arrow_schema, open_table, table_path
from bike_assets.model.constants import MAX_GAP
from bike_assets.model.errors import LakeBroken, WrongQuery
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_STATION_STATUS, TABLES

_DUCK = {"string": "VARCHAR", "timestamp": "TIMESTAMPTZ", "date": "DATE", "int": "INTEGER",
         "bigint": "BIGINT", "double": "DOUBLE", "boolean": "BOOLEAN"}

_READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})


def connect(lake: Path) -> duckdb.DuckDBPyConnection:
    """A connection with all tables as they are now; a table that nobody has made yet is empty."""
    con = duckdb.connect()
    con.load_extension("icu")  # linked in, but not loaded; time zones need it
    con.execute("SET TimeZone = 'UTC'")
    for table in TABLES:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {table.path[0]}")
        if (table_path(lake, table) / "_delta_log").exists():
            _view(con, table, open_table(lake, table))
        else:
            _empty(con, table)
    _live_station_status(con)
    return con


def connect_read_only(lake: Path) -> duckdb.DuckDBPyConnection:
    """For questions of people: nothing outside the lake's views can be read, and nothing written."""
    con = connect(lake)
    con.execute("SET allowed_directories = [$1]", [str(lake)])
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def _view(con: duckdb.DuckDBPyConnection, table: Table, delta: DeltaTable) -> None:
    files = [unquote(uri) for uri in delta.file_uris()]
    if not files:
        _empty(con, table)
        return
    try:
        relation = con.read_parquet(files, hive_partitioning=bool(table.partitioned_by), union_by_name=True)
    except duckdb.Error as err:
        raise LakeBroken(f"{table.name} cannot be read: {str(err).splitlines()[0]}.") from None
    casts = [duckdb.ColumnExpression(c.name).cast(_DUCK[c.type]).alias(c.name) for c in table.columns]
    con.execute(f"CREATE VIEW {table.name} AS {relation.select(*casts).sql_query()}")


def _empty(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    con.register("no_rows", pa.Table.from_pylist([], arrow_schema(table)))
    con.execute(f"CREATE TABLE {table.name} AS FROM no_rows")
    con.unregister("no_rows")


def _live_station_status(con: duckdb.DuckDBPyConnection) -> None:
    """`live.station_status`: the latest event of each station, unknown where nobody has looked since."""
    con.execute(
        f"""
        CREATE VIEW live.station_status AS
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


class Answered(NamedTuple):
    """What a question gave."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def ask(lake: Path, query: str) -> Answered:
    """Answer a person's question over the lake's views. Raises WrongQuery with what DuckDB says of it."""
    con = connect_read_only(lake)
    try:
        _refuse_writes(con, query)
        result = con.execute(query)
        return Answered([column[0] for column in result.description or []], result.fetchall())
    except duckdb.Error as err:
        raise WrongQuery(f"DuckDB cannot answer this: {err}") from None
    finally:
        con.close()


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
