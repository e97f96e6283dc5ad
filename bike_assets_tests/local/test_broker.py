"""The real broker, started, stopped, killed."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewPartitions

from bike_assets.local.broker import HOST, LocalBroker, ensure_topics, is_at_work, wait_for_broker
from bike_assets.local.jars import Jars
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import AlreadyRunning, BrokerUnavailable, ServiceNotReady, WrongSettings
from bike_assets.model.topics import STATION_STATE, STATION_STATUS, TOPICS
from bike_assets_tests.waiting import wait_until


@pytest.fixture
def own_broker(tmp_path: Path, java: Path, jars: Jars) -> Iterator[LocalBroker]:
    """A broker to end in any way."""
    with LocalBroker(tmp_path, java, jars.kafka, *free_ports(2)) as running:
        yield running


def config_of(bootstrap: str, topic: str) -> dict[str, str]:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    found = admin.describe_configs([resource])[resource].result(30)
    return {name: entry.value for name, entry in found.items()}


def partitions_of(bootstrap: str) -> dict[str, int]:
    topics = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=30).topics
    return {name: len(topic.partitions) for name, topic in topics.items() if not name.startswith("__")}


def produce(bootstrap: str, values: list[bytes], *, commit: bool = True) -> None:
    """One transaction, written to the topic in full; committed, or given up.

    By one id, as a poller does: `init_transactions` waits until what it had committed can be read.
    """
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "poll-0"})
    producer.init_transactions(60)
    producer.begin_transaction()
    for value in values:
        producer.produce(STATION_STATUS.name, value, partition=0)
    assert producer.flush(60) == 0
    if commit:
        producer.commit_transaction(60)
    else:
        producer.abort_transaction(60)


def committed(bootstrap: str) -> list[bytes]:
    """All values of partition 0 that a read_committed reader sees."""
    reader = Consumer({
        "bootstrap.servers": bootstrap, "group.id": str(uuid.uuid4()), "isolation.level": "read_committed",
        "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error",
    })  # fmt: skip
    reader.assign([TopicPartition(STATION_STATUS.name, 0, 0)])
    values: list[bytes] = []
    while (message := reader.poll(60)) is not None and message.error() is None:
        values.append(message.value() or b"")
    reader.close()
    assert message is not None, "the end of the partition was not reached"
    if (error := message.error()) is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return values


def test_the_topics_are_made_with_what_the_model_says(fresh_broker: str) -> None:
    assert ensure_topics(fresh_broker, partitions=3) == 3
    assert partitions_of(fresh_broker) == {topic.name: 3 for topic in TOPICS}
    for topic in TOPICS:
        assert topic.config.items() <= config_of(fresh_broker, topic.name).items()
    assert config_of(fresh_broker, STATION_STATE.name)["cleanup.policy"] == "compact"
    assert config_of(fresh_broker, STATION_STATUS.name)["cleanup.policy"] == "delete"


def test_topics_that_exist_keep_their_partitions_and_a_missing_one_gets_as_many(fresh_broker: str) -> None:
    ensure_topics(fresh_broker, partitions=3)
    admin = AdminClient({"bootstrap.servers": fresh_broker})
    admin.delete_topics([STATION_STATE.name])[STATION_STATE.name].result(30)
    wait_until(lambda: STATION_STATE.name not in partitions_of(fresh_broker))
    assert ensure_topics(fresh_broker, partitions=7) == 3
    assert partitions_of(fresh_broker)[STATION_STATE.name] == 3


def test_readers_see_committed_transactions_only(fresh_broker: str) -> None:
    ensure_topics(fresh_broker, partitions=3)
    produce(fresh_broker, [b"committed"])
    produce(fresh_broker, [b"given up"], commit=False)
    produce(fresh_broker, [b"committed later"])
    assert committed(fresh_broker) == [b"committed", b"committed later"]


def test_topics_of_different_sizes_are_refused(own_broker: LocalBroker) -> None:
    ensure_topics(own_broker.bootstrap, partitions=1)
    admin = AdminClient({"bootstrap.servers": own_broker.bootstrap})
    admin.create_partitions([NewPartitions(STATION_STATE.name, 2)])[STATION_STATE.name].result(30)
    wait_until(lambda: partitions_of(own_broker.bootstrap)[STATION_STATE.name] == 2)
    with pytest.raises(WrongSettings, match=r"same number of partitions.*'station_state': 2"):
        ensure_topics(own_broker.bootstrap, partitions=1)


def test_what_was_committed_is_there_after_kill_9(own_broker: LocalBroker) -> None:
    ensure_topics(own_broker.bootstrap, partitions=1)
    values = [b"%d" % number for number in range(1000)]
    produce(own_broker.bootstrap, values)
    assert own_broker.pid is not None
    os.kill(own_broker.pid, signal.SIGKILL)
    own_broker.stop()
    own_broker.start()
    produce(own_broker.bootstrap, [b"after"])
    assert committed(own_broker.bootstrap) == [*values, b"after"]


def test_a_second_broker_on_the_same_directory_is_refused(
    own_broker: LocalBroker, java: Path, jars: Jars
) -> None:
    second = LocalBroker(own_broker.home, java, jars.kafka, *free_ports(2))
    with pytest.raises(AlreadyRunning, match=r"already runs on .*BIKE_HOME"):
        second.start()
    wait_for_broker(own_broker.bootstrap, timeout_s=10)


@pytest.mark.parametrize(("busy", "setting"), [(0, "BIKE_KAFKA_PORT"), (1, "BIKE_KAFKA_CONTROLLER_PORT")])
def test_a_busy_port_is_named_with_its_setting(
    tmp_path: Path, java: Path, jars: Jars, busy: int, setting: str
) -> None:
    with socket.create_server((HOST, 0)) as taken:
        ports = free_ports(2)
        ports[busy] = taken.getsockname()[1]
        with pytest.raises(AlreadyRunning, match=rf"Port {ports[busy]}, .* {setting} "):
            LocalBroker(tmp_path, java, jars.kafka, *ports).start()


def test_a_broker_that_cannot_start_says_why_and_leaves_nothing_running(
    tmp_path: Path, java: Path, jars: Jars
) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "meta.properties").write_text("not=kafka's\n")
    broken = LocalBroker(tmp_path, java, jars.kafka, *free_ports(2))
    with pytest.raises(ServiceNotReady, match=r"did not start: .*node ID not found.*kafka\.log"):
        broken.start()
    assert broken.pid is None


def test_no_broker_is_told_in_one_sentence() -> None:
    nobody = f"{HOST}:{free_ports(1)[0]}"
    with pytest.raises(BrokerUnavailable, match=rf"Kafka at {nobody} did not answer within 0\.5 s"):
        wait_for_broker(nobody, timeout_s=0.5)


@contextmanager
def told_where_it_stands(process: subprocess.Popen[bytes], log: Path) -> Iterator[None]:
    """Java's own account of all its threads, where it does not end in time."""
    try:
        yield
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        wait_until(lambda: b"JNI global refs" in log.read_bytes())
        pytest.fail(log.read_text())


