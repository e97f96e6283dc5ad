"""The way to ask a running poller something: a loopback port of its own choosing, with a key in a file."""

import secrets
import threading
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import msgspec
import structlog

from bike_assets.files import write_whole
from bike_assets.model.errors import BikeAssetsError, ServiceNotReady
from bike_assets.model.messages import Poll

log = structlog.get_logger()

ADDRESS_FILE = "poller.control.json"
ANSWER_S = 60.0

PollNow = Callable[[str, float], list[Poll]]


class Control:
    """Serves `poll SYSTEM` to other processes of the same home; the file can be read by its owner only."""

    def __init__(self, run: Path, poll_now: PollNow) -> None:
        self._poll_now = poll_now
        self._file = run / ADDRESS_FILE
        self._key = secrets.token_bytes(32)
        self._listener = Listener(("127.0.0.1", 0), authkey=self._key)
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)

    def start(self) -> None:
        address = msgspec.json.encode({"port": self._listener.address[1], "key": self._key})
        write_whole(self._file, address, mode=0o600)
        self._thread.start()

    def stop(self) -> None:
        self._file.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except (AuthenticationError, OSError, EOFError) as err:
                log.warning("refused at the control port", reason=type(err).__name__)
                continue
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: "Connection[Any, Any]") -> None:
        with connection:
            system_id = connection.recv_bytes().decode()
            try:
                polls = self._poll_now(system_id, ANSWER_S)
            except KeyError:
                reply: dict[str, Any] = {"error": f"{system_id} is not in the sources file."}
            except ServiceNotReady as err:
                reply = {"error": str(err)}
            except TimeoutError:
                reply = {"error": f"{system_id} was asked, but nothing was committed in {ANSWER_S:.0f} s."}
            else:
                reply = {"polls": polls}
            connection.send_bytes(msgspec.json.encode(reply))


def ask_to_poll(run: Path, system_id: str) -> list[Poll]:
    """Have the running poller ask a system now; its poll records, once they are committed."""
    try:
        address = msgspec.json.decode((run / ADDRESS_FILE).read_bytes(), type=dict[str, Any])
        key = msgspec.convert(address["key"], bytes)
        with Client(("127.0.0.1", address["port"]), authkey=key) as connection:
            connection.send_bytes(system_id.encode())
            reply = msgspec.json.decode(connection.recv_bytes(), type=dict[str, Any])
    except (OSError, EOFError, AuthenticationError):
        raise ServiceNotReady("The poller does not answer; see its log, or `bike status`.") from None
    if "error" in reply:
        raise BikeAssetsError(reply["error"])
    return msgspec.convert(reply["polls"], list[Poll])
