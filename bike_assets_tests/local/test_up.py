"""What `bike up` does where a part of it does not come."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from bike_assets.local import up as module
from bike_assets.local.control_room import CODE_SERVER, DAEMON, WEBSERVER, control_room, write_workspace
from bike_assets.local.home import dagster_home
from bike_assets.local.ports import free_ports
from bike_assets.local.supervision import Supervision
from bike_assets.local.up import Steps, Stopped
from bike_assets.settings import Settings, load_settings
from bike_assets_tests.waiting import wait_until


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", dagster_port=free_ports(1)[0])


@pytest.fixture
def supervision(settings: Settings, tmp_path: Path) -> Iterator[Supervision]:
    """A supervisor with a control room whose definitions cannot be loaded; none of it is started yet."""
    (broken := tmp_path / "broken.py").write_text("import what_nobody_installed\n")
    home = dagster_home(settings)
    write_workspace(settings, home)
    supervision = Supervision(settings.home)
    supervision.start(control_room(settings, home, {}, ("--python-file", str(broken))))
    yield supervision
    supervision.stop(last=DAEMON)


def test_definitions_that_cannot_be_loaded_are_told_and_the_rest_goes_on(
    settings: Settings, supervision: Supervision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READY_S", 0.1)
    screen = io.StringIO()
    for name in (CODE_SERVER, WEBSERVER):
        supervision.start_program(name)
    with Steps(Console(file=screen, width=200), lambda: False) as steps:
        module._start_daemon(settings, supervision, steps)
    assert f"{CODE_SERVER} was not ready in 0 s; its log says why." in " ".join(screen.getvalue().split())
    wait_until(lambda: module._answers(f"{settings.dagster_ui}/server_info"))
    wanted = {CODE_SERVER: "BACKOFF", WEBSERVER: "RUNNING", DAEMON: "RUNNING"}
    wait_until(lambda: supervision.states() == wanted)
    assert "what_nobody_installed" in (settings.logs / f"{CODE_SERVER}.log").read_text()


def test_who_says_stop_while_the_code_server_is_waited_for_is_heard(
    settings: Settings, supervision: Supervision
) -> None:
    with Steps(Console(file=io.StringIO()), lambda: True) as steps, pytest.raises(Stopped):
        module._start_daemon(settings, supervision, steps)
    assert (supervision.states() or {})[DAEMON] == "STOPPED"
