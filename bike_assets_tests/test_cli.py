"""The command line, as a process: what it prints, where, and with which exit status."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer.main

from bike_assets.alerts.services import WATCHED
from bike_assets.cli import app, main
from bike_assets.heartbeats import heartbeat
from bike_assets.lake.tables import ensure_table, table_path
from bike_assets.local.up import _programs
from bike_assets.model.errors import AlreadyRunning, BikeAssetsError, Fenced
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_REJECTIONS, TABLES
from bike_assets.settings import Settings, load_settings
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import poll, rejection
from bike_assets_tests.waiting import wait_until

CANARY = "canary-0123456789"
COMMAND = typer.main.get_command(app)


class Bike:
    """`bike` in an empty directory, with a home within it."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        own = {"BIKE_HOME": str(directory / "home"), "PATH": "/usr/bin:/bin", "COLUMNS": "300"}
        self.environment = own | environment

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bike_assets", *arguments],
            capture_output=True, text=True, check=False, cwd=self.directory, env=self.environment, timeout=60,
        )  # fmt: skip

    def json(self, *arguments: str) -> Any:
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def error(self, *arguments: str) -> str:
        """What went wrong: all of standard error. Nothing may stand on standard output, and no traceback."""
        done = self(*arguments)
        assert done.returncode == 1, done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return done.stderr


@pytest.fixture
def bike(tmp_path: Path) -> Bike:
    return Bike(tmp_path)


def commands(group: Any, *path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, *path, name)
        else:
            found[" ".join((*path, name))] = command
    return found


@pytest.mark.parametrize(("name", "command"), commands(COMMAND).items(), ids=str)
def test_every_command_says_what_it_does_and_shows_an_example_of_its_arguments(name: str, command: Any) -> None:
    assert command.help
    takes_arguments = any(param.param_type_name == "argument" for param in command.params)
    assert not takes_arguments or f"`bike {name} " in command.help


@pytest.mark.parametrize(("name", "command"), commands(COMMAND).items(), ids=str)
def test_every_option_says_what_it_is_for(name: str, command: Any) -> None:
    assert [param.name for param in command.params if not getattr(param, "help", None)] == []


def test_help_is_printed_as_an_answer(bike: Bike) -> None:
    done = bike("sql", "--help")
    assert done.returncode == 0
    assert "from live.system_minute" in done.stdout


@pytest.mark.parametrize("arguments", [("nosuch",), ("sql",), ("poll",), ("status", "--nosuch")])
def test_a_wrong_call_says_so_with_status_2(bike: Bike, arguments: tuple[str, ...]) -> None:
    done = bike(*arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["table", "json"])
def test_config_shows_every_setting_and_no_key(tmp_path: Path, as_json: tuple[str, ...]) -> None:
    done = Bike(tmp_path, BIKE_JCDECAUX_KEY=CANARY)("config", *as_json)
    assert CANARY not in done.stdout + done.stderr
    for name, field in Settings.model_fields.items():
        assert (f'"{name}"' if as_json else f"BIKE_{name.upper()} ") in done.stdout
        assert as_json or str(field.description)[:60] in done.stdout


def test_config_shows_what_is_in_force(tmp_path: Path) -> None:
    assert Bike(tmp_path, BIKE_PAGE_PORT="4711").json("config")["page_port"] == 4711


def test_a_variable_that_sets_nothing_is_a_warning_beside_the_answer(tmp_path: Path) -> None:
    done = Bike(tmp_path, BIKE_POL_SECONDS="5")("config", "--json")
    assert (done.returncode, json.loads(done.stdout)["poll_seconds"]) == (0, 60)
    assert done.stderr == "warning: BIKE_POL_SECONDS is no setting. Did you mean BIKE_POLL_SECONDS?\n"


def test_a_wrong_setting_is_one_sentence(tmp_path: Path) -> None:
    said = Bike(tmp_path, BIKE_PAGE_PORT="eighty").error("status")
    assert said == "error: BIKE_PAGE_PORT: Input should be a valid integer, unable to parse string as an integer.\n"


def test_up_without_sources_says_what_to_do(bike: Bike) -> None:
    said = bike.error("up")
    assert said == "error: sources.toml does not exist: `bike sources add` makes it; or try `bike up --demo`.\n"


