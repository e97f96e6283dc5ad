"""What the machine must have before anything starts: Java, jars, a broker for as long as it is needed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from bike_assets.lake.driver import SparkHome
from bike_assets.local.broker import LocalBroker, ensure_topics, is_at_work, wait_for_broker
from bike_assets.local.jars import Jars, ensure_jars
from bike_assets.local.java import java_home
from bike_assets.model.errors import BrokerUnavailable, RegistryDown, RegistryRefuses
from bike_assets.settings import Settings

log = structlog.get_logger()

START_S = 60.0

OnProgress = Callable[[int, int], None]


def java(settings: Settings) -> Path:
    return java_home(settings.java_home, settings.home)


def jars(settings: Settings, on_progress: OnProgress = lambda done, total: None) -> Jars:
    return ensure_jars(settings.home, java(settings), on_progress)


def spark_home(settings: Settings) -> SparkHome:
    return SparkHome(settings.spark_master, settings.spark_memory, java(settings), jars(settings).spark)


def is_broker_up(settings: Settings, timeout_s: float = 2.0) -> bool:
    try:
        wait_for_broker(settings.bootstrap_servers, timeout_s)
    except BrokerUnavailable:
        return False
    return True


@contextmanager
def kafka(settings: Settings) -> Iterator[int]:
    """Kafka for as long as the block runs: the one that is there, else the local broker, stopped after.

    Gives the number of partitions of each topic. A broker that the settings name is never started here.
    """
    if settings.kafka is not None:
        wait_for_broker(settings.kafka, timeout_s=15)
        yield ensure_topics(settings.kafka, settings.partitions)
    elif is_at_work(settings.home) or is_broker_up(settings, timeout_s=0.5):
        yield existing_kafka(settings)
    else:
        found = jars(settings)
        ports = settings.kafka_port, settings.kafka_controller_port
        with LocalBroker(settings.home, java(settings), found.kafka, *ports) as broker:
            yield ensure_topics(broker.bootstrap, settings.partitions)


def existing_kafka(settings: Settings) -> int:
    """Wait for the Kafka that others started; the number of partitions of each topic."""
    wait_for_broker(settings.bootstrap_servers, START_S)
    return ensure_topics(settings.bootstrap_servers, settings.partitions)


def register_schemas(settings: Settings) -> None:
    """Tell the schema registry of the settings what the topics carry. What is wrong with it is logged: all goes on."""
    from bike_assets.ingest.registry import register

    if settings.schema_registry_url is None:
        return
    try:
        register(settings.schema_registry_url.get_secret_value())
    except (RegistryDown, RegistryRefuses) as err:
        log.warning(str(err))
