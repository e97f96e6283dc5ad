"""`bike up`: everything started in order, watched, and ended together."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import requests
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from bike_assets import heartbeats, services
from bike_assets.heartbeats import BEATING, end_heartbeats, note_start
from bike_assets.local import parts
from bike_assets.local.control_room import (
    CODE_SERVER,
    DAEMON,
    WEBSERVER,
    code_socket,
    control_room,
    is_code_server_up,
    write_workspace,
)
from bike_assets.local.demo import demo_settings, is_empty
from bike_assets.local.home import dagster_home
from bike_assets.local.leftovers import CHILD_MARK, leftovers, reap
from bike_assets.local.ports import refuse_busy_ports
from bike_assets.local.supervision import Program, Supervision
from bike_assets.local.watchdog import Asked, Watch
from bike_assets.local.work import replay_files
from bike_assets.locks import held
from bike_assets.model.errors import CustomersUnavailable, Fenced, ServiceNotReady
from bike_assets.settings import Settings
from bike_assets.sources.config import load_sources

BROKER, SIMULATOR = "broker", "simulator"
ORPHANS = "runs left behind"
READY_S = 120.0
WATCH_S = 5.0


def up(settings: Settings, *, is_demo: bool, console: Console) -> None:
    """Start all services and keep them until Ctrl-C or SIGTERM; then end every process it started."""
    if is_demo:
        settings = demo_settings(settings)
    stop = services.until_told_to_stop()
    with held(settings.run / "up.lock", "`bike up` runs in this home already: see `bike status`"):
        reap(settings.home)
        end_heartbeats(settings.run)
        services.refuse_half_replaced(settings)
        refuse_busy_ports(settings, is_demo=is_demo)
        refuse_wrong_sources(settings)
        parts.jars(settings)
        supervision = Supervision(settings.home)
        try:
            with Steps(console, stop.is_set) as steps:
                _start(settings, supervision, steps, is_demo=is_demo)
            console.print(f"\nThe page:   [bold]{settings.page_url}[/]")
            console.print(f"Orders:     [bold]{settings.orders_url}/docs[/]")
            console.print(f"Dagster:    [bold]{settings.dagster_ui}[/]")
            console.print("Ctrl-C ends everything.\n")
            watch = Watch(settings.run)
            code_server = Asked(CODE_SERVER, lambda: is_code_server_up(settings))
            while not stop.wait(WATCH_S) and supervision.states() is not None:
                pids = supervision.pids()
                watch.kill_hanging(pids, datetime.now(UTC))
                code_server.kill_hanging(pids, datetime.now(UTC))
        except Stopped:
            pass  # told to stop while starting: an end like any other
        finally:
            console.print("Stopping...")
            _stop(settings, supervision)
            console.print("Stopped.")


def refuse_wrong_sources(settings: Settings) -> None:
    """Raise WrongSettings for what the poller would otherwise say in its log only, again and again."""
    services.source_askers(load_sources(settings.sources), settings)


def down(settings: Settings) -> int:
    """End what runs in this home: the `bike up` that holds it, or what one left behind."""
    count = len(leftovers(settings.home))
    if count:
        _stop(settings, Supervision(settings.home))
    return count


def _stop(settings: Settings, supervision: Supervision) -> None:
    supervision.stop(last=BROKER)
    end_heartbeats(settings.run)
    with suppress(OSError):
        code_socket(settings).unlink()


class Stopped(Exception):
    """Told to stop while starting."""


class Steps:
    """The display of what starts and when it was ready."""

    def __init__(self, console: Console, is_stopped: Callable[[], bool]) -> None:
        self._began = time.monotonic()
        self._lines: dict[str, str] = {}
        self._is_stopped = is_stopped
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8)

    def __enter__(self) -> "Steps":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, what: str, words: str = "[yellow]starting[/]") -> None:
        self._lines[what] = words

    def ready(self, what: str, words: str = "ready") -> None:
        self._lines[what] = f"[green]{words}[/] after {time.monotonic() - self._began:.1f} s"

    def wait(self, what: str, is_ready: Callable[[], bool]) -> None:
        """Wait until it is; raises ServiceNotReady where it takes too long, Stopped when told to."""
        ends = time.monotonic() + READY_S
        while not is_ready():
            if self._is_stopped():
                raise Stopped
            if time.monotonic() > ends:
                raise ServiceNotReady(f"{what} was not ready in {READY_S:.0f} s; its log says why.")
            time.sleep(0.1)
        self.ready(what)

    def _render(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for what, words in self._lines.items():
            table.add_row(what, words)
        return table


def _start(settings: Settings, supervision: Supervision, steps: Steps, *, is_demo: bool) -> None:
    home = dagster_home(settings)
    write_workspace(settings, home)
    programs = _programs(settings, home, is_demo=is_demo)
    for program in programs:
        steps.say(program.name)
    orphans = _ending_orphans(settings, home)
    for program in programs:
        if program.starts_at_once:
            _note_start(settings, program.name)
    supervision.start(programs)
    steps.wait(BROKER if settings.kafka is None else "Kafka", lambda: parts.is_broker_up(settings, 0.5))
    parts.existing_kafka(settings)
    _bring_customers(settings, steps)
    for name in (heartbeats.STREAM, heartbeats.PAGE, heartbeats.ORDERS):
        _note_start(settings, name)
        supervision.start_program(name)
    if is_demo:
        _replay(settings, steps)
    _note_start(settings, heartbeats.POLLER)
    supervision.start_program(heartbeats.POLLER)
    steps.wait(ORPHANS, lambda: orphans.poll() is not None)
    for name in (CODE_SERVER, WEBSERVER):
        supervision.start_program(name)
    waits = {
        heartbeats.PAGE: lambda: _answers(f"{settings.page_url}/healthz"),
        heartbeats.ORDERS: lambda: _answers(f"{settings.orders_url}/healthz"),
        heartbeats.POLLER: lambda: services.is_poller_up(settings),
        heartbeats.STREAM: lambda: services.is_stream_up(settings),
    }
    if is_demo:
        simulator = f"http://127.0.0.1:{settings.simulator_port}/"
        waits[SIMULATOR] = lambda: _listens(simulator)
    for what, is_ready in waits.items():
        steps.wait(what, is_ready)
    _start_daemon(settings, supervision, steps)
    steps.wait(WEBSERVER, lambda: _answers(f"{settings.dagster_ui}/server_info"))
    if is_demo:
        # The first members: by then it keeps nobody waiting, and Dagster asks for the later ones.
        _aside(settings, services.MEMBERS, ["bike_assets", "members", "poll"], _given(settings, is_demo=True))


def _start_daemon(settings: Settings, supervision: Supervision, steps: Steps) -> None:
    """Once the code server answers. Where it does not come, its definitions cannot be loaded: the rest goes on."""
    try:
        steps.wait(CODE_SERVER, lambda: is_code_server_up(settings))
    except ServiceNotReady as err:
        steps.say(CODE_SERVER, f"[yellow]{escape(str(err))}[/]")
    supervision.start_program(DAEMON)
    steps.ready(DAEMON, "started")


def _note_start(settings: Settings, name: str) -> None:
    """Here too, and not only by the service itself, which may not come so far."""
    if name in BEATING:
        note_start(settings.run, name)


def _bring_customers(settings: Settings, steps: Steps) -> None:
    """A database that is down keeps nothing from starting: the customers stay as they were."""
    if settings.has_customers:
        try:
            services.bring_customers(settings)
        except CustomersUnavailable as err:
            steps.say("customers", f"[yellow]{escape(str(err))}[/]")


def _ending_orphans(settings: Settings, home: Path) -> subprocess.Popen[bytes]:
    """The process that ends the runs that a kill left behind; nothing of this home runs, so their processes are gone.

    Where it fails, its log says why, and run monitoring does its work a little later.
    """
    return _aside(settings, "orphans", ["bike_assets.defs.orphans"], {"DAGSTER_HOME": str(home)})


def _aside(
    settings: Settings, name: str, module: list[str], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """A process that ends by itself, with a log of its own; what is left of it at the end is ended as all others."""
    settings.logs.mkdir(parents=True, exist_ok=True)
    with (settings.logs / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *module], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=os.environ | {**environment, CHILD_MARK: f"{os.getpid()}:{settings.home}"},
        )  # fmt: skip


def _replay(settings: Settings, steps: Steps) -> None:
    if not is_empty(settings.bootstrap_servers):
        return
    steps.say("recordings", "[yellow]replaying[/]")
    quiet = Console(quiet=True)
    done = replay_files(settings, services.demo_recordings(), None, shift_to_now=True, console=quiet)
    steps.ready("recordings", f"{done['written']} polls, {done['events']} events")


def _given(settings: Settings, *, is_demo: bool) -> dict[str, str]:
    """The settings that processes are told of, because they may not be those of the environment."""
    given = {
        f"BIKE_{name.upper()}": str(getattr(settings, name))
        for name in ("home", "sources", "jcdecaux_url", "poll_seconds", "trigger_seconds", "first_day")
    }
    if settings.customers is not None:
        given["BIKE_CUSTOMERS"] = str(settings.customers)
    if settings.members_url is not None:
        given["BIKE_MEMBERS_URL"] = settings.members_url.get_secret_value()
    if is_demo and settings.jcdecaux_key:
        given["BIKE_JCDECAUX_KEY"] = settings.jcdecaux_key.get_secret_value()
    return given


def _programs(settings: Settings, home: Path, *, is_demo: bool) -> list[Program]:
    python = sys.executable
    bike = (python, "-m", "bike_assets", "run")
    given = _given(settings, is_demo=is_demo)
    programs = [
        Program(heartbeats.STREAM, (*bike, "stream"), starts_at_once=False, environment=given, stop_s=20,
                is_group_told=False),
        Program(heartbeats.PAGE, (*bike, "page"), starts_at_once=False, environment=given),
        Program(heartbeats.ORDERS, (*bike, "orders"), starts_at_once=False, environment=given, stop_s=25,
                final_exits=(0, Fenced.exit_status)),
        Program(heartbeats.POLLER, (*bike, "poller"), starts_at_once=False, environment=given,
                final_exits=(0, Fenced.exit_status)),
        *control_room(settings, home, given),
    ]  # fmt: skip
    programs += [Program(name, (*bike, name), environment=given, stop_s=20)
                 for name, database in services.sink_databases(settings).items() if database is not None]  # fmt: skip
    if settings.kafka is None:
        programs.insert(0, Program(BROKER, (*bike, "broker"), environment=given, stop_s=20))
    if is_demo:
        programs.append(Program(SIMULATOR, (*bike, "simulator"), environment=given))
        programs.append(Program(services.SHOP, (*bike, services.SHOP), environment=given))
    return programs


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


def _listens(url: str) -> bool:
    try:
        requests.get(url, timeout=1)
    except requests.RequestException:
        return False
    return True
