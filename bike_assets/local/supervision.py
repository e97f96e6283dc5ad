"""The supervisor that keeps the services alive: its configuration, its start, its end, what it says.

Exits are restarted by supervisor itself; a service that hangs is found by its heartbeat (watchdog.py).
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from bike_assets.local.home import is_private, make_private, socket_of
from bike_assets.local.leftovers import MARK, leftovers, reap
from bike_assets.model.errors import ServiceNotReady

_AT_WORK = frozenset({"STARTING", "RUNNING"})
_UP = _AT_WORK | {"STOPPING"}

START_S = 20.0
STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """A service as supervisor starts it.

    `is_group_told`: whether its children get SIGTERM with it; not where it ends them in order itself.
    `start_s`: how long it must run to count as started; where it ends before, it is started again later and later.
    `final_exits`: the statuses with which it has ended for good; with every other it is started again.
    """

    name: str
    command: Sequence[str]
    starts_at_once: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    start_s: int = 1
    stop_s: int = 10
    is_group_told: bool = True
    final_exits: Sequence[int] = (0,)


class Supervision:
    """One supervisor for one home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._config = home / "run" / "supervisord.conf"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where the supervisor listens."""
        return socket_of(self._home, "supervisor")

    def start(self, programs: Sequence[Program]) -> None:
        """Write the configuration, start the supervisor, wait until it answers.

        Raises NotPrivate where others might come to its socket.
        """
        make_private(self.socket.parent)
        self._config.parent.mkdir(parents=True, exist_ok=True)
        (self._home / "logs").mkdir(parents=True, exist_ok=True)
        with self._config.open("w") as file:
            self._configuration(programs).write(file)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {MARK: str(self._home)},
            start_new_session=True,  # Ctrl-C is for us: we end the services in order
        )
        ends = time.monotonic() + START_S
        while self.states() is None:
            if time.monotonic() > ends or self._process.poll() is not None:
                raise ServiceNotReady(f"The supervisor did not start; see {self._home / 'logs'}.")
            time.sleep(0.1)

    def start_program(self, name: str) -> None:
        self._call("startProcess", name, False)

    def states(self) -> dict[str, str] | None:
        """Each program's state in supervisor's words; None where no supervisor answers, or it is going."""
        infos = self._infos()
        return None if infos is None else {info["name"]: info["statename"] for info in infos}

    def stop(self, *, last: str) -> None:
        """End all services together, `last` when the others are gone, then the supervisor."""
        with suppress(OSError, Fault):  # gone already, or going: what counts is who is left
            others = [name for name, state in (self.states() or {}).items() if name != last and state in _UP]
            for name in others:
                self._call("stopProcess", name, False)
            ends = time.monotonic() + STOP_S
            while time.monotonic() < ends and _UP & {(self.states() or {}).get(name) for name in others}:
                time.sleep(0.1)
            self._call("shutdown")
            psutil.wait_procs([each for each in leftovers(self._home) if _is_supervisor(each)], timeout=STOP_S)
        reap(self._home)
        if self._process is not None:
            self._process.wait()
        with suppress(OSError):  # gone already, or its directory is not ours
            self.socket.unlink()

    def pids(self) -> dict[str, int]:
        """The process of each service that runs, or was just started."""
        return {info["name"]: info["pid"] for info in self._infos() or [] if info["statename"] in _AT_WORK}

    def _infos(self) -> list[dict[str, Any]] | None:
        try:
            return cast("list[dict[str, Any]]", self._call("getAllProcessInfo"))
        except (OSError, Fault):  # `bike down` tells it to end while `bike up` still looks
            return None

    def _call(self, method: str, *arguments: object) -> object:
        if not is_private(self.socket.parent):
            raise PermissionError(f"{self.socket.parent} may be another's: who answers there is not our supervisor.")
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def _configuration(self, programs: Sequence[Program]) -> ConfigParser:
        logs = self._home / "logs"
        config = ConfigParser(interpolation=None)
        config["supervisord"] = {
            "nodaemon": "true",
            "logfile": f"{logs / 'supervisord.log'}",
            "logfile_maxbytes": "5MB",
            "logfile_backups": "1",
            "pidfile": f"{self._home / 'run' / 'supervisord.pid'}",
            "silent": "true",
        }
        config["unix_http_server"] = {"file": str(self.socket), "chmod": "0700"}
        config["supervisorctl"] = {"serverurl": f"unix://{self.socket}"}
        config["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        for program in programs:
            config[f"program:{program.name}"] = _section(program, logs)
        return config


def _section(program: Program, logs: Path) -> dict[str, str]:
    environment = ",".join(f'{key}="{_escaped(value)}"' for key, value in program.environment.items())
    return {
        "command": " ".join(_escaped(_quoted(word)) for word in program.command),
        "environment": environment,
        "autostart": str(program.starts_at_once).lower(),
        "autorestart": "unexpected",
        "exitcodes": ",".join(map(str, program.final_exits)),
        "startsecs": str(program.start_s),
        "startretries": "1000000",
        "stopwaitsecs": str(program.stop_s),
        "stopasgroup": str(program.is_group_told).lower(),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(logs / f"{program.name}.log"),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "2",
    }


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def _escaped(word: str) -> str:
    return word.replace("%", "%%")


def _is_supervisor(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "supervisor.supervisord" in process.cmdline()
    return False
