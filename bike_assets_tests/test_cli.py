"""The command line, as a process: what it prints, where, and with which exit status."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer.main

from bike_assets.cli import app, main
from bike_assets.heartbeats import heartbeat
from bike_assets.lake.tables import ensure_table, table_path
from bike_assets.local.up import _programs
from bike_assets.model.errors import AlreadyRunning, BikeAssetsError, Fenced
from bike_assets.model.tables import EVENTS_POLLS, EVENTS_REJECTIONS, TABLES
from bike_assets.settings import Settings, load_settings
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import poll, rejection

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
    assert said == "error: sources.toml does not exist: copy sources.example.toml to it, or try `bike up --demo`.\n"


def test_brackets_of_a_sentence_are_no_markup(bike: Bike) -> None:
    (bike.directory / "sources.toml").write_text("")
    assert bike.error("poll", "oslo") == "error: sources.toml names no system: add a [[systems]] entry.\n"


def test_polling_without_a_sources_file_says_what_to_do(bike: Bike) -> None:
    assert bike.error("poll", "oslo") == "error: sources.toml does not exist: copy sources.example.toml to it.\n"


def test_polling_a_system_that_nobody_polls_names_those_that_there_are(bike: Bike) -> None:
    (bike.directory / "sources.toml").write_text('[[systems]]\nkind = "jcdecaux"\ncontract = "Lyon"\n')
    assert bike.error("poll", "oslo") == "error: oslo is not in sources.toml, which has jcdecaux:lyon.\n"


def test_a_recording_that_is_not_there_is_said_before_anything_is_started(bike: Bike) -> None:
    assert bike.error("replay", "monday.jsonl") == "error: monday.jsonl does not exist.\n"
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


def test_a_poller_that_was_fenced_is_not_started_again(tmp_path: Path) -> None:
    """Two supervisors would otherwise throw each other's pollers out for ever."""
    programs = _programs(load_settings(home=tmp_path), tmp_path, is_demo=False)
    assert [Fenced.exit_status in each.final_exits for each in programs if each.name == "poller"] == [True]
