"""Homes of the benches' own: empty but for the jars, which are those of BIKE_HOME."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bike_assets.local import parts
from bike_assets.settings import Settings, load_settings

HOST = "127.0.0.1"
PORTS = ("page_port", "dagster_port", "kafka_port", "kafka_controller_port", "simulator_port")


@contextmanager
def home_of_its_own() -> Iterator[Settings]:
    """Settings with an empty home, deleted after, and free ports; a broker of the local kind."""
    given = load_settings()
    parts.jars(given)
    with tempfile.TemporaryDirectory(prefix="bike-bench-") as directory:
        home = Path(directory)
        (home / "jars").symlink_to(given.home / "jars", target_is_directory=True)
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        yield given.model_copy(update={"home": home, "kafka": None, **ports})


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, all different: they are held together, then given up."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
