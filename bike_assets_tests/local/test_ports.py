"""Busy ports are told before anything is started."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bike_assets.local.ports import busy_ports, free_ports, refuse_busy_ports
from bike_assets.model.errors import AlreadyRunning
from bike_assets.settings import Settings, load_settings

NAMES = ("page_port", "dagster_port", "simulator_port", "kafka_port", "kafka_controller_port",
         "orders_port")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path).model_copy(update=dict(zip(NAMES, free_ports(len(NAMES)), strict=True)))


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_free_ports_are_not_refused(settings: Settings) -> None:
    assert busy_ports(settings) == []
    refuse_busy_ports(settings, is_demo=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_busy_port_is_told_with_the_setting_that_names_another(
    settings: Settings, listening: socket.socket, name: str
) -> None:
    busy = settings.model_copy(update={name: listening.getsockname()[1]})
    with pytest.raises(AlreadyRunning) as refused:
        refuse_busy_ports(busy, is_demo=True)
    assert str(refused.value).startswith(f"Port {listening.getsockname()[1]}, which ")
    assert f"let BIKE_{name.upper()} name a free port" in str(refused.value)


def test_the_brokers_ports_do_not_matter_where_another_broker_is_named(
    settings: Settings, listening: socket.socket
) -> None:
    taken = {"kafka": "broker:9092", "kafka_port": listening.getsockname()[1]}
    assert busy_ports(settings.model_copy(update=taken)) == []


def test_looking_at_a_port_does_not_take_it(settings: Settings) -> None:
    busy_ports(settings)
    with socket.create_server(("127.0.0.1", settings.page_port)):
        assert [busy.port for busy in busy_ports(settings)] == [settings.page_port]
