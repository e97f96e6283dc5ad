"""The star schema as SQLAlchemy's tables: keys, foreign keys, and types that fit each database."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql
from sqlalchemy.types import TypeEngine

from bike_assets.model.schema import Column, ColumnType, Table
from bike_assets.model.star import DIMENSIONS, FACTS, Reference, references, time_key

SCHEMA = "warehouse"
BOOK = "bike_export"
"""The book: which version of which part of the lake is there."""

# A key of SQL Server has 900 bytes at most, of two a character.
_KEY_CHARACTERS = {"system_id": 100, "reason": 50}
_OTHER_KEY_CHARACTERS = 200
# Ids are the producers': `a1` is not `A1`, and trailing spaces count. Each has a name for it that the other lacks.
_MARIADB_COLLATION, _MYSQL_COLLATION = "utf8mb4_nopad_bin", "utf8mb4_0900_bin"
_MSSQL_COLLATION = "Latin1_General_100_BIN2"
_MYSQLS = ("mysql", "mariadb")

_TYPES: dict[ColumnType, TypeEngine[Any]] = {
    "string": sa.Text().with_variant(mysql.LONGTEXT(), *_MYSQLS)
    .with_variant(mssql.NVARCHAR(None, collation=_MSSQL_COLLATION), "mssql"),
    # MariaDB and SQL Server keep no zone here: what is in it is UTC.
    "timestamp": sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), *_MYSQLS)
    .with_variant(mssql.DATETIME2(6), "mssql"),  # type: ignore[no-untyped-call]
    "date": sa.Date().with_variant(sa.DATE(), "mssql"),
    "int": sa.Integer(),
    "bigint": sa.BigInteger(),
    "double": sa.Double(),
    "boolean": sa.Boolean(),
}  # fmt: skip


def star(schema: str | None = SCHEMA, *, is_partitioned: bool = False) -> sa.MetaData:
    """Every table of the star, and the book; with `is_partitioned`, facts have PostgreSQL's partitions by day."""
    metadata = sa.MetaData(schema=schema)
    at = f"{schema}." if schema else ""
    for table in (*DIMENSIONS, *FACTS):
        by_day = is_partitioned and bool(table.partitioned_by)
        sa.Table(
            table.path[1],
            metadata,
            *columns(table),
            *constraints(table, lambda each: f"{at}{each.dimension.path[1]}.{each.key}"),
            *(sa.Index(f"{table.path[1]}_by_{column}", column) for column in indexed(table)),
            comment=table.description,
            postgresql_partition_by=f"RANGE ({time_key(table).name})" if by_day else None,
            mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate=_MYSQL_COLLATION,
            mariadb_engine="InnoDB", mariadb_charset="utf8mb4", mariadb_collate=_MARIADB_COLLATION,
        )  # fmt: skip
    _book(metadata)
    return metadata


def bare(table: Table, name: str, schema: str | None) -> sa.Table:
    """A table of these columns without any key, for rows to be loaded into."""
    return sa.Table(
        name, sa.MetaData(schema=schema), *columns(table),
        mysql_charset="utf8mb4", mysql_collate=_MYSQL_COLLATION,
        mariadb_charset="utf8mb4", mariadb_collate=_MARIADB_COLLATION,
    )  # fmt: skip


def columns(table: Table) -> Sequence[sa.Column[Any]]:
    """The columns, without keys. No database makes numbers of its own for any."""
    keys = {*table.grain, *(each.column for each in references(table))}
    return [
        sa.Column(each.name, _type(each, is_key=each.name in keys), nullable=each.nullable, autoincrement=False,
                  comment=each.description)
        for each in table.columns
    ]  # fmt: skip


def constraints(table: Table, key: Callable[[Reference], Any]) -> Sequence[sa.Constraint]:
    """The primary key, and the foreign keys, where `key` is what each leads to. The database names them."""
    return [
        sa.PrimaryKeyConstraint(*table.grain),
        *(sa.ForeignKeyConstraint([each.column], [key(each)]) for each in references(table)),
    ]


def indexed(table: Table) -> Sequence[str]:
    """The keys of ours that the table refers by: by their index facts are looked up, and a dimension is cleared."""
    return [each.column for each in references(table) if table.column(each.column).type == "bigint"]


def _type(column: Column, *, is_key: bool) -> TypeEngine[Any]:
    if column.type != "string" or not is_key:
        return _TYPES[column.type]
    characters = _KEY_CHARACTERS.get(column.name, _OTHER_KEY_CHARACTERS)
    return (
        sa.Text()
        .with_variant(mysql.VARCHAR(characters), *_MYSQLS)
        .with_variant(mssql.NVARCHAR(characters, collation=_MSSQL_COLLATION), "mssql")
    )


def _book(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        BOOK,
        metadata,
        sa.Column("table_name", sa.String(100), primary_key=True, comment="the table, without its schema"),
        sa.Column("part", sa.String(10), primary_key=True, comment="the day, or `whole`"),
        sa.Column("lake_version", sa.String(32), nullable=False, comment="hash of the lake's files it was read from"),
        sa.Column("row_count", sa.BigInteger(), nullable=False, comment="how many rows it had"),
        sa.Column("exported_at", _TYPES["timestamp"], nullable=False, comment="when, UTC"),
        comment="Which version of the lake each part of the tables is; a row that is removed is exported again.",
    )
