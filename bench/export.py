"""A day of all the world's stations into PostgreSQL, with its keys, beside a statement a row."""

import time
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import psycopg
import sqlalchemy as sa
from deltalake import write_deltalake

from bench.report import result, say
from bike_assets.exports.days import parts_of, rows_of
from bike_assets.exports.postgres import Postgres
from bike_assets.exports.serve import serve
from bike_assets.lake.tables import ensure_table, table_path
from bike_assets.model.schema import Table
from bike_assets.model.star import DIMENSIONS, FACTS
from bike_assets.model.warehouse import DIM_DATE, DIM_STATION, DIM_SYSTEM, FACT_STATION_HOUR
from bike_assets_tests.postgres import Postgres as Server
from bike_assets_tests.postgres import postgres_server

DAY = date(2026, 11, 20)
SYSTEMS, STATIONS = 950, 230_000
NAIVE_ROWS = 100_000
ROWS_WANTED = 150_000

_HOURS = """
    SELECT 'system_' || (s % {systems})::VARCHAR AS system_id, 'st_' || s::VARCHAR AS station_id,
           TIMESTAMPTZ '{day} 00:00:00+00' + to_hours(h::INTEGER) AS hour_start,
           (hash(s) // 4)::BIGINT AS station_key,
           DATE '{day}' AS utc_date, DATE '{day}' AS local_date, h AS local_hour,
           (hash(s, h) % 9)::INTEGER AS departures,
           (hash(h, s) % 9)::INTEGER AS arrivals, NULL AS bulk_out, (hash(s) % 9)::INTEGER AS bulk_in,
           hash(s, h, 1)::DOUBLE % 720 AS seconds_empty, 0 AS seconds_full, 2880 AS seconds_available,
           720 - hash(s, h, 1)::DOUBLE % 720 AS seconds_closed, 0 AS seconds_unknown, 1 AS times_empty, 0 AS times_full,
           hash(s, h, 2)::DOUBLE % 30 AS bikes_mean, 0 AS bikes_min, 30 AS bikes_max,
           hash(s, h, 3)::DOUBLE % 30 AS docks_mean, 60 AS polls
    FROM range({stations}) AS stations(s), range(24) AS hours(h)"""
_STATIONS = """
    SELECT DISTINCT station_key, system_id, station_id, station_id AS name, NULL AS address, 59.9 AS lat, 10.7 AS lon,
           20 AS capacity, NULL AS has_payment_terminal, TIMESTAMPTZ '1970-01-01 00:00:00+00' AS valid_from,
           NULL AS valid_to, true AS is_current, false AS is_inferred
    FROM hours"""
_SYSTEMS = """
    SELECT DISTINCT system_id, system_id AS name, NULL AS operator, NULL AS city, NULL AS country, 'UTC' AS timezone,
           'gbfs' AS kind
    FROM hours"""
_DATES = """
    SELECT DATE '{day}' AS date, 2026 AS year, 4 AS quarter, 11 AS month, 47 AS week, 5 AS weekday,
           false AS is_weekend"""


def run(stations: int = STATIONS) -> None:
    """The export, and the usual way on a part of it."""
    with TemporaryDirectory(prefix="bike-bench-") as directory, postgres_server(fsync="on") as server:
        lake = Path(directory)
        say(f"export: making a day of {stations:,} stations")
        _write_lake(lake, stations)
        database = Postgres(sa.make_url(server.url))
        database.prepare()
        for table in (DIM_SYSTEM, DIM_DATE, DIM_STATION):
            part = parts_of(lake, table)[None]
            with rows_of(lake, part) as rows:
                database.put_whole(part, rows)
        database.tidy()
        began = time.perf_counter()
        rows_there = sum(part.rows for part in serve(lake, database, (DAY, DAY)))
        seconds = time.perf_counter() - began
        say("export: the usual way")
        naive = _naive(server)
        ours = rows_there / seconds
        result("export", rows=rows_there, wall_s=round(seconds, 1), rows_per_s=round(ours),
               rows_per_s_wanted=ROWS_WANTED, naive_rows_per_s=round(naive), ratio=round(ours / naive, 1),
               is_met=ours >= ROWS_WANTED)  # fmt: skip


def _write_lake(lake: Path, stations: int) -> None:
    for table in (*DIMENSIONS, *FACTS):
        ensure_table(lake, table)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"CREATE TABLE hours AS {_HOURS.format(systems=SYSTEMS, day=DAY, stations=stations)}")
        _write(lake, FACT_STATION_HOUR, con.sql("FROM hours"))
        _write(lake, DIM_STATION, con.sql(_STATIONS))
        _write(lake, DIM_SYSTEM, con.sql(_SYSTEMS))
        _write(lake, DIM_DATE, con.sql(_DATES.format(day=DAY)))


def _write(lake: Path, table: Table, rows: duckdb.DuckDBPyRelation) -> None:
    words = {"string": "VARCHAR", "timestamp": "TIMESTAMPTZ", "int": "INTEGER"}
    typed = rows.project(", ".join(f"{c.name}::{words.get(c.type, c.type)} AS {c.name}" for c in table.columns))
    write_deltalake(str(table_path(lake, table)), typed.to_arrow_reader(100_000), mode="append")


def _naive(server: Server) -> float:
    """Rows a second of `executemany` into a table with the same keys."""
    with psycopg.connect(server.url) as con:
        con.execute("CREATE TABLE warehouse.usual (LIKE warehouse.fact_station_hour)")
        con.execute("ALTER TABLE warehouse.usual ADD PRIMARY KEY (system_id, station_id, hour_start), "
                    "ADD FOREIGN KEY (system_id) REFERENCES warehouse.dim_system, "
                    "ADD FOREIGN KEY (station_key) REFERENCES warehouse.dim_station, "
                    "ADD FOREIGN KEY (utc_date) REFERENCES warehouse.dim_date, "
                    "ADD FOREIGN KEY (local_date) REFERENCES warehouse.dim_date")  # fmt: skip
        rows = con.execute("SELECT * FROM warehouse.fact_station_hour LIMIT %s", [NAIVE_ROWS]).fetchall()
        places = ", ".join(["%s"] * len(rows[0]))
        began = time.perf_counter()
        with con.cursor() as cursor:
            cursor.executemany(f"INSERT INTO warehouse.usual VALUES ({places})", rows)  # noqa: S608
        con.commit()
        return len(rows) / (time.perf_counter() - began)
