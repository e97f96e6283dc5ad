"""The ports that `bike up` needs, and who is told when one is busy."""

import socket
from contextlib import ExitStack
from typing import NamedTuple

from bike_assets.model.errors import AlreadyRunning
from bike_assets.settings import Settings


class Port(NamedTuple):
    """A port that something of ours listens on, and the setting that moves it."""

    port: int
    what: str
    setting: str

    def is_free(self, host: str) -> bool:
        """Whether it can be listened on now."""
        with socket.socket() as tried:
            # As servers do: connections of one that has just ended do not make its port busy.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((host, self.port))
            except OSError:
                return False
        return True

    @property
    def sentence(self) -> str:
        """What to say where it is busy."""
        return (
            f"Port {self.port}, which {self.what} needs, is busy: end what listens there, or let "
            f"{self.setting} name a free port."
        )


def broker_ports(port: int, controller_port: int) -> list[Port]:
    """Those of the local Kafka broker."""
    what = "the local Kafka broker"
    return [
        Port(port, what, "BIKE_KAFKA_PORT"),
        Port(controller_port, what, "BIKE_KAFKA_CONTROLLER_PORT"),
    ]


def busy_ports(settings: Settings, *, is_demo: bool = True) -> list[Port]:
    """Those of the settings' ports that cannot be listened on now; only the demo needs the simulator's."""
    wanted = [
        Port(settings.page_port, "the page", "BIKE_PAGE_PORT"),
        Port(settings.orders_port, "the service of orders", "BIKE_ORDERS_PORT"),
        Port(settings.dagster_port, "Dagster's UI", "BIKE_DAGSTER_PORT"),
        Port(settings.spark_port, "the Spark driver", "BIKE_SPARK_PORT"),
    ]
    if is_demo:
        wanted.append(Port(settings.simulator_port, "the simulator", "BIKE_SIMULATOR_PORT"))
    if settings.kafka is None:
        wanted += broker_ports(settings.kafka_port, settings.kafka_controller_port)
    return [each for each in wanted if not each.is_free(settings.host)]


def refuse_busy_ports(settings: Settings, *, is_demo: bool) -> None:
    """Raise AlreadyRunning for the first port that is busy."""
    for busy in busy_ports(settings, is_demo=is_demo):
        raise AlreadyRunning(busy.sentence)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nothing listens on, all different: they are held together, then given up."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
