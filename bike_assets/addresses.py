"""Databases that SQLAlchemy talks to: their addresses with the drivers that we bring, and what is wrong in a line."""

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mysql+pymysql"}


def address(url: str) -> sa.URL:
    """An address with our driver, where its database is one that we bring one for. Raises ArgumentError."""
    parsed = sa.make_url(url)
    return parsed.set(drivername=DRIVERS.get(parsed.get_backend_name(), parsed.drivername))


def reason(err: SQLAlchemyError) -> str:
    """What the database or its driver said, without the statement and its values."""
    cause = err.orig if isinstance(err, DBAPIError) and err.orig is not None else err
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]
