"""What a database's drivers raise, as errors of ours: one sentence, without the password, and whether to try again."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bike_assets.model.errors import DatabaseDown, DatabaseFull, DatabaseReadOnly, DatabaseRefuses, NotServed

_STATES: tuple[tuple[str, type[NotServed]], ...] = (
    ("25006", DatabaseReadOnly),
    ("53100", DatabaseFull),
    ("53", DatabaseDown),  # out of memory, too many connections
    ("08", DatabaseDown),
    ("57", DatabaseDown),  # it is shut down, starts, or somebody cancelled the statement
    ("55P03", DatabaseDown),  # a lock was not to be had in time
    ("40", DatabaseDown),  # deadlock, serialisation
)
"""By the beginning of SQLSTATE, which PostgreSQL gives with nearly all that it refuses."""

_NUMBERS: dict[int, type[NotServed]] = {
    **dict.fromkeys((1040, 1053, 1203, 1226, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 2014, 2055), DatabaseDown),
    **dict.fromkeys((1290, 1792, 1836), DatabaseReadOnly),
    **dict.fromkeys((1021, 1114, 3675), DatabaseFull),
    # SQL Server's.
    **dict.fromkeys((1222, 20002, 20003, 20004, 20006, 20009, 20017, 20047), DatabaseDown),
    **dict.fromkeys((3906, 3908), DatabaseReadOnly),
    **dict.fromkeys((1101, 1105, 9002), DatabaseFull),
}
"""By the number, which MariaDB's and SQL Server's drivers give first."""

_ERRORS_OF_FILES: dict[int, type[NotServed]] = {28: DatabaseFull, 30: DatabaseReadOnly, 122: DatabaseFull}
"""MariaDB tells what its file system said by its number, in whatever language: `error 28 "No space left on device"`."""
_OF_FILES = re.compile(r"""\b(\d+) (?:["'“„«]|- )""")
_LAST_OF_FILES = 1036
"""Its errors up to this number are of files, or what a storage engine passes on (1030)."""

# libpq gives no SQLSTATE of a connection that failed: what is left are words, of which only the English ones are known.
_BUSY = re.compile("connection slots|too many|closed the connection|time.?out|timed out")
_REFUSED = re.compile("authentication|password|role .* does not exist|database .* does not exist|pg_hba|certificate")


_HEADING = "DB-Lib error message"
"""How SQL Server's driver begins what it says by itself; the reason is in the line after it."""


@contextmanager
def told(place: str, url: sa.URL) -> Iterator[None]:
    """Raise what the block's driver raises as a NotServed that names the place. The password is in none."""
    try:
        yield
    except SQLAlchemyError as err:
        raw = err.orig if isinstance(err, DBAPIError) and err.orig is not None else err
        raise explained(place, url.password, raw) from None
    except _drivers() as err:
        raise explained(place, url.password, err) from None


def explained(place: str, password: object, err: BaseException) -> NotServed:
    """The error of ours."""
    kind = kind_of(err)
    said = _said(err)
    if password:
        said = said.replace(str(password), "[removed]")
    return kind(f"{place}: {said}.")


def kind_of(err: BaseException) -> type[NotServed]:
    """What kind of trouble it is, by what the driver says."""
    state, number = getattr(err, "sqlstate", None), next(iter(_arguments(err)), None)
    said = str(err)
    if isinstance(number, int):  # MariaDB's driver gives a state too, which says little
        found = _OF_FILES.search(said)
        if number <= _LAST_OF_FILES and found and int(found[1]) in _ERRORS_OF_FILES:
            return _ERRORS_OF_FILES[int(found[1])]
        return _NUMBERS.get(number, DatabaseRefuses)
    if isinstance(state, str) and state.strip("\0"):
        return next((kind for begin, kind in _STATES if state.startswith(begin)), DatabaseRefuses)
    # Without either there was no answer: the connection failed, or broke.
    is_down = type(err).__name__ in {"OperationalError", "InterfaceError"} and not _is_refused(err)
    return DatabaseDown if is_down else DatabaseRefuses


def _is_refused(err: BaseException) -> bool:
    """Whether a connection that failed reached a server that will not have it.

    That PostgreSQL asked for the password says so in whatever language: before that come all that is down or starts,
    and too many clients; after it only those who are kept for the last few.
    """
    said, connection = str(err), getattr(err, "pgconn", None)
    if _BUSY.search(said):
        return False
    return bool(_REFUSED.search(said) or (connection is not None and connection.used_password))


def _arguments(err: BaseException) -> tuple[Any, ...]:
    """SQL Server's driver has number and text in a tuple of their own, where the server said them."""
    return err.args[0] if err.args and isinstance(err.args[0], tuple) else err.args


def _said(err: BaseException) -> str:
    arguments = _arguments(err)
    text = arguments[1] if len(arguments) > 1 and isinstance(arguments[0], int) else err
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(_HEADING)]
    return (lines[0] if lines else type(err).__name__).rstrip(".")


def _drivers() -> tuple[type[Exception], ...]:
    """What bulk paths raise by themselves."""
    import adbc_driver_manager
    import pymssql
    import pymysql

    return (adbc_driver_manager.Error, pymysql.Error, pymssql.Error)
