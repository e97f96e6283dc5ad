"""Sensors with a real instance, real runs, and a real server that takes the alerts."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from bike_assets.alerts.services import WATCHED
from bike_assets.definitions import defs
from bike_assets.defs import run_ends, sensors
from bike_assets.defs.partitions import tags_of
from bike_assets.defs.resources import Alerts
from bike_assets.defs.schedules import every_hour
from bike_assets.heartbeats import BEATING, FIRST_BEAT_S, FRESH_S, PAGE
from bike_assets_tests.alerts.servers import HttpServer

CANARY = "canary-0123456789"
NOW = datetime.now(UTC)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    running = HttpServer()
    yield running
    running.close()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


class Ticks:
    """Ticks of a sensor as the daemon would have them, the cursor of one given to the next."""

    def __init__(self, run: Path, instance: dg.DagsterInstance) -> None:
        self.run = run
        self.instance = instance
        self.cursors: dict[str, str | None] = {}
        self.definitions = defs

    def __call__(self, sensor: dg.SensorDefinition) -> Any:
        books = str(self.run / "incidents")
        alerts = Alerts(run_directory=str(self.run), book_directory=books, dagster_url="http://127.0.0.1:3000")
        context = dg.build_sensor_context(
            self.instance,
            self.cursors.get(sensor.name),
            resources={"alerts": alerts},
            definitions=self.definitions,
        )
        data = sensor.evaluate_tick(context)
        self.cursors[sensor.name] = data.cursor
        return data

    def beats(self, service: str, age_s: float = 0, **details: Any) -> None:
        at = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat()
        (self.run / f"{service}.heartbeat.json").write_text(json.dumps({"pid": 1, "at": at, **details}))


@pytest.fixture
def ticks(
    bare_directory: Path, instance: dg.DagsterInstance, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> Ticks:
    monkeypatch.setenv("BIKE_ALERT_WEBHOOK", f"{server.url}/{CANARY}")
    monkeypatch.setenv("BIKE_JCDECAUX_KEY", f"key-{CANARY}")
    return Ticks(bare_directory, instance)


def told(server: HttpServer) -> list[tuple[str, str, str]]:
    return [(each["event"], each["severity"], each["incident"]) for each in server.taken]


def test_every_sensor_runs_by_default_and_says_what_it_is_for() -> None:
    there = {each.name: each for each in defs.get_repository_def().sensor_defs}
    assert set(there) == {"services", "quiet_systems", "ended_runs", "later_rows"}
    for each in there.values():
        assert each.default_status is dg.DefaultSensorStatus.RUNNING
        assert each.description


def test_a_dead_service_is_looked_for_often_enough() -> None:
    interval = sensors.services.minimum_interval_seconds
    assert interval is not None
    assert FRESH_S + interval < 60


def test_a_home_in_which_nobody_started_a_service_is_well(ticks: Ticks, server: HttpServer) -> None:
    data = ticks(sensors.services)
    assert data.skip_message == "Nothing that is watched was started in this home; `bike up` starts them."
    assert (data.asset_events, server.taken) == ([], [])


def test_a_service_that_was_started_and_never_beats_is_told(ticks: Ticks, server: HttpServer) -> None:
    start = ticks.run / "stream.start"
    start.write_text(datetime.now(UTC).isoformat())
    assert ticks(sensors.services).skip_message == "Starting: stream."
    start.write_text((datetime.now(UTC) - timedelta(seconds=FIRST_BEAT_S + 1)).isoformat())
    assert "gave no sign of life" in ticks(sensors.services).skip_message
    assert told(server) == [("open", "error", "service/stream")]


def test_a_service_that_lives_is_plotted_on_its_assets_page_once_a_minute(
    ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks.beats("poller", lanes=[{"queued": 2, "waits_since": None}], systems=1, quiet={})
    ticks.beats("stream", queries={}, lag={"messages": 5, "caught_up_at": datetime.now(UTC).isoformat()})
    data = ticks(sensors.services)
    assert data.skip_message == "Alive, and not behind: poller, stream."
    shown = {each.asset_key.to_user_string(): each.metadata for each in data.asset_events}
    assert shown["raw/answers"]["answers_waiting"].value == 2
    assert shown["events/polls"]["lag_messages"].value == 5
    assert all(each["heartbeat_age_s"].value < FRESH_S for each in shown.values())
    assert {each.asset_key for each in data.asset_events} <= defs.resolve_asset_graph().materializable_asset_keys
    assert ticks(sensors.services).asset_events == [], "once a minute"
    monkeypatch.setattr(sensors, "PLOTTED_EVERY", timedelta(0))
    assert len(ticks(sensors.services).asset_events) == 2


def test_whoever_beats_is_watched_but_for_the_page_and_plotted_on_an_asset_that_is_there() -> None:
    assert set(WATCHED) == set(BEATING) - {PAGE} == set(sensors.SHOWN_ON)
    shown_on = {dg.AssetKey(path) for path in sensors.SHOWN_ON.values()}
    assert shown_on <= defs.resolve_asset_graph().get_all_asset_keys()
    assert len(shown_on) == len(WATCHED)


def test_a_sink_whose_database_is_down_is_plotted_with_what_waits(ticks: Ticks) -> None:
    behind = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    ticks.beats("orders-sink", behind=12, caught_up_at=behind, trouble="Cassandra is down.")
    (shown,) = ticks(sensors.services).asset_events
    assert shown.asset_key == dg.AssetKey(["sinks", "orders"])
    assert (shown.metadata["rows_waiting"].value, shown.metadata["lag_s"].value >= 90) == (12, True)


def test_a_dead_service_is_told_once_and_once_when_it_is_back(ticks: Ticks, server: HttpServer) -> None:
    ticks.beats("poller", age_s=40)
    said = [ticks(sensors.services).skip_message for _ in range(3)]
    assert [text.startswith("The poller is dead or hangs: its last sign of life came 40 s ago.") for text in said] == [
        True] * 3
    ticks.beats("poller")
    assert ticks(sensors.services).skip_message == "The poller is at work."
    ticks(sensors.services)
    assert told(server) == [("open", "error", "service/poller"), ("over", "error", "service/poller")]


def test_an_alert_that_was_not_taken_is_sent_at_the_next_tick(ticks: Ticks, server: HttpServer) -> None:
    ticks.beats("poller", age_s=40)
    server.statuses = [500]
    assert ticks(sensors.services).skip_message.endswith("Alerts wait: the webhook answered with status 500.")
    assert server.taken == []
    assert "Alerts wait" not in ticks(sensors.services).skip_message
    assert told(server) == [("open", "error", "service/poller")]


def test_a_quiet_system_is_told_and_a_poller_that_is_down_says_nothing_of_systems(
    ticks: Ticks, server: HttpServer
) -> None:
    ticks.beats("poller", systems=2, quiet={"oslo": NOW.isoformat()})
    assert ticks(sensors.quiet_systems).skip_message == "Systems with a good poll lately: 1 of 2."
    assert ticks(sensors.quiet_systems).skip_message.startswith("oslo had its last good poll at ")
    ticks.beats("poller", age_s=60, systems=2, quiet={})
    ticks(sensors.quiet_systems)
    assert told(server) == [("open", "error", "system/oslo")]
    ticks.beats("poller", systems=2, quiet={})
    assert ticks(sensors.quiet_systems).skip_message == "oslo is polled again."
    assert ticks(sensors.quiet_systems).skip_message == "Systems with a good poll lately: 2 of 2."
    assert told(server)[1:] == [("over", "error", "system/oslo")]


class Work:
    """A job over one asset with a check, which goes as it is told to."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self.fails = False
        self.holds = True
        self.severity = dg.AssetCheckSeverity.ERROR

        @dg.asset
        def fact() -> None:
            if self.fails:
                full = OSError(f"http://{CANARY}@disk/?key={CANARY} is full: key-{CANARY}")
                raise RuntimeError("it could not be written") from full

        @dg.asset_check(asset=fact)
        def adds_up() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=self.holds, severity=self.severity)

        self.definitions = dg.Definitions(
            assets=[fact], asset_checks=[adds_up], jobs=[dg.define_asset_job("build")]
        )
        self._job = self.definitions.resolve_job_def("build")

    def run(self, **tags: str) -> dg.ExecuteInProcessResult:
        return self._job.execute_in_process(instance=self._instance, raise_on_error=False, tags=tags)