def test_brackets_of_a_sentence_are_no_markup(bike: Bike) -> None:
    (bike.directory / "sources.toml").write_text("")
    assert bike.error("poll", "oslo") == "error: sources.toml names no system: add a [[systems]] entry.\n"


def test_polling_without_a_sources_file_says_what_to_do(bike: Bike) -> None:
    wanted = "error: sources.toml does not exist: `bike sources add` makes it, or copy sources.example.toml to it.\n"
    assert bike.error("poll", "oslo") == wanted


def test_polling_a_system_that_nobody_polls_names_those_that_there_are(bike: Bike) -> None:
    (bike.directory / "sources.toml").write_text('[[systems]]\nkind = "jcdecaux"\ncontract = "Lyon"\n')
    assert bike.error("poll", "oslo") == "error: oslo is not in sources.toml, which has jcdecaux:lyon.\n"


def test_a_recording_that_is_not_there_is_said_before_anything_is_started(bike: Bike) -> None:
    assert bike.error("replay", "monday.jsonl") == "error: monday.jsonl does not exist.\n"
    assert not (bike.directory / "home").exists()


@pytest.mark.parametrize(("name", "text", "said"), [
    ("monday.jsonl", "# Monday\n", "monday.jsonl, line 1 is no line of a recording: "),
    ("monday.xz", "{}", "monday.xz cannot be decompressed: "),
    ("monday.md", "{}", "monday.md: a recording ends in .jsonl, .xz, .gz or .zst, not in '.md'.\n"),
])  # fmt: skip
@pytest.mark.parametrize("how", [(), ("--replace",), ("--shift-to-now",)], ids=" ".join)
def test_a_file_that_is_no_recording_is_said_before_anything_is_started(
    bike: Bike, name: str, text: str, said: str, how: tuple[str, ...]
) -> None:
    (bike.directory / name).write_text(text)
    assert bike.error("replay", name, *how).startswith(f"error: {said}")
    assert not (bike.directory / "home").exists()


def test_what_holds_no_answer_takes_no_place_of_anything(bike: Bike) -> None:
    (bike.directory / "empty.jsonl").write_text("")
    assert bike.error("replay", "--replace", "empty.jsonl") == "error: There is no answer in what was given.\n"
    assert not (bike.directory / "home").exists()


def test_what_is_no_members_id_or_address_is_said_before_anything_is_started(tmp_path: Path) -> None:
    bike = Bike(tmp_path, BIKE_MEMBERS_KEY="k" * 32)
    for wanted in (("nobody",), ("--email", "nobody")):
        assert bike.error("members", "forget", *wanted) == "error: That is no member's id, or no address.\n"
    assert not (bike.directory / "home").exists()


def test_a_directory_is_no_recording(bike: Bike) -> None:
    (bike.directory / "recordings").mkdir()
    assert bike.error("replay", "recordings") == "error: recordings is a directory.\n"


def test_a_time_zone_that_there_is_not_is_said_before_anything_is_written(bike: Bike) -> None:
    (bike.directory / "monday.jsonl").write_text("")
    said = bike.error("replay", "monday.jsonl", "--timezone", "Oslo")
    assert said == "error: There is no time zone Oslo: give an IANA name, as Europe/Oslo.\n"
    assert not (bike.directory / "home").exists()


def test_status_of_a_home_where_nothing_runs(bike: Bike) -> None:
    found = bike.json("status")
    assert found["is_up"] is False
    assert {service["state"] for service in found["services"]} == {"not supervised"}
    assert "`bike up` starts everything" in bike("status").stdout


def test_down_where_nothing_runs_is_no_error(bike: Bike) -> None:
    done = bike("down")
    assert (done.returncode, done.stdout) == (0, "Nothing was running.\n")


def test_doctor_that_finds_something_says_so_by_its_status(bike: Bike) -> None:
    done = bike("doctor", "--json")
    assert done.returncode == 1, "the jars are missing in an empty home"
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert not findings["jars"]["ok"]
    assert "`bike setup`" in findings["jars"]["says"]
    assert bike("doctor").returncode == 1