def test_a_broker_that_hangs_is_stopped_all_the_same(tmp_path: Path, java: Path, jars: Jars) -> None:
    broker = LocalBroker(tmp_path, java, jars.kafka, *free_ports(2))
    broker.start()
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    broker.stop(within_s=0.5)
    assert not is_at_work(tmp_path)
    broker.start()
    broker.stop()


@pytest.fixture
def deaf() -> Iterator[None]:
    """This process ignores SIGTERM, as one in the background of a script after Dagster did something in it."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_broker_ends_cleanly_though_who_started_it_ignores_sigterm(
    tmp_path: Path, java: Path, jars: Jars, deaf: None
) -> None:
    with LocalBroker(tmp_path, java, jars.kafka, *free_ports(2)) as broker:
        ensure_topics(broker.bootstrap, 1)
    assert (tmp_path / "kafka" / ".kafka_cleanshutdown").exists()


def test_run_broker_becomes_the_broker_and_sigterm_stops_it_cleanly_whoever_started_it(
    tmp_path: Path, java: Path, jars: Jars, deaf: None
) -> None:
    ports = free_ports(2)
    code = (
        "import sys; from pathlib import Path; from bike_assets.local.broker import run_broker\n"
        "home, java, jars, *ports = sys.argv[1:]\n"
        "run_broker(Path(home), Path(java), [Path(j) for j in jars.split(',')], *map(int, ports))\n"
    )
    arguments = [str(tmp_path), str(java), ",".join(map(str, jars.kafka)), *map(str, ports)]
    log = tmp_path / "said"
    with log.open("wb") as said:
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=said, stdout=said)
    try:
        wait_for_broker(f"{HOST}:{ports[0]}", timeout_s=60)
        # It answers before it has started, and what ends a broker cleanly passes over one that has not.
        ensure_topics(f"{HOST}:{ports[0]}", 1)
        assert b"kafka.Kafka" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.terminate()
        with told_where_it_stands(process, log):
            assert process.wait(60) == 128 + signal.SIGTERM  # Java's word for a clean end by this signal
    finally:
        process.kill()
        process.wait()
    assert (tmp_path / "kafka" / ".kafka_cleanshutdown").exists()