@pytest.fixture
def work(ticks: Ticks) -> Work:
    made = Work(ticks.instance)
    ticks.definitions = made.definitions
    return made


def test_what_is_no_more_among_the_definitions_is_waited_for_no_more(
    ticks: Ticks, server: HttpServer, work: Work
) -> None:
    work.fails = True
    work.run()
    ticks(sensors.ended_runs)
    ticks.definitions = defs
    assert ticks(sensors.ended_runs).skip_message == (
        "The definitions have fact no more: nothing is left to be done.")
    assert told(server) == [("open", "error", "run/build"), ("over", "error", "run/build")]


def test_a_failed_run_is_told_with_its_deepest_cause_and_its_end(ticks: Ticks, server: HttpServer, work: Work) -> None:
    work.fails = True
    failed = work.run()
    said = [ticks(sensors.ended_runs).skip_message for _ in range(2)]
    assert said == ["build failed: OSError: http://disk/?[removed] is full: [removed]"] * 2
    work.fails = False
    work.run()
    assert ticks(sensors.ended_runs).skip_message == "build succeeded."
    assert told(server) == [("open", "error", "run/build"), ("over", "error", "run/build")]
    assert server.taken[0]["url"] == f"http://127.0.0.1:3000/runs/{failed.run_id}"


def test_no_key_is_in_what_is_told_kept_or_shown(ticks: Ticks, server: HttpServer, work: Work) -> None:
    work.fails = True
    work.run()
    server.statuses = [500]
    shown = [ticks(sensors.ended_runs).skip_message for _ in range(2)]
    kept = (ticks.run / "incidents" / "runs.json").read_text()
    assert server.taken
    assert CANARY not in f"{shown} {kept} {server.taken}"


