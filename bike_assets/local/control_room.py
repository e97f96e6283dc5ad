"""Dagster as `bike up` starts it: one code server, and a webserver and a daemon that both ask it."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import grpc

from bike_assets.files import write_whole
from bike_assets.local.home import socket_of
from bike_assets.local.supervision import Program
from bike_assets.settings import Settings

CODE_SERVER, WEBSERVER, DAEMON = "dagster-code-server", "dagster-webserver", "dagster-daemon"
LOCATION = "bike_assets.definitions"
OURS = ("--module-name", LOCATION)
"""Where Dagster's command finds the definitions."""

LOADED_S = 15
"""By then the code server has loaded the definitions, or has ended because it cannot."""

AWAITED_S, LOOK_S = 60.0, 0.5
"""How long the daemon waits for it, and how often it looks."""

ANSWER_S = 2.0
REQUESTS_AT_ONCE = 32
"""How many the code server works at. Four sensors at most, automation, launches, and the UI leave some for a Ping."""

_PING = "/api.DagsterApi/Ping"
_SAYING_NOTHING = b""


def control_room(
    settings: Settings, home: Path, environment: Mapping[str, str], definitions: Sequence[str] = OURS
) -> list[Program]:
    """Its three programs, `home` being Dagster's own. The daemon waits for the code server each time it is started:

    it would give up the retries, of runs that a kill ended, for which it finds none.
    """
    told = {**environment, "DAGSTER_HOME": str(home)}
    tools = Path(sys.executable).parent
    workspace = ("-w", str(_workspace(home)))
    code = ("api", "grpc", "--socket", str(code_socket(settings)), *definitions, "--location-name", LOCATION,
            "--inject-env-vars-from-instance", "--max-workers", str(REQUESTS_AT_ONCE))  # fmt: skip
    waits = (sys.executable, "-m", __name__, str(code_socket(settings)))
    webserver = ("-h", settings.host, "-p", str(settings.dagster_port))
    return [
        # It waits for its runs, which end in order. Nobody but the supervisor ends it for good.
        Program(CODE_SERVER, (str(tools / "dagster"), *code), starts_at_once=False, environment=told,
                start_s=LOADED_S, stop_s=20, final_exits=()),
        Program(WEBSERVER, (str(tools / "dagster-webserver"), *workspace, *webserver), starts_at_once=False,
                environment=told),
        Program(DAEMON, (*waits, str(tools / "dagster-daemon"), "run", *workspace), starts_at_once=False,
                environment=told),
    ]  # fmt: skip


def code_socket(settings: Settings) -> Path:
    """Where the code server of this home listens: for its user alone, and on no port."""
    return socket_of(settings.home, "code")


def write_workspace(settings: Settings, home: Path) -> None:
    """Tell the webserver and the daemon where the code server is."""
    server = {"socket": str(code_socket(settings)), "location_name": LOCATION}
    write_whole(_workspace(home), json.dumps({"load_from": [{"grpc_server": server}]}).encode())


def _workspace(home: Path) -> Path:
    return home / "workspace.yaml"


def is_code_server_up(settings: Settings) -> bool:
    """Whether its Python answers: one that hangs, or has not loaded the definitions yet, does not."""
    return _answers(code_socket(settings))


def become_once_it_answers(socket: Path, command: Sequence[str]) -> NoReturn:
    """Become a command once a code server answers at the socket, or after AWAITED_S: its process keeps its number.

    Without definitions the daemon is of use too: it ends runs and empties the queue.
    """
    ends = time.monotonic() + AWAITED_S
    while not _answers(socket) and time.monotonic() < ends:
        time.sleep(LOOK_S)
    os.execv(command[0], list(command))  # noqa: S606 - a list of our own, no shell


def _answers(socket: Path) -> bool:
    # Of its own: a connection that failed before would keep the next from being tried at once.
    alone = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"unix:{socket}", alone) as channel:
        try:
            channel.unary_unary(_PING)(_SAYING_NOTHING, timeout=ANSWER_S)
        except grpc.RpcError:
            return False
    return True


if __name__ == "__main__":
    become_once_it_answers(Path(sys.argv[1]), sys.argv[2:])