def test_sql_answers_from_a_home_where_nothing_ever_ran(bike: Bike) -> None:
    for_each = (f"(FROM {table.name} SELECT count(*) AS rows)" for table in TABLES)
    assert bike.json("sql", " UNION ALL ".join(for_each)) == [{"rows": 0}] * len(TABLES)


ESCAPE = "\x1b[2J\u202e[bold]"
"""Clears a terminal, turns what follows round, and is markup."""


def test_what_was_refused_commands_no_terminal(bike: Bike) -> None:
    lake = Path(bike.environment["BIKE_HOME"]) / "lake"
    write_messages(lake, EVENTS_POLLS, poll(rows_in=3, rows_rejected=1))
    write_messages(lake, EVENTS_REJECTIONS, rejection(reason=f"bad {ESCAPE}", payload=f"{ESCAPE}\n{{}}"))
    for words in (("list",), ("show", "oslo")):
        done = bike("rejections", *words)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout
        assert "\u202e" not in done.stdout
        assert r"bad \x1b[2J\u202e[bold]" in done.stdout
    assert "(ok, 1 of 3 rows refused), row 0" in bike("rejections", "show", "oslo").stdout
    assert bike.json("rejections", "show", "oslo")[0]["payload"] == f"{ESCAPE}\n{{}}"
    assert bike.error("rejections", "show", "olso").startswith("error: olso was never asked: ")
    (group,) = bike.json("rejections", "list", "--since", "2026-06-01")
    assert (group["system_id"], group["rows"], group["first_at"]) == ("oslo", 1, "2026-06-01T12:00:00Z")
    assert bike.json("rejections", "list", "--since", "2026-06-02") == []


def test_what_a_feed_says_commands_no_terminal_by_status_either(bike: Bike) -> None:
    lane = {"polls": {"invalid": 1}, "failing": {"oslo station_status": f"no version {ESCAPE}"}}
    heartbeat(Path(bike.environment["BIKE_HOME"]) / "run", "poller")({"systems": 1, "lanes": [lane]})
    said = bike("status").stdout
    assert "oslo" in said
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_status_tells_what_was_refused_lately(bike: Bike) -> None:
    lake = Path(bike.environment["BIKE_HOME"]) / "lake"
    write_messages(lake, EVENTS_REJECTIONS, rejection(fetched_at=datetime.now(UTC), reason="no JSON"))
    assert "Refused in 24 h, oslo: 1 no JSON" in bike("status").stdout


def test_what_cannot_be_restored_is_said_before_anything_is_started(bike: Bike) -> None:
    said = bike.error("rejections", "restore", "oslo", "--from", "2026-06-01")
    assert said.startswith("error: There is no answer in ")
    assert bike.error("rejections", "restore", "oslo", "--from", "noon").startswith("error: noon is no time")
    assert not (bike.directory / "home").exists()


def test_what_is_replaced_keeps_its_times(bike: Bike) -> None:
    (bike.directory / "monday.jsonl").write_text("")
    said = bike.error("replay", "monday.jsonl", "--replace", "--shift-to-now")
    assert said == "error: What is replaced keeps its times: give --replace or --shift-to-now, not both.\n"


def test_sql_gives_each_row_as_an_object(bike: Bike) -> None:
    write_messages(Path(bike.environment["BIKE_HOME"]) / "lake", EVENTS_POLLS, poll())
    query = """SELECT system_id, fetched_at, utc_date, seconds, error, 1.50::DECIMAL(4, 2) AS price, ['a'] AS many
               FROM events.polls"""
    assert bike.json("sql", query) == [
        {"system_id": "oslo", "fetched_at": "2026-06-01T12:00:00Z", "utc_date": "2026-06-01", "seconds": 0.2,
         "error": None, "price": "1.50", "many": ["a"]}
    ]  # fmt: skip


def test_any_type_of_duckdb_has_its_json(bike: Bike) -> None:
    query = """SELECT TIME '12:00' AS a, 'x'::BLOB AS b, uuid() AS c, INTERVAL 1 DAY AS d, 'nan'::DOUBLE AS e,
                      {'f': DATE '2026-06-01'} AS f, MAP {1: 2} AS g, '1'::BIT AS h"""
    (row,) = bike.json("sql", query)
    assert (row["a"], row["d"], row["e"]) == ("12:00:00", "P1D", None)
    assert (row["f"], row["g"]) == ({"f": "2026-06-01"}, {"1": 2})