def test_a_run_of_days_is_over_when_these_days_succeed(ticks: Ticks, server: HttpServer, work: Work) -> None:
    day = NOW.date()
    work.fails = True
    work.run(**tags_of(day, day))
    ticks(sensors.ended_runs)
    work.fails = False
    work.run(**tags_of(day - timedelta(days=1), day - timedelta(days=1)))
    ticks(sensors.ended_runs)
    work.run(**tags_of(day - timedelta(days=1), day))
    ticks(sensors.ended_runs)
    assert told(server) == [("open", "error", f"run/build@{day}"), ("over", "error", f"run/build@{day}")]


def test_what_the_hourly_look_finds_is_over_when_the_next_finds_it_well_whatever_day_it_is_by_then(
    ticks: Ticks, server: HttpServer, work: Work
) -> None:
    hourly = {"dagster/schedule_name": every_hour.name}
    yesterday, today, tomorrow = (NOW.date() + timedelta(days=n) for n in (-1, 0, 1))
    for work.holds, days in ((False, (yesterday, today)), (False, (today, tomorrow)), (True, (today, tomorrow))):
        work.run(**tags_of(*days), **hourly)
        ticks(sensors.ended_runs)
    assert told(server) == [("open", "error", "check/fact:adds_up"), ("over", "error", "check/fact:adds_up")]


@pytest.mark.parametrize("day", ["2999-01-01", "monday"])
def test_a_failed_run_of_a_day_that_there_is_not_is_told_and_what_failed_after_it_too(
    ticks: Ticks, server: HttpServer, work: Work, day: str
) -> None:
    work.fails = True
    work.run(**{"dagster/partition": day})
    work.run()
    ticks(sensors.ended_runs)
    assert "run/build" in [incident for _, _, incident in told(server)]
    assert len(server.taken) == (2 if day == "2999-01-01" else 1), "without a day both are the same incident"


def test_a_check_that_blocks_nothing_is_told_by_itself_and_a_warning_as_one(
    ticks: Ticks, server: HttpServer, work: Work
) -> None:
    for work.holds, work.severity in (
        (False, dg.AssetCheckSeverity.ERROR), (True, dg.AssetCheckSeverity.ERROR), (False, dg.AssetCheckSeverity.WARN),
    ):  # fmt: skip
        work.run()
        ticks(sensors.ended_runs)
    assert told(server) == [("open", "error", "check/fact:adds_up"), ("over", "error", "check/fact:adds_up"),
                            ("open", "warning", "check/fact:adds_up")]


def test_a_run_of_the_command_line_is_told_for_dagster_cannot_start_it_again(
    ticks: Ticks, server: HttpServer, work: Work
) -> None:
    work.fails = True
    work.run(**{run_ends.WILL_RETRY: "true"})
    ticks(sensors.ended_runs)
    assert told(server) == [("open", "error", "run/build")]


def test_a_cursor_that_was_not_kept_tells_nothing_twice(ticks: Ticks, server: HttpServer, work: Work) -> None:
    """Dagster ended after the alert was sent and before it wrote the cursor down."""
    work.fails = True
    work.run()
    work.fails = False
    work.run()
    for _ in range(2):
        ticks.cursors.clear()
        ticks(sensors.ended_runs)
    assert told(server) == [("open", "error", "run/build"), ("over", "error", "run/build")]


def test_more_runs_than_a_page_holds_are_all_looked_at_in_a_storage_of_files(
    ticks: Ticks, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each run's events have a file of their own, only the index numbers them all."""
    monkeypatch.setattr(run_ends, "PAGE", 2)
    with dg.DagsterInstance.local_temp() as ticks.instance:
        work = Work(ticks.instance)
        ticks.definitions = work.definitions
        look_page_by_page(ticks, server, work)


def look_page_by_page(ticks: Ticks, server: HttpServer, work: Work) -> None:
    for work.fails in (False, False, True):
        work.run()
    said = [ticks(sensors.ended_runs).skip_message for _ in range(2)]
    assert said[0] == "Runs that ended since the last look: 2, none wrong."
    assert told(server) == [("open", "error", "run/build")]


def test_what_failed_long_ago_is_not_told_at_the_first_look(
    ticks: Ticks, server: HttpServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.fails = True
    work.run()
    monkeypatch.setattr(sensors, "FIRST_LOOK", timedelta(seconds=-1))
    ticks(sensors.ended_runs)
    assert server.taken == []
