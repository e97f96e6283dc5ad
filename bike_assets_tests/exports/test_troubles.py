"""What drivers raise is told by what can be done about it."""

import pymssql
import pymysql
import pytest

from bike_assets.exports.troubles import explained, kind_of
from bike_assets.model.errors import DatabaseDown, DatabaseFull, DatabaseReadOnly, DatabaseRefuses, NotServed


class OfPostgres(Exception):
    """As psycopg and ADBC have it: a text, and the state."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("what it says")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        (OfPostgres("25006"), DatabaseReadOnly),
        (OfPostgres("53100"), DatabaseFull),
        (OfPostgres("53300"), DatabaseDown),
        (OfPostgres("57P01"), DatabaseDown),
        (OfPostgres("57P03"), DatabaseDown),
        (OfPostgres("08006"), DatabaseDown),
        (OfPostgres("40P01"), DatabaseDown),
        (OfPostgres("55P03"), DatabaseDown),
        (OfPostgres("23503"), DatabaseRefuses),
        (OfPostgres("42501"), DatabaseRefuses),
        (pymysql.err.OperationalError(2003, "Can't connect"), DatabaseDown),
        (pymysql.err.OperationalError(1213, "Deadlock found"), DatabaseDown),
        (pymysql.err.OperationalError(1290, "runs with --read-only", sqlstate="HY000"), DatabaseReadOnly),
        (pymysql.err.OperationalError(1114, "The table 'x' is full"), DatabaseFull),
        (pymysql.err.InternalError(1030, "Got error 28 'No space left on device' from storage engine"), DatabaseFull),
        (pymysql.err.OperationalError(3, "Error writing file './x' (Errcode: 28 \"No space left\")"), DatabaseFull),
        (pymysql.err.OperationalError(1045, "Access denied"), DatabaseRefuses),
        (pymysql.err.IntegrityError(1452, "a foreign key constraint fails"), DatabaseRefuses),
        (pymssql.OperationalError(20009, b"Unable to connect"), DatabaseDown),
        (pymssql.OperationalError(9002, b"The transaction log is full"), DatabaseFull),
        (pymssql.OperationalError(3906, b"the database is read-only"), DatabaseReadOnly),
        (pymssql.IntegrityError(547, b"conflicted with the FOREIGN KEY constraint"), DatabaseRefuses),
    ],
    ids=str,
)
def test_a_drivers_error_is_of_its_kind(err: Exception, kind: type[NotServed]) -> None:
    assert kind_of(err) is kind


def test_a_sentence_names_the_place_once_in_one_line_and_never_the_password() -> None:
    said = str(explained("PostgreSQL at h:1/b", "canary-0123", OfPostgres("08006")))
    assert said == "PostgreSQL at h:1/b: what it says."
    echoed = pymysql.err.OperationalError(2003, "Can't connect with canary-0123\nand more")
    said = str(explained("MariaDB at h:1/b", "canary-0123", echoed))
    assert said == "MariaDB at h:1/b: Can't connect with [removed]."