def test_sql_cuts_no_value_in_a_narrow_terminal(tmp_path: Path) -> None:
    columns = [f"a_column_with_a_long_name_{number}" for number in range(9)]
    row = ", ".join(f"'value {number}' AS {name}" for number, name in enumerate(columns))
    said = Bike(tmp_path, COLUMNS="60")("sql", f"SELECT {row}").stdout.splitlines()
    for number, name in enumerate(columns):
        assert any(name in line and f"value {number}" in line for line in said), said


LONG = "https://feeds.example.org/a/path/that/is/longer/than/a/terminal/is/wide/by/far/and/goes/on/gbfs.json"


def test_nothing_is_cut_in_a_terminal_of_80_columns(tmp_path: Path) -> None:
    bike = Bike(tmp_path, COLUMNS="80")
    (tmp_path / "sources.toml").write_text(f'[[systems]]\nkind = "gbfs"\nsystem_id = "oslo"\nurl = "{LONG}"\n')
    home = Path(bike.environment["BIKE_HOME"])
    at = datetime.now(UTC).replace(microsecond=0)
    write_messages(home / "lake", EVENTS_REJECTIONS, rejection(
        system_id="jcdecaux:valence-romans-mobilites", feed="station_information", fetched_at=at, reason="no latitude",
        payload=LONG))  # fmt: skip
    lane = {"polls": {"invalid": 1}, "failing": {"oslo station_status": f"{LONG} answered 503"}}
    heartbeat(home / "run", "poller")({"systems": 1, "lanes": [lane]})
    asked = ("status", "sources list", "sources find donkey --limit 50", "rejections list", "config")
    said = {words: bike(*words.split()).stdout for words in asked}
    said["sql"] = bike("sql", f"SELECT '{LONG}' AS url, 'b' AS b").stdout
    for words, text in said.items():
        assert "…" not in text, text
        # A line may be longer where it is no table, for a terminal goes on in the next one.
        assert max(len(line) for line in text.splitlines() if line[:1] in "┃│┏┡└ ") <= 80, words
    for words in ("status", "sources list", "rejections list", "sql"):
        (text,) = (text for name, text in said.items() if name.startswith(words))
        assert LONG in "".join(each.strip(" │") for line in text.splitlines() for each in line.split("│")[-2:])
    for told in ("jcdecaux:valence-romans-mobilites", "station_information", "no latitude", f"{at:%Y-%m-%d %H:%M:%S}"):
        assert told in said["rejections list"]
    assert "https://stables.donkey.bike/api/public/gbfs/3.0/donkey_gh/gbfs.json" in said[
        "sources find donkey --limit 50"]  # fmt: skip
    assert "BIKE_KAFKA_CONTROLLER_PORT" in said["config"]


def test_a_terminal_that_is_wide_enough_has_tables(bike: Bike) -> None:
    found = bike("sources", "find", "oslo").stdout
    (row,) = (line for line in found.splitlines() if "│ oslobysykkel " in line)
    assert row.count("│") == 6


def test_sql_says_how_tables_come_that_nobody_has_made_yet(bike: Bike) -> None:
    done = bike("sql", "FROM warehouse.fact_station_hour JOIN events.polls USING (system_id)", "--json")
    assert json.loads(done.stdout) == []
    polled, built = done.stderr.splitlines()
    assert polled == (
        "Nothing is in events.polls yet: `bike up` polls and fills it; `bike drain` brings in what the topics hold.")
    assert built.startswith("Nothing is in warehouse.fact_station_hour yet: `bike build 2026-11-20` builds a day; ")
    assert "`bike customers`" in bike("sql", "FROM warehouse.dim_customer").stderr
    assert "Nothing is in events.polls" in bike("sql", "FROM live.station_status").stderr
    write_messages(Path(bike.environment["BIKE_HOME"]) / "lake", EVENTS_POLLS, poll())
    assert bike("sql", "SELECT count(*) AS polls FROM events.polls").stderr == ""


