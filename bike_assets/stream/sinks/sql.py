"""`live.orders_by_source_state` into PostgreSQL, MySQL or MariaDB: the whole table by upsert, in one transaction."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from bike_assets.addresses import address, reason
from bike_assets.model.errors import SinkUnavailable, WrongSettings
from bike_assets.model.tables import LIVE_ORDERS_BY_SOURCE_STATE

ANSWER_S = 8
"""How long the database may take for anything, so that one that hangs is told as such."""

# Shop and shop are two sources; MySQL would take Shop for the same without this collation.
_NAME = sa.String(64).with_variant(mysql.VARCHAR(64, collation="utf8mb4_bin"), "mysql", "mariadb")
_META = sa.MetaData()
SALES = sa.Table(
    LIVE_ORDERS_BY_SOURCE_STATE.path[1], _META,
    sa.Column("source", _NAME, primary_key=True),
    sa.Column("state", _NAME, primary_key=True),
    sa.Column("orders", sa.BigInteger, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("total", sa.Numeric(28, 2), nullable=False),
)  # fmt: skip
_PROGRESS = sa.Table(
    "bike_progress", _META,
    sa.Column("name", _NAME, primary_key=True),
    sa.Column("version", sa.String(100), nullable=False),
)  # fmt: skip

_CONNECT: Mapping[str, Mapping[str, Any]] = {
    "postgresql": {
        "connect_timeout": ANSWER_S,
        "options": f"-c statement_timeout={ANSWER_S}s -c lock_timeout={ANSWER_S}s",
        "tcp_user_timeout": ANSWER_S * 1000,
    },
    "mysql": {"connect_timeout": ANSWER_S, "read_timeout": ANSWER_S, "write_timeout": ANSWER_S},
}


class SqlSink:
    """A database that holds the sales. Every method raises SinkUnavailable where it does not do what is asked."""

    def __init__(self, url: str) -> None:
        """Connects to nothing yet. Raises WrongSettings."""
        try:
            parsed = address(url)
            name = parsed.get_backend_name()
            if name not in _CONNECT:
                raise WrongSettings(f"BIKE_SALES_DATABASE names {name}: postgresql, mysql and mariadb are known.")
            self._engine = sa.create_engine(parsed, connect_args=dict(_CONNECT[name]), pool_size=1, pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError):
            raise WrongSettings(
                "BIKE_SALES_DATABASE is no SQLAlchemy URL, as postgresql://user:password@host/database."
            ) from None
        self._is_made = False

    def version(self) -> str | None:
        """From which version of the sales its rows are; None before the first."""
        try:
            with self._engine.begin() as con:
                self._make(con)
                of_sales = _PROGRESS.c.name == SALES.name
                found: str | None = con.execute(sa.select(_PROGRESS.c.version).where(of_sales)).scalar()
                return found
        except SQLAlchemyError as err:
            raise self._named(err) from None

    def write(self, rows: Sequence[Mapping[str, int | str | Decimal]], version: str) -> int:
        """Make its rows these, all or nothing: upserted by their key where they are others, and gone where the sales
        have them no more; how many were written.
        """
        try:
            with self._engine.begin() as con:
                self._make(con)
                there = {(row.source, row.state): dict(row._mapping) for row in con.execute(sa.select(SALES))}  # noqa: SLF001
                asked = {(row["source"], row["state"]): dict(row) for row in rows}
                changed = [row for key, row in asked.items() if there.get(key) != row]
                if changed:
                    con.execute(self._upsert(SALES), changed)
                for source, state in there.keys() - asked.keys():
                    con.execute(SALES.delete().where(SALES.c.source == source, SALES.c.state == state))
                con.execute(self._upsert(_PROGRESS), {"name": SALES.name, "version": version})
                return len(changed)
        except SQLAlchemyError as err:
            raise self._named(err) from None

    def close(self) -> None:
        self._engine.dispose()

    def _make(self, con: sa.Connection) -> None:
        if not self._is_made:
            _META.create_all(con)
            self._is_made = True

    def _upsert(self, table: sa.Table) -> sa.Insert:
        others = [column.name for column in table.columns if not column.primary_key]
        if self._engine.dialect.name == "postgresql":
            insert = postgresql.insert(table)
            new = {name: insert.excluded[name] for name in others}
            return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=new)
        by_mysql = mysql.insert(table)
        return by_mysql.on_duplicate_key_update({name: by_mysql.inserted[name] for name in others})

    def _named(self, err: SQLAlchemyError) -> SinkUnavailable:
        """Without the statement, its values and the password."""
        self._is_made = False  # somebody may have dropped them
        self._engine.dispose()
        url = self._engine.url.render_as_string(hide_password=True)
        return SinkUnavailable(f"{url} does not take the sales: {reason(err)}")
