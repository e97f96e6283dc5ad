"""What a database's drivers raise, as errors of ours: one sentence, without the password, and whether to try again."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

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
    **dict.fromkeys((1040, 1053, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 2014, 2055), DatabaseDown),
    **dict.fromkeys((1290, 1792, 1836), DatabaseReadOnly),
    **dict.fromkeys((1021, 1114, 3675), DatabaseFull),
    # SQL Server's.
    **dict.fromkeys((1222, 20002, 20003, 20006, 20009, 20047), DatabaseDown),
    **dict.fromkeys((3906, 3908), DatabaseReadOnly),
    **dict.fromkeys((1101, 1105, 9002), DatabaseFull),
}
"""By the number, which MariaDB's and SQL Server's drivers give first."""

_ERRORS_OF_FILES: dict[int, type[NotServed]] = {28: DatabaseFull, 30: DatabaseReadOnly, 122: DatabaseFull}
"""MariaDB tells what its file system said, as `Errcode: 28` or `error 28`."""
_OF_FILES = re.compile(r"(?:Errcode:|error) (\d+)", re.IGNORECASE)

_REFUSED = re.compile("authentication|password|role .* does not exist|database .* does not exist|pg_hba|certificate")


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
    state, number = getattr(err, "sqlstate", None), err.args[0] if err.args else None
    said = str(err)
    if isinstance(number, int):  # MariaDB's driver gives a state too, which says little
        found = _OF_FILES.search(said)
        if found and int(found[1]) in _ERRORS_OF_FILES:
            return _ERRORS_OF_FILES[int(found[1])]
        return _NUMBERS.get(number, DatabaseRefuses)
    if isinstance(state, str) and state.strip("\0"):
        return next((kind for begin, kind in _STATES if state.startswith(begin)), DatabaseRefuses)
    # Without either there was no answer: the connection failed, or broke.
    is_down = type(err).__name__ in {"OperationalError", "InterfaceError"} and not _REFUSED.search(said)
    return DatabaseDown if is_down else DatabaseRefuses


def _said(err: BaseException) -> str:
    text = err.args[1] if len(err.args) > 1 and isinstance(err.args[0], int) else err
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else type(err).__name__).rstrip(".")


def _drivers() -> tuple[type[Exception], ...]:
    """What bulk paths raise by themselves."""
    import adbc_driver_manager
    import pymssql
    import pymysql

    return (adbc_driver_manager.Error, pymysql.Error, pymssql.Error)
