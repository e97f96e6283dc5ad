"""Dagster's programs: one code server, which the other two ask; whether it answers is seen from outside."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import yaml
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.workspace.load import location_origins_from_yaml_paths

from bike_assets.local import control_room as module
from bike_assets.local.control_room import (
    CODE_SERVER,
    DAEMON,
    LOCATION,
    WEBSERVER,
    code_socket,
    control_room,
    is_code_server_up,
    write_workspace,
)
from bike_assets.local.home import dagster_home, instance_settings, make_private
from bike_assets.local.supervision import Program
from bike_assets.settings import Settings, load_settings
from bike_assets_tests.conftest import CHECKOUT
from bike_assets_tests.waiting import wait_until

STANDS_STILL_WHEN_TOLD = """
import ctypes, signal
from pathlib import Path
import dagster as dg
def stand_still(*_):
    Path(__file__).with_name("still").touch()
    ctypes.PyDLL(None).sleep(600)  # a call to C during which no other thread of Python's goes on
signal.signal(signal.SIGUSR1, stand_still)
defs = dg.Definitions()
"""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = load_settings(home=tmp_path)
    make_private(code_socket(settings).parent)
    yield settings
    code_socket(settings).unlink(missing_ok=True)


def program_of(name: str, settings: Settings) -> Program:
    (program,) = [each for each in control_room(settings, settings.home, {}) if each.name == name]
    return program


def test_the_webserver_and_the_daemon_ask_the_code_server_that_is_started(settings: Settings) -> None:
    write_workspace(settings, settings.home)
    programs = {each.name: each.command for each in control_room(settings, settings.home, {})}
    workspaces = [programs[name][programs[name].index("-w") + 1] for name in (WEBSERVER, DAEMON)]
    (origin,) = location_origins_from_yaml_paths(workspaces)
    assert isinstance(origin, GrpcServerCodeLocationOrigin)
    server = programs[CODE_SERVER]
    assert origin.socket == server[server.index("--socket") + 1]
    assert origin.location_name == server[server.index("--location-name") + 1] == LOCATION
    assert "--inject-env-vars-from-instance" in server, "as where Dagster starts one itself"


def test_the_daemon_begins_however_often_it_is_started_once_a_code_server_answers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [False, False, True]
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    monkeypatch.setattr(module, "_answers", lambda _: answers.pop(0))
    assert begun(settings) == ("daemon", ["daemon", "run"])
    assert answers == []


def test_a_daemon_without_a_code_server_begins_after_a_while(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AWAITED_S", 0.0)
    assert begun(settings) == ("daemon", ["daemon", "run"])


def begun(settings: Settings) -> tuple[object, ...]:
    """What the process becomes."""

    def become(path: str, words: list[str]) -> None:
        raise InterruptedError(path, words)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "execv", become)
        with pytest.raises(InterruptedError) as becomes:
            module.become_once_it_answers(code_socket(settings), ["daemon", "run"])
    return becomes.value.args


def test_the_daemons_process_stays_while_it_becomes_what_it_waited_for(settings: Settings, tmp_path: Path) -> None:
    (file := tmp_path / "definitions.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    command = (*program_of(DAEMON, settings).command[:4], sys.executable, "-c", "import os; print(os.getpid())")
    with code_server(settings, file), subprocess.Popen(command, stdout=subprocess.PIPE, cwd=CHECKOUT) as daemon:
        assert daemon.stdout is not None
        assert int(daemon.stdout.readline()) == daemon.pid


def test_a_home_of_any_length_has_a_socket_of_its_own_that_the_system_takes(settings: Settings) -> None:
    sockets = {code_socket(settings.model_copy(update={"home": Path("/") / (letter * 200)})) for letter in "ab"}
    assert len(sockets) == 2
    for each in sockets:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(each))
        each.unlink()


@contextmanager
def code_server(settings: Settings, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Dagster's code server as the supervisor starts it, with definitions of the test's, once it answers."""
    program = control_room(settings, dagster_home(settings), {}, ("--python-file", str(file)))[0]
    assert program.name == CODE_SERVER
    with subprocess.Popen(program.command, env={**os.environ, **program.environment}) as process:
        try:
            wait_until(lambda: is_code_server_up(settings) or process.poll() is not None)
            yield process
        finally:
            process.kill()


def test_one_whose_python_stands_still_does_not_answer(settings: Settings, tmp_path: Path) -> None:
    (file := tmp_path / "definitions.py").write_text(STANDS_STILL_WHEN_TOLD)
    assert not is_code_server_up(settings), "there is none"
    with code_server(settings, file) as process:
        assert is_code_server_up(settings)
        process.send_signal(signal.SIGUSR1)
        wait_until((tmp_path / "still").exists)
        assert not is_code_server_up(settings)
        assert process.poll() is None


def test_what_a_killed_one_left_behind_does_not_keep_the_next_from_listening(
    settings: Settings, tmp_path: Path
) -> None:
    (file := tmp_path / "definitions.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    with code_server(settings, file):
        pass
    assert code_socket(settings).is_socket()
    assert not is_code_server_up(settings)
    with code_server(settings, file):
        assert is_code_server_up(settings)


def test_one_that_is_busy_does_not_answer_until_it_has_a_thread_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.5)
    go_on, threads = threading.Event(), ThreadPoolExecutor(2)
    server = grpc.server(threads)
    ping = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("api.DagsterApi", {"Ping": ping})])
    server.add_insecure_port(f"unix:{code_socket(settings)}")
    server.start()
    try:
        threads.submit(go_on.wait)
        assert is_code_server_up(settings), "it has another thread"
        threads.submit(go_on.wait)
        assert not is_code_server_up(settings)
        go_on.set()
        wait_until(lambda: is_code_server_up(settings))
    finally:
        go_on.set()
        server.stop(None).wait()


def test_it_has_more_threads_than_the_sensors_can_keep_busy(settings: Settings) -> None:
    sensors = yaml.safe_load(instance_settings())["sensors"]
    assert sensors["use_threads"]
    command = program_of(CODE_SERVER, settings).command
    assert int(command[command.index("--max-workers") + 1]) >= 4 * sensors["num_workers"]


def test_one_that_nobody_reads_or_that_was_killed_does_not_answer(settings: Settings) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(code_socket(settings)))
        hanging.listen()  # the system takes the connection, nobody reads it
        assert not is_code_server_up(settings)
    assert code_socket(settings).exists()
    assert not is_code_server_up(settings)