def test_sql_shows_brackets_as_they_are(bike: Bike) -> None:
    assert "[red]" in bike("sql", "SELECT '[red]' AS colour").stdout


def test_a_question_that_cannot_be_answered_is_an_error(bike: Bike) -> None:
    assert bike.error("sql", "DROP VIEW live.station_status").startswith("error: The tables can only be read here")
    assert 'near "nonsense"' in bike.error("sql", "nonsense")


def test_a_broken_table_is_one_sentence(bike: Bike) -> None:
    lake = Path(bike.environment["BIKE_HOME"]) / "lake"
    ensure_table(lake, EVENTS_POLLS)
    next((table_path(lake, EVENTS_POLLS) / "_delta_log").glob("*.json")).write_text("{")
    said = bike.error("sql", "FROM events.polls")
    assert said.startswith("error: events.polls cannot be read: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(("error", "status"), [(AlreadyRunning("a"), 1), (Fenced("b"), 4)], ids=repr)
def test_an_error_ends_the_command_with_its_status(
    monkeypatch: pytest.MonkeyPatch, error: BikeAssetsError, status: int
) -> None:
    def fails(**_: object) -> None:
        raise error

    monkeypatch.setattr("bike_assets.cli.app", fails)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status


@pytest.mark.parametrize("service", WATCHED)
def test_a_service_notes_its_start_before_it_waits_for_anything(tmp_path: Path, service: str) -> None:
    """Nothing that it needs is there: it comes to no heartbeat."""
    nowhere = "127.0.0.1:1"
    bike = Bike(
        tmp_path, BIKE_KAFKA=nowhere, BIKE_SALES_DATABASE=f"postgresql://u:p@{nowhere}/x",
        BIKE_ORDERS_CASSANDRA=f"cassandra://{nowhere}/x", BIKE_MEMBERS_CASSANDRA=f"cassandra://{nowhere}/x",
    )  # fmt: skip
    command = [sys.executable, "-m", "bike_assets", "run", service]
    with subprocess.Popen(command, cwd=tmp_path, env=bike.environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:  # fmt: skip
        try:
            wait_until((tmp_path / "home" / "run" / f"{service}.start").exists)
        finally:
            process.kill()


def test_a_watched_service_ends_with_its_own_status_and_says_why(bike: Bike) -> None:
    alone, watched = bike("run", "sales-sink"), bike("watch", "sales-sink")
    assert (watched.returncode, watched.stderr) == (alone.returncode, alone.stderr)
    assert watched.returncode == 1
    assert "BIKE_SALES_DATABASE" in watched.stderr


def test_what_writes_no_heartbeat_cannot_be_watched(bike: Bike) -> None:
    done = bike("watch", "broker")
    assert done.returncode == 2
    assert "'broker' is none of poller, stream, page" in " ".join(done.stderr.split())


def test_a_poller_that_was_fenced_is_not_started_again(tmp_path: Path) -> None:
    """Two supervisors would otherwise throw each other's pollers out for ever."""
    programs = _programs(load_settings(home=tmp_path), tmp_path, is_demo=False)
    assert [Fenced.exit_status in each.final_exits for each in programs if each.name == "poller"] == [True]


_IN_BACKGROUND = """
import subprocess
import dagster as dg
from bike_assets import cli

@dg.asset
def nothing() -> None: ...

def work(**_):
    assert dg.materialize([nothing]).success
    child = subprocess.Popen(["sleep", "60"])
    print(child.pid, flush=True)
    child.wait()

cli.app = work
cli.main()
"""


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_in_the_background_of_a_script_it_goes_on_at_ctrl_c_and_it_and_its_children_end_by_sigterm() -> None:
    """SIGINT is ignored there; Dagster gives SIGTERM what SIGINT has, and a child inherits what is ignored."""
    started = ["/bin/sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, _IN_BACKGROUND]
    with subprocess.Popen(started, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            process.terminate()
            assert process.wait(10) == 128 + signal.SIGTERM
            os.kill(child, signal.SIGTERM)
            wait_until(lambda: not is_alive(child), 10)
        finally:
            process.kill()
            if is_alive(child):
                os.kill(child, signal.SIGKILL)
