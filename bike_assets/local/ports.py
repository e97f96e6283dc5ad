"""The ports that `bike up` needs, and who is told when one is busy."""

import socket
from typing import NamedTuple

from bike_assets.model.errors import AlreadyRunning
from bike_assets.settings import Settings


class BusyPort(NamedTuple):
    """A port that something else listens on."""

    port: int
    what: str
    setting: str

    @property
    def sentence(self) -> str:
        return (
            f"Port {self.port}, which {self.what} needs, is busy: end what listens there, or let "
            f"{self.setting} name a free port."
        )


def busy_ports(settings: Settings) -> list[BusyPort]:
    """Those of the settings' ports that cannot be listened on now."""
    wanted = [
        BusyPort(settings.page_port, "the page", "BIKE_PAGE_PORT"),
        BusyPort(settings.dagster_port, "Dagster's UI", "BIKE_DAGSTER_PORT"),
        BusyPort(settings.simulator_port, "the simulator", "BIKE_SIMULATOR_PORT"),
    ]
    if settings.kafka is None:
        wanted.append(BusyPort(settings.kafka_port, "the broker", "BIKE_KAFKA_PORT"))
        wanted.append(BusyPort(settings.kafka_controller_port, "the broker", "BIKE_KAFKA_CONTROLLER_PORT"))
    return [each for each in wanted if not _is_free(settings.host, each.port)]


def refuse_busy_ports(settings: Settings) -> None:
    """Raise AlreadyRunning for the first port that is busy."""
    for busy in busy_ports(settings):
        raise AlreadyRunning(busy.sentence)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError:
            return False
    return True
