"""A real supervisor with small programs: started, kept alive, ended, and reaped."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bike_assets.local import leftovers as leftovers_module
from bike_assets.local import supervision as supervision_module
from bike_assets.local.leftovers import CHILD_MARK, MARK, leftovers, reap
from bike_assets.local.supervision import Program, Supervision
from bike_assets.model.errors import NotPrivate
from bike_assets_tests.waiting import wait_until

SERVICE = """
import os, signal, sys
from pathlib import Path
directory, name = Path({directory!r}), {name!r}
def end(*_):
    with (directory / "ended").open("a") as file:
        file.write(name + " ")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
(directory / "aside").with_suffix("." + name).write_text(str(os.getpid()))
(directory / "aside").with_suffix("." + name).replace(directory / name)
while True:
    signal.pause()
"""
"""Notes its pid in a file of its name, and its name in `ended` when it is told to end."""


@pytest.fixture
def supervision(tmp_path: Path) -> Iterator[Supervision]:
    """A supervisor of a home in a directory of its own; nothing of it is left after the test."""
    supervision = Supervision(tmp_path / "home with a space")
    yield supervision
    supervision.stop(last="none")
    assert leftovers(tmp_path / "home with a space") == []


@pytest.fixture
def home(supervision: Supervision, tmp_path: Path) -> Path:
    return tmp_path / "home with a space"


def script(directory: Path, name: str, text: str, **environment: str) -> Program:
    """A program of its own file; it may exit as it likes."""
    file = directory / f"{name}.py"
    file.write_text(text)
    return Program(name, (sys.executable, str(file)), environment=environment)


def service(directory: Path, name: str) -> Program:
    return script(directory, name, SERVICE.format(directory=str(directory), name=name))


def pid_of(directory: Path, name: str) -> int:
    wait_until((directory / name).exists)
    return int((directory / name).read_text())


def test_where_nothing_was_started_there_are_no_states(supervision: Supervision) -> None:
    assert supervision.states() is None


def test_it_is_not_started_where_others_may_come_to_its_socket(
    supervision: Supervision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sockets = supervision.socket.parent
    sockets.mkdir(mode=0o777)
    sockets.chmod(0o777)
    with pytest.raises(NotPrivate):
        supervision.start([service(tmp_path, "it")])
    assert not (tmp_path / "it").exists()


def test_who_listens_where_others_may_come_is_not_asked(
    supervision: Supervision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervision.start([script(tmp_path, "it", "import time; time.sleep(600)")])
    with monkeypatch.context() as patch:
        patch.setattr(supervision_module, "is_private", lambda _: False)
        assert supervision.states() is None
    assert supervision.states() is not None


def test_services_are_started_at_once_or_when_told(supervision: Supervision, tmp_path: Path) -> None:
    programs = [script(tmp_path, "now", "import time; time.sleep(600)")]
    later = script(tmp_path, "later", "import time; time.sleep(600)")
    supervision.start([*programs, Program("later", later.command, starts_at_once=False)])
    wait_until(lambda: supervision.states() == {"now": "RUNNING", "later": "STOPPED"})
    supervision.start_program("later")
    wait_until(lambda: supervision.states() == {"now": "RUNNING", "later": "RUNNING"})


def test_a_service_that_is_killed_is_started_again(supervision: Supervision, tmp_path: Path) -> None:
    supervision.start([service(tmp_path, "it")])
    first = pid_of(tmp_path, "it")
    wait_until(lambda: supervision.states() == {"it": "RUNNING"})
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: pid_of(tmp_path, "it") != first)
    wait_until(lambda: supervision.states() == {"it": "RUNNING"})


def test_an_error_is_tried_again_and_an_end_is_not(supervision: Supervision, tmp_path: Path) -> None:
    count = "from pathlib import Path; file = Path({file!r}); file.open('a').write('x'); import sys; sys.exit({status})"
    broken, done = tmp_path / "broken-starts", tmp_path / "done-starts"
    supervision.start(
        [
            script(tmp_path, "broken", count.format(file=str(broken), status=1)),
            script(tmp_path, "done", "import time; time.sleep(1.5);" + count.format(file=str(done), status=0)),
        ]
    )
    wait_until(lambda: broken.exists() and len(broken.read_text()) >= 2)
    wait_until(lambda: (supervision.states() or {})["done"] == "EXITED")
    assert done.read_text() == "x"


def test_one_that_ends_before_it_counts_as_started_is_left_for_a_while(
    supervision: Supervision, tmp_path: Path
) -> None:
    supervision.start([replace(script(tmp_path, "it", "import time; time.sleep(1.1)"), start_s=30, final_exits=())])
    wait_until(lambda: "it" in supervision.pids(), 10)
    wait_until(lambda: supervision.states() == {"it": "BACKOFF"})
    assert supervision.pids() == {}


def test_one_that_has_no_final_exit_is_started_again_whatever_it_ended_with(
    supervision: Supervision, tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    count = f"import time; time.sleep(1.1); open({str(starts)!r}, 'a').write('x')"
    supervision.start([replace(script(tmp_path, "it", count), final_exits=())])
    wait_until(lambda: starts.exists() and len(starts.read_text()) >= 2)


def test_a_service_gets_its_environment_and_arguments_as_they_are(
    supervision: Supervision, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    tell = f"import os, sys, time; open({str(note)!r}, 'w').write(os.environ['GIVEN'] + sys.argv[1]); time.sleep(600)"
    told = script(tmp_path, "it", tell, GIVEN="100 % of, 'it' = x;")
    supervision.start([Program("it", (*told.command, "a b%c"), environment=told.environment)])
    wait_until(lambda: note.exists() and note.read_text() != "")
    assert note.read_text() == "100 % of, 'it' = x;a b%c"


def test_what_a_service_says_is_in_its_log(supervision: Supervision, home: Path, tmp_path: Path) -> None:
    supervision.start([script(tmp_path, "it", "import sys, time; print('to err', file=sys.stderr); time.sleep(600)")])
    wait_until((home / "logs" / "it.log").exists)
    wait_until(lambda: (home / "logs" / "it.log").read_text() == "to err\n")


def test_stopping_ends_all_and_the_last_one_last(supervision: Supervision, tmp_path: Path) -> None:
    names = ("broker", "poller", "stream")
    supervision.start([service(tmp_path, name) for name in names])
    pids = [pid_of(tmp_path, name) for name in names]
    supervision.stop(last="broker")
    ended = (tmp_path / "ended").read_text().split()
    assert sorted(ended) == sorted(names)
    assert ended[-1] == "broker"
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert supervision.states() is None
    assert not supervision.socket.exists()


def test_one_that_is_deaf_is_killed_once_its_time_is_over(
    supervision: Supervision, home: Path, tmp_path: Path
) -> None:
    deaf = SERVICE.replace("signal.SIGTERM, end", "signal.SIGTERM, signal.SIG_IGN")
    broker = script(tmp_path, "broker", deaf.format(directory=str(tmp_path), name="broker"))
    supervision.start([replace(broker, stop_s=1)])
    pid = pid_of(tmp_path, "broker")
    supervision.stop(last="broker")
    assert not psutil.pid_exists(pid)
    assert f"killing 'broker' ({pid}) with SIGKILL" in (home / "logs" / "supervisord.log").read_text()


def test_what_a_killed_supervisor_left_running_is_reaped(supervision: Supervision, home: Path, tmp_path: Path) -> None:
    supervision.start([service(tmp_path, name) for name in ("a", "b")])
    pids = [pid_of(tmp_path, name) for name in ("a", "b")]
    (supervisor,) = [each for each in leftovers(home) if each.pid not in pids]
    supervisor.kill()
    supervisor.wait()
    assert {each.pid for each in leftovers(home)} == set(pids)
    assert reap(home) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_the_leftovers_of_another_home_are_left_alone(supervision: Supervision, home: Path, tmp_path: Path) -> None:
    supervision.start([service(tmp_path, "a")])
    pid = pid_of(tmp_path, "a")
    assert reap(tmp_path / "another home") == 0
    assert psutil.pid_exists(pid)


def test_a_process_that_does_not_end_is_killed_by_the_reaper(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    monkeypatch.setattr(leftovers_module, "REAP_S", 0.1)
    environment = os.environ | {MARK: str(home)}
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"deaf\n"
        assert reap(home) == 1
        assert not psutil.pid_exists(process.pid)


def test_an_orphan_of_a_command_is_reaped_and_the_child_of_a_living_one_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    mine = subprocess.Popen(sleeper, env=os.environ | {CHILD_MARK: f"{os.getpid()}:{home}"})
    orphan = subprocess.Popen(sleeper, env=os.environ | {CHILD_MARK: f"1:{home}"})  # so it looks: its starter is gone
    try:
        assert [each.pid for each in leftovers(home)] == [orphan.pid]
        assert reap(home) == 1
        assert not psutil.pid_exists(orphan.pid)
        assert mine.poll() is None
    finally:
        mine.kill()
        mine.wait()
