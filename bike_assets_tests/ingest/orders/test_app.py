"""The service as a process, over HTTP: what is answered 2xx is in the topic, once."""

import json
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from confluent_kafka import Producer

from bike_assets.ingest.orders.connections import SILENT
from bike_assets.logs import KAFKA_LOG
from bike_assets.model.topics import ORDERS
from bike_assets_tests.ingest.orders.builders import body, sent
from bike_assets_tests.ingest.orders.serving import Service, in_topic, service
from bike_assets_tests.waiting import wait_until

PARTITIONS = 4


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    """librdkafka's own broker for tests, in this process: it commits transactions, and starts at once."""
    mock = Producer({"bootstrap.servers": "none:1", "test.mock.num.brokers": 1, "logger": KAFKA_LOG})
    mock.list_topics(ORDERS.name, timeout=10)  # which makes it
    yield ",".join(f"{each.host}:{each.port}" for each in mock.list_topics(timeout=10).brokers.values())
    mock.flush(1)


@pytest.fixture(scope="module")
def running(servers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(servers, PARTITIONS, tmp_path_factory.mktemp("orders") / "book", rate=2_000) as found:
        yield found


def test_orders_are_stored_once_and_another_content_is_refused(
    running: Service, servers: str, tmp_path: Path
) -> None:
    first, again = running.post(body(sent(order_id="once"))), running.post(body(sent(order_id="once")))
    assert (first.status_code, first.json()) == (201, {"stored": 1, "repeated": 0})
    assert (again.status_code, again.json()) == (200, {"stored": 0, "repeated": 1})
    other = running.post(body(sent(order_id="fresh"), sent(order_id="once", total="99.99")))
    assert other.status_code == 409
    assert other.json()["problems"][0]["field"] == "[1].total"
    assert running.post(body(sent(order_id="once", version=2, total="99.99"))).status_code == 201
    stored = in_topic(servers, PARTITIONS, tmp_path / "book")
    assert {key: count for key, count in stored.items() if key.startswith(("once", "fresh"))} == {
        "once/1": 1, "once/2": 1,
    }  # fmt: skip


def test_of_two_contents_that_come_at_once_one_is_stored(running: Service) -> None:
    raws = [body(sent(order_id="race", quantity=number)) for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        statuses = Counter(answer.status_code for answer in pool.map(running.post, raws))
    assert statuses == {201: 1, 409: 19}


def test_what_is_wrong_is_answered_by_field(running: Service) -> None:
    answer = running.post(body(sent(), sent(quantity=-1, colour="red")))
    assert answer.status_code == 422
    assert {each["field"] for each in answer.json()["problems"]} == {"[1].quantity", "[1].colour"}
    assert running.post(body(sent()), "text/plain").status_code == 415


WRONG = {
    "NaN": ('"total": "12.50"', '"total": NaN', "total"),
    "infinity": ('"total": "12.50"', '"total": Infinity', "total"),
    "minus infinity": ('"total": "12.50"', '"total": -Infinity', "total"),
    "NaN as text": ('"total": "12.50"', '"total": "NaN"', "total"),
    "30 digits": ('"total": "12.50"', f'"total": {"1" * 30}', "total"),
    "30 digits as text": ('"total": "12.50"', f'"total": "{"1" * 30}"', "total"),
    "30 decimal places": ('"total": "12.50"', f'"total": 0.{"1" * 30}', "total"),
    "a negative total": ('"total": "12.50"', '"total": -0.01', "total"),
    "a negative quantity": ('"quantity": 2', '"quantity": -2', "quantity"),
    "an unknown field": ('"quantity": 2', '"quantity": 2, "colour": "red"', "colour"),
    "a doubled key": ('"quantity": 2', '"quantity": 2, "quantity": 2', "quantity"),
    "30 February": ("2026-11-20T", "2026-02-30T", "created_at"),
    "no time zone": ("12:00:00Z", "12:00:00", "created_at"),
    "a date alone": ("2026-11-20T12:00:00Z", "2026-11-20", "created_at"),
    "the future": ("2026-11-20T", "2999-11-20T", "created_at"),
    "the last century": ("2026-11-20T", "1926-11-20T", "created_at"),
}
"""What stands in a healthy order, what in its place, and the field that is to be named."""


@pytest.mark.parametrize("wrong", WRONG)
def test_bad_input_is_answered_by_its_field_and_nothing_of_its_request_is_stored(running: Service, wrong: str) -> None:
    there, instead, field = WRONG[wrong]
    healthy = body(sent(order_id=f"bad-{wrong.replace(' ', '-')}")).decode()
    bad = healthy.replace(there, instead).replace('"bad-', '"worse-')
    assert bad != healthy.replace('"bad-', '"worse-')
    for raw, place in ((bad, field), (f"[{healthy}, {bad}]", f"[1].{field}")):
        answer = running.post(raw.encode())
        assert 400 <= answer.status_code < 500
        assert answer.json()["problems"][0]["field"] == place
    assert running.post(healthy.encode()).json() == {"stored": 1, "repeated": 0}


def test_a_body_of_200_mb_is_refused_without_being_read(running: Service) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as peer:
        peer.sendall(b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 200000000\r\n\r\n[")  # fmt: skip
        assert peer.recv(100).startswith(b"HTTP/1.1 413")


def test_one_that_does_not_say_how_long_it_is_is_cut_off(running: Service) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 1_000_000

    url = f"http://127.0.0.1:{running.port}/orders"
    try:
        answer = requests.post(url, endless(), headers={"content-type": "application/json"}, timeout=30)
    except requests.ConnectionError:
        pass  # the answer came, and the connection was closed, while this one was still sending
    else:
        assert answer.status_code == 413
    assert running.is_ready()


def test_a_half_sent_body_stores_nothing_and_harms_nobody(running: Service) -> None:
    whole = body(sent(order_id="half"))
    with socket.create_connection(("127.0.0.1", running.port)) as peer:
        peer.sendall(b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n%s" % (len(whole), whole[:-1]))  # fmt: skip
    assert running.post(whole).json() == {"stored": 1, "repeated": 0}


def test_a_client_over_its_rate_is_told_when_to_come_back(running: Service) -> None:
    many = [sent(order_id=f"rate-{number}") for number in range(1_000)]
    answers = [running.post(body(*many)) for _ in range(8)]
    late = [answer for answer in answers if answer.status_code == 429]
    assert late
    assert int(late[0].headers["retry-after"]) >= 1


def test_a_client_whose_requests_are_all_wrong_comes_to_its_rate_too(servers: str, tmp_path: Path) -> None:
    with service(servers, PARTITIONS, tmp_path / "book", rate=20) as slow:
        for wrong, kind in ((b"{", "application/json"), (b"[" * 9_000, "application/json"), (b"", "text/plain")):
            wait_until(lambda: slow.post(body(sent())).ok)
            answers = [slow.post(wrong, kind) for _ in range(100)]
            late = [answer for answer in answers if answer.status_code == 429]
            assert late, wrong[:2]
            assert int(late[0].headers["retry-after"]) >= 1


def test_a_thousand_that_say_nothing_keep_nobody_out(running: Service) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, hard), hard))
    try:
        with ExitStack() as open_ones:
            for _ in range(SILENT + 50):
                open_ones.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            wait_until(lambda: running.post(body(sent(order_id="among-silent"))).ok)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_its_documentation_has_examples_and_needs_no_other_host(running: Service) -> None:
    page = requests.get(f"http://127.0.0.1:{running.port}/docs", timeout=5).text
    assert "https://" not in page
    told = requests.get(f"http://127.0.0.1:{running.port}/openapi.json", timeout=5).json()["paths"]["/orders"]["post"]
    examples = told["requestBody"]["content"]["application/json"]["examples"]
    wait_until(lambda: running.post(b"{").status_code == 400)
    for name, each in examples.items():
        raw = json.dumps(each["value"]).replace("A-100", f"docs-{name}-").encode()
        wait_until(lambda raw=raw: running.post(raw).status_code != 429)  # type: ignore[misc]
        assert running.post(raw).status_code == 200
    assert {"200", "201", "400", "409", "413", "422", "429", "503"} <= set(told["responses"])


def test_a_service_that_forgets_refuses_what_it_cannot_know_any_more(servers: str, tmp_path: Path) -> None:
    with service(servers, PARTITIONS, tmp_path / "book", days=90) as forgetful:
        late, too_late = (f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (89, 91))
        assert forgetful.post(body(sent(order_id="late", created_at=late))).status_code == 201
        answer = forgetful.post(body(sent(order_id="too-late", created_at=too_late)))
        assert (answer.status_code, answer.json()["problems"][0]["field"]) == (422, "created_at")
