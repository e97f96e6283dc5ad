"""How a Cassandra is reached, and what its driver's errors are told as; by both that write to one."""

import socket
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from cassandra import AuthenticationFailed, InvalidRequest, OperationTimedOut, Unavailable
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionShutdown
from cassandra.protocol import ConfigurationException, ServerError, SyntaxException

from bike_assets.cql import TYPES, Connection, Trouble
from bike_assets.exports.databases import database
from bike_assets.model.errors import DatabaseDown, SinkUnavailable
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_ORDERS, EVENTS_USERS
from bike_assets.model.warehouse import WAREHOUSE_TABLES
from bike_assets.stream.sinks.created_users import CreatedUsers
from bike_assets.stream.sinks.orders import OrdersCassandra

TLS, CQL = 0x16, {0x03, 0x04, 0x05, 0x41, 0x42}
"""The first byte of a TLS handshake; those of a request in the versions of Cassandra's protocol."""

SINKS: dict[str, Callable[[str], object]] = {
    "export": lambda url: database("cassandra", url).prepare(),
    "orders": lambda url: OrdersCassandra(url).progress(),
    "members": lambda url: CreatedUsers(url).progress(),
}


def first_byte_to(ask: Callable[[str], object], query: str) -> int:
    """What a server is asked with that hangs up after it."""
    found: list[bytes] = []

    def hang_up() -> None:
        listener.settimeout(30)
        with listener.accept()[0] as peer:
            peer.settimeout(30)
            found.append(peer.recv(1))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"cassandra://me:canary-0123@127.0.0.1:{listener.getsockname()[1]}/bikes{query}"
        with pytest.raises((SinkUnavailable, DatabaseDown)) as told:
            ask(url)
        thread.join(30)
    assert "canary" not in str(told.value)
    return found[0][0]


@pytest.mark.parametrize("ask", SINKS.values(), ids=SINKS)
def test_all_that_goes_to_one_is_encrypted_where_its_address_says_so(ask: Callable[[str], object]) -> None:
    assert first_byte_to(ask, "?ssl=true") == TLS
    assert first_byte_to(ask, "") in CQL


@pytest.mark.parametrize(
    ("err", "is_refused"),
    [
        (NoHostAvailable("nobody", {"h": ConnectionRefusedError()}), False),
        (NoHostAvailable("nobody", {"h": AuthenticationFailed("Bad credentials")}), True),
        (OperationTimedOut(), False),
        (Unavailable("too few replicas"), False),
        (InvalidRequest("unconfigured table"), True),
        (ConnectionShutdown("it hung up"), False),
        (ServerError(0, "it is ill", None), False),
        (SyntaxException(0x2000, "no CQL", None), True),
        (ConfigurationException(0x2300, "no such option", None), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_drivers_error_is_refused_or_to_be_tried_again(err: Exception, is_refused: bool) -> None:
    with pytest.raises(Trouble) as told, connection().told():
        raise err
    assert told.value.is_refused == is_refused


@pytest.mark.parametrize(("err", "says"), [(InvalidRequest(""), "InvalidRequest"),
                                           (InvalidRequest("of canary-0123.\nand more"), "of [removed]")])  # fmt: skip
def test_an_error_is_told_in_a_line_without_the_password_and_one_without_words_by_its_name(
    err: Exception, says: str
) -> None:
    with pytest.raises(Trouble) as told, connection().told():
        raise err
    assert str(told.value) == says


@pytest.mark.parametrize("table", [*WAREHOUSE_TABLES, EVENTS_ORDERS, EVENTS_USERS], ids=lambda table: table.name)
def test_each_column_has_its_type(table: Table) -> None:
    assert {column.type for column in table.columns} <= set(TYPES)


def connection() -> Connection:
    return Connection(sa.make_url("cassandra://me:canary-0123@h/bikes"), "bikes", 1, 1)
