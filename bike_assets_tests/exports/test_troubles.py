"""What drivers raise is told by what can be done about it."""

import errno
import re

import duckdb
import psycopg
import pymssql
import pymysql
import pytest

from bike_assets.exports.duck_file import _kind
from bike_assets.exports.troubles import explained, kind_of
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import DatabaseDown, DatabaseFull, DatabaseReadOnly, DatabaseRefuses, NotServed
from bike_assets_tests.postgres import Postgres


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
        (pymysql.err.InternalError(1030, 'Fehler 28 "Kein Platz" (Speicher-Engine InnoDB)'), DatabaseFull),
        (pymysql.err.OperationalError(3, 'Fehler beim Schreiben von x (Fehler: 30 "Nur lesbar")'), DatabaseReadOnly),
        (pymysql.err.OperationalError(3, "Error writing file './x' (Errcode: 28 - No space left)"), DatabaseFull),
        (pymysql.err.IntegrityError(1062, "Duplicate entry 'Platz 28 \"Nord\"' for key 'PRIMARY'"), DatabaseRefuses),
        (pymysql.err.OperationalError(1226, "User 'bike' has exceeded 'max_user_connections'"), DatabaseDown),
        (pymysql.err.OperationalError(1045, "Access denied"), DatabaseRefuses),
        (pymysql.err.OperationalError(1045, "Zugriff verweigert"), DatabaseRefuses),
        (pymysql.err.IntegrityError(1452, "a foreign key constraint fails"), DatabaseRefuses),
        (pymssql.OperationalError(20009, b"Unable to connect"), DatabaseDown),
        (pymssql.OperationalError((20017, b"Unexpected EOF from the server")), DatabaseDown),
        (pymssql.OperationalError(9002, b"The transaction log is full"), DatabaseFull),
        (pymssql.OperationalError(3906, b"the database is read-only"), DatabaseReadOnly),
        (pymssql.IntegrityError(547, b"conflicted with the FOREIGN KEY constraint"), DatabaseRefuses),
    ],
    ids=str,
)
def test_a_drivers_error_is_of_its_kind(err: Exception, kind: type[NotServed]) -> None:
    assert kind_of(err) is kind


def failed(address: str, said: str) -> psycopg.OperationalError:
    """What a connection to there fails with, as a server that says this would have it said."""
    with pytest.raises(psycopg.OperationalError) as told:
        psycopg.connect(address)
    assert told.value.sqlstate is None
    told.value.args = (said,)
    return told.value


def test_a_wrong_password_is_told_as_such_whatever_the_servers_language(postgres: Postgres) -> None:
    wrong = postgres.url.replace(postgres.password, "canary-0123")
    said = "FATAL: не прошёл проверку"
    assert kind_of(failed(wrong, said)) is DatabaseRefuses
    assert kind_of(failed(wrong, "remaining connection slots are reserved for superusers")) is DatabaseDown
    (port,) = free_ports(1)
    assert kind_of(failed(f"postgresql://u:p@127.0.0.1:{port}/b", said)) is DatabaseDown


def test_what_sql_servers_driver_raises_is_told_by_its_number_and_in_its_words() -> None:
    (port,) = free_ports(1)
    with pytest.raises(pymssql.OperationalError) as told:
        pymssql.connect(server="127.0.0.1", port=str(port), user="sa", login_timeout=5)
    assert kind_of(told.value) is DatabaseDown
    said = str(explained("SQL Server at h:1/b", None, told.value))
    assert re.fullmatch(r"SQL Server at h:1/b: (?!DB-Lib)\w[^\n]+[\w)]\.", said)
    refused = pymssql.OperationalError((18456, b"Anmeldung nicht erfolgreich\nDB-Lib error message 20018"))
    assert kind_of(refused) is DatabaseRefuses
    assert str(explained("SQL Server", None, refused)) == "SQL Server: Anmeldung nicht erfolgreich."


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        (OSError(errno.ENOSPC, "Kein Platz"), DatabaseFull),
        (OSError(errno.EROFS, "Nur lesbar"), DatabaseReadOnly),
        (OSError(errno.EISDIR, "Ist ein Verzeichnis"), DatabaseRefuses),
        (duckdb.IOException("Could not write file: No space left on device"), DatabaseFull),
        (duckdb.IOException("Could not set lock on file"), DatabaseDown),
        (duckdb.ConstraintException("Violates foreign key constraint"), DatabaseRefuses),
    ],
    ids=str,
)
def test_an_error_at_a_duckdb_file_is_of_its_kind(err: Exception, kind: type[NotServed]) -> None:
    assert _kind(err) is kind


def test_a_sentence_names_the_place_once_in_one_line_and_never_the_password() -> None:
    said = str(explained("PostgreSQL at h:1/b", "canary-0123", OfPostgres("08006")))
    assert said == "PostgreSQL at h:1/b: what it says."
    echoed = pymysql.err.OperationalError(2003, "Can't connect with canary-0123\nand more")
    said = str(explained("MariaDB at h:1/b", "canary-0123", echoed))
    assert said == "MariaDB at h:1/b: Can't connect with [removed]."
