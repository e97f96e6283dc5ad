"""Live answers into a file, by the command line and a real server."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bike_assets.ingest.recordings import read_recording
from bike_assets.local.recording import seconds_of
from bike_assets.model.answers import Answer
from bike_assets.model.errors import WrongSettings
from bike_assets_tests.journeys.apis import BAD_ROWS, FORBIDDEN, GOOD, apis
from bike_assets_tests.journeys.homes import BIKE, end
from bike_assets_tests.waiting import wait_until

KEY = "canary/5f3e9d+0a"


class Recorder:
    """`bike record` in a directory whose sources are APIs on loopback."""

    def __init__(self, directory: Path, api: str) -> None:
        self.directory = directory
        systems = (f'[[systems]]\nkind = "jcdecaux"\ncontract = "{case}"\nurl = "{api}/{case}"\npoll_seconds = 1\n'
                   for case in (GOOD, BAD_ROWS, FORBIDDEN))  # fmt: skip
        (directory / "sources.toml").write_text("".join(systems))
        self.environment = {"PATH": "/usr/bin:/bin", "BIKE_JCDECAUX_KEY": KEY, "BIKE_KAFKA": "127.0.0.1:1"}

    def command(self, *words: str) -> list[str]:
        return [*BIKE, "record", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), cwd=self.directory, env=self.environment, capture_output=True,
                              text=True, timeout=60, check=False)  # fmt: skip

    def answers(self, name: str) -> list[Answer]:
        return list(read_recording(self.directory / name))


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with apis() as api:
        yield Recorder(tmp_path, api)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.xz", ".jsonl.gz", ".jsonl.zst"])
def test_what_is_recorded_can_be_read_and_holds_no_key(recorder: Recorder, suffix: str) -> None:
    name = f"new/monday{suffix}"
    done = recorder.run("jcdecaux:good", "jcdecaux:forbidden", "--to", name, "--for", "2s", "--json")
    assert done.returncode == 0, done.stderr
    answers = recorder.answers(name)
    failed = sum(answer.failure is not None for answer in answers)
    assert json.loads(done.stdout) == {"file": name, "answers": len(answers), "failed": failed}
    assert {answer.system_id for answer in answers} == {"jcdecaux:good", "jcdecaux:forbidden"}
    assert all(bool(answer.body) is (answer.system_id == "jcdecaux:good") for answer in answers if not answer.failure)
    assert not [answer for answer in answers if KEY in repr(answer)]


def test_each_system_is_asked_at_its_pace_and_time_goes_forward(recorder: Recorder) -> None:
    assert recorder.run("jcdecaux:good", "--to", "a.jsonl", "--for", "4s").returncode == 0
    times = [answer.fetched_at for answer in recorder.answers("a.jsonl")]
    assert 2 <= len(times) <= 5
    assert times == sorted(set(times))


def test_told_to_stop_it_ends_in_order_with_what_it_has(recorder: Recorder) -> None:
    file = recorder.directory / "a.jsonl"
    process = subprocess.Popen(recorder.command("jcdecaux:good", "--to", "a.jsonl", "--for", "1h"),
                               cwd=recorder.directory, env=recorder.environment, stdout=subprocess.PIPE)  # fmt: skip
    try:
        wait_until(lambda: file.exists() and file.stat().st_size > 0)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    finally:
        end(process)
    assert process.returncode == 0
    assert said.decode().startswith(f"a.jsonl: {len(recorder.answers('a.jsonl'))} answers")


def test_no_recording_is_written_over(recorder: Recorder) -> None:
    (recorder.directory / "a.jsonl").write_text("mine")
    done = recorder.run("jcdecaux:good", "--to", "a.jsonl", "--for", "2s")
    assert (done.returncode, done.stderr) == (1, "error: a.jsonl exists: give another name, or remove it first.\n")
    assert (recorder.directory / "a.jsonl").read_text() == "mine"


@pytest.mark.parametrize(("words", "said"), [
    (("oslo", "--to", "a.jsonl", "--for", "2s"), "oslo is not in sources.toml, which has jcdecaux:"),
    (("jcdecaux:good", "--to", "a.csv", "--for", "2s"), "a.csv: a recording ends in .jsonl, .xz, .gz or .zst"),
    (("jcdecaux:good", "--to", "a.jsonl", "--for", "soon"), "soon is no time to record for: give one like 90s"),
], ids=["system", "file", "time"])  # fmt: skip
def test_what_cannot_be_recorded_is_one_sentence(recorder: Recorder, words: tuple[str, ...], said: str) -> None:
    done = recorder.run(*words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {said}")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in recorder.directory.iterdir()] == ["sources.toml"]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86_400)])
def test_a_time_has_its_unit(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "0m", "-1s", "1.5h", "1w"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(WrongSettings, match="no time to record for"):
        seconds_of(text)
