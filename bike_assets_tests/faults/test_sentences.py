"""What a person is told when something is wrong: one sentence that names it, and nothing is lost by it."""

import json
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bike_assets.local.jars import Jars
from bike_assets_tests.journeys.homes import Home, home, is_broker_up, is_one_sentence, wait_until
from bike_assets_tests.oracle.made import BOTH, CITIES, write

GBFS = '[[systems]]\nkind = "gbfs"\nsystem_id = "oslo"\nurl = "http://127.0.0.1:1/gbfs.json"\n'
Told = subprocess.CompletedProcess[str]


@pytest.fixture
def a_home(jars: Jars, tmp_path: Path) -> Iterator[Home]:
    """An empty home for a test alone."""
    with home(tmp_path) as made:
        yield made


def sentence(done: Told) -> str:
    """The one sentence of a command that failed, and left nothing running."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert is_one_sentence(done.stderr), done.stderr
    return done.stderr.strip()


def recording(home: Home) -> Path:
    return write(home.directory / "made.jsonl", [CITIES[1].poll("30 10:58:00", BOTH)])


def test_a_broker_that_was_named_and_is_down_is_said_and_nothing_is_lost(a_home: Home) -> None:
    a_home.environment["BIKE_KAFKA"] = a_home.bootstrap
    file = recording(a_home)
    commands = (["replay", file], ["drain"])
    with ThreadPoolExecutor(2) as pool:  # each waits a while for the broker
        said = list(pool.map(lambda words: sentence(a_home.bike(*words)), commands))
    assert all(a_home.bootstrap in each and "BIKE_KAFKA" in each for each in said)
    with a_home.running("run", "broker", until=lambda: is_broker_up(a_home)):
        assert a_home.answer("replay", file)["written"] == 1
    assert a_home.processes() == []


def test_what_was_acknowledged_is_there_after_the_broker_was_away(a_home: Home) -> None:
    first, second = (write(a_home.directory / f"{n}.jsonl", [CITIES[1].poll(f"30 10:5{n}:00", BOTH)]) for n in (1, 2))
    assert a_home.answer("replay", first)["written"] == 1  # by a broker of its own, which is gone now
    again = a_home.answer("replay", first, second)
    assert (again["written"], again["skipped"]) == (1, 1)


@pytest.mark.parametrize("port", ["KAFKA_PORT", "PAGE_PORT", "DAGSTER_PORT", "SIMULATOR_PORT", "ORDERS_PORT"])
def test_a_busy_port_is_named_with_the_setting_that_moves_it(a_home: Home, port: str) -> None:
    with socket.create_server(("127.0.0.1", a_home.ports[port])):
        said = sentence(a_home.bike("up", "--demo"))
    assert f"Port {a_home.ports[port]}" in said
    assert f"BIKE_{port}" in said
    assert a_home.processes() == []


def test_a_busy_port_of_the_broker_is_named_by_a_command_that_needs_one(a_home: Home) -> None:
    with socket.create_server(("127.0.0.1", a_home.ports["KAFKA_PORT"])):
        assert "BIKE_KAFKA_PORT" in sentence(a_home.bike("replay", recording(a_home)))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("page_port = 8088\ndagster_port = 70000\n", "bike.toml, line 2, dagster_port"),
        ('\n\npoll_seconds = "often"\n', "bike.toml, line 3, poll_seconds"),
        ("page_prot = 8088\n", "bike.toml, line 1, page_prot"),
        ("page_port: 8088\n", "bike.toml is no TOML"),
    ],
)
def test_a_wrong_settings_file_is_told_by_line_and_key(a_home: Home, text: str, place: str) -> None:
    a_home.environment = {name: value for name, value in a_home.environment.items() if "_PORT" not in name}
    (a_home.directory / "bike.toml").write_text(text)
    assert place in sentence(a_home.bike("config"))


def test_a_wrong_variable_is_told_by_its_name(a_home: Home) -> None:
    assert "BIKE_PARTITIONS" in sentence(a_home.bike("config", BIKE_PARTITIONS="none"))


def test_a_wrong_sources_file_is_told_by_line_and_key(a_home: Home) -> None:
    sources = a_home.directory / "sources.toml"
    sources.write_text(f"{GBFS}interval = 5\n")
    for words in (["poll", "oslo"], ["up", "--sources", str(sources)]):
        assert "sources.toml, line 5, interval" in sentence(a_home.bike(*words))
    assert a_home.processes() == []


def test_sources_that_are_not_there_are_told_with_what_to_do(a_home: Home) -> None:
    assert "sources.toml does not exist: `bike sources add` makes it" in sentence(a_home.bike("up"))


def test_a_key_that_is_missing_is_told_with_its_variable(a_home: Home) -> None:
    (a_home.directory / "sources.toml").write_text('[[systems]]\nkind = "jcdecaux"\ncontract = "lyon"\n')
    assert "BIKE_JCDECAUX_KEY" in sentence(a_home.bike("poll", "jcdecaux:lyon"))


def test_an_old_java_is_told_with_the_setting_that_names_another(a_home: Home, tmp_path: Path) -> None:
    java = tmp_path / "old" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    old = str(java.parents[1])
    assert "BIKE_JAVA_HOME" in sentence(a_home.bike("replay", recording(a_home), BIKE_JAVA_HOME=old))


def test_a_recording_that_is_none_is_told_by_file_and_line(a_home: Home) -> None:
    good = json.dumps(CITIES[1].poll("30 10:58:00", BOTH))
    files = {
        "notes.txt": ("what happened", "notes.txt"),
        "prose.jsonl": ("It was a dark night.\n", "prose.jsonl, line 1"),
        "other.jsonl": (f'{good}\n{{"a": 1}}\n', "other.jsonl, line 2"),
        "naive.jsonl": (good.replace("Z", "") + "\n", "naive.jsonl, line 1"),
        "prose.jsonl.gz": ("It was a dark night.\n", "prose.jsonl.gz"),
    }
    for name, (text, _) in files.items():
        (a_home.directory / name).write_text(text)
    with a_home.running("run", "broker", until=lambda: is_broker_up(a_home)):
        said = {name: sentence(a_home.bike("replay", a_home.directory / name)) for name in [*files, "nowhere.jsonl"]}
        # The line before the wrong one was committed, and is there for whoever mends the file.
        (a_home.directory / "mended.jsonl").write_text(good + "\n")
        assert a_home.answer("replay", a_home.directory / "mended.jsonl")["skipped"] in (0, 1)
    assert {name: place in said[name] for name, (_, place) in files.items()} == dict.fromkeys(files, True)
    assert "nowhere.jsonl does not exist" in said["nowhere.jsonl"]


def test_a_second_poller_is_refused_with_the_pid_of_the_first(a_home: Home) -> None:
    (a_home.directory / "sources.toml").write_text(GBFS)
    with a_home.running("run", "broker", until=lambda: is_broker_up(a_home)):
        note = a_home.path / "run" / "poller.pid"
        with a_home.running("run", "poller", until=note.exists) as first:
            wait_until(lambda: note.read_text() == str(first.pid), 10, "the poller notes its pid")
            assert f"(pid {first.pid})" in sentence(a_home.bike("run", "poller"))


def test_a_question_that_would_write_is_refused(a_home: Home) -> None:
    for query in ("DELETE FROM events.polls", "COPY events.polls TO 'polls.csv'"):
        assert "can only be read" in sentence(a_home.bike("sql", query))
