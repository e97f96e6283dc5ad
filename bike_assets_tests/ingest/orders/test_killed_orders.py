"""The service of orders over a real broker, killed at work: Kafka's transactions are what its promise rests on."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from bike_assets.local.broker import ensure_topics
from bike_assets_tests.ingest.orders.builders import body, sent
from bike_assets_tests.ingest.orders.serving import Service, in_topic, service
from bike_assets_tests.waiting import wait_until


def test_a_killed_service_knows_all_that_kafka_has(fresh_broker: str, tmp_path: Path) -> None:
    partitions = ensure_topics(fresh_broker, 2)
    accepted: set[str] = set()

    def send(found: Service, number: int) -> None:
        try:
            answer = found.post(body(sent(order_id=f"kill-{number}"), sent(order_id=f"kill-{number}", version=2)))
        except requests.RequestException:
            return
        if answer.ok:
            accepted.add(f"kill-{number}")

    with service(fresh_broker, partitions, tmp_path / "book") as first, ThreadPoolExecutor(8) as pool:
        sending = [pool.submit(send, first, number) for number in range(400)]
        wait_until(lambda: len(accepted) > 50)
        first.process.kill()
        for each in sending:
            each.result()
    assert 50 < len(accepted) < 400
    with service(fresh_broker, partitions, tmp_path / "book") as second:
        conflicts = [second.post(body(sent(order_id=each, quantity=7))) for each in sorted(accepted)[-20:]]
        assert {answer.status_code for answer in conflicts} == {409}
        for number in range(400):
            assert second.post(body(sent(order_id=f"kill-{number}"), sent(order_id=f"kill-{number}", version=2))).ok
    with service(fresh_broker, partitions, tmp_path / "another book") as third:
        assert third.post(body(sent(order_id="kill-1", quantity=7))).status_code == 409
    stored = {key: count for key, count in in_topic(fresh_broker, partitions, tmp_path / "c").items() if "kill" in key}
    assert stored == {f"kill-{number}/{version}": 1 for number in range(400) for version in (1, 2)}


def test_a_second_service_takes_over_and_the_first_one_ends(fresh_broker: str, tmp_path: Path) -> None:
    partitions = ensure_topics(fresh_broker, 2)
    with (
        service(fresh_broker, partitions, tmp_path / "one") as first,
        service(fresh_broker, partitions, tmp_path / "two") as second,
    ):
        assert first.post(body(sent(order_id="first"))).status_code == 503
        first.process.wait(30)
        assert second.post(body(sent(order_id="first"))).status_code == 201
