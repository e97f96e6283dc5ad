"""Days as partitions: what the morning builds, and what later rows make stale."""

from collections.abc import Iterator, Set
from datetime import UTC, date, datetime
from unittest.mock import Mock

import dagster as dg
import pytest
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor
from dagster._core.events import StepMaterializationData

from bike_assets.definitions import defs
from bike_assets.defs.news import tell_what_is_built
from bike_assets.defs.partitions import DAYS, day_of, days_of, tags_of
from bike_assets.defs.schedules import every_morning, every_night
from bike_assets.defs.warehouse.checks import meets_service_level, warehouse_checks
from bike_assets.model.errors import WrongDay
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS
from bike_assets.model.warehouse import (
    DIM_STATION,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    STATION_QUALITY,
    SYSTEM_SERVICE_DAY,
)
from bike_assets_tests.defs.conftest import Home, failure
from bike_assets_tests.lake.rows import write, write_messages
from bike_assets_tests.model.builders import poll
from bike_assets_tests.quality.test_warehouse import service

NOW = datetime(2024, 3, 31, 6, tzinfo=UTC)
BUILT = ("2024-03-28", "2024-03-29", "2024-03-30")
FACTS = (FACT_STATION_HOUR, FACT_STATION_DAY, FACT_SYSTEM_DAY, STATION_QUALITY)
build_days = defs.resolve_job_def("build_days")


def key(table: Table) -> dg.AssetKey:
    return dg.AssetKey(list(table.path))


def test_the_morning_builds_the_two_days_before_it() -> None:
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2024, 3, 1, 5, tzinfo=UTC))
    request = every_morning(context)
    assert isinstance(request, dg.RunRequest)
    assert days_of(dg.DagsterRun("build_days", tags=request.tags)) == (date(2024, 2, 28), date(2024, 2, 29))


def test_upkeep_comes_after_the_days_have_closed_and_before_they_are_built() -> None:
    assert (every_night.cron_schedule, every_morning.cron_schedule) == ("30 3 * * *", "0 5 * * *")


def test_a_run_of_one_partition_is_a_run_of_one_day() -> None:
    assert days_of(dg.DagsterRun("x", tags={"dagster/partition": "2024-03-30"})) == (date(2024, 3, 30),) * 2
    assert days_of(dg.DagsterRun("x")) is None


def test_tags_and_days_of_a_run_are_each_others_inverse() -> None:
    days = date(2024, 2, 28), date(2024, 3, 2)
    assert days_of(dg.DagsterRun("x", tags=tags_of(*days))) == days


def test_a_day_is_any_from_the_first_of_the_settings_to_today() -> None:
    assert DAYS.get_first_partition_key() == "2014-01-01"
    today = datetime.now(UTC).date()
    assert day_of(today.isoformat()) == today
    for wrong in ("2013-12-31", "2999-01-01", "yesterday"):
        with pytest.raises(WrongDay, match=f"{wrong}.* 2014-01-01 to "):
            day_of(wrong)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """One in which some days are built, from the events of these days."""
    with dg.DagsterInstance.ephemeral() as made:
        for table in (EVENTS_POLLS, *FACTS):
            for day in BUILT:
                closed(made, table, day)
        yield made


def closed(instance: dg.DagsterInstance, table: Table, day: str) -> None:
    """What the stream reports when a day has closed, or has got later rows."""
    instance.report_runless_asset_event(dg.AssetMaterialization(key(table), partition=day))


def requested(instance: dg.DagsterInstance, days: list[str]) -> dict[str, Set[str | None]]:
    """What automation asks for after these days' polls were reported, by asset."""
    selection = dg.AssetSelection.assets(*map(key, FACTS))
    first = dg.evaluate_automation_conditions(defs, instance, selection, evaluation_time=NOW)
    for day in days:
        closed(instance, EVENTS_POLLS, day)
    second = dg.evaluate_automation_conditions(defs, instance, selection, evaluation_time=NOW, cursor=first.cursor)
    return {table.name: second.get_requested_partitions(key(table)) for table in FACTS}


def test_nothing_is_built_again_while_nothing_came(instance: dg.DagsterInstance) -> None:
    assert requested(instance, []) == {table.name: set() for table in FACTS}


def test_later_rows_of_a_day_rebuild_it_and_the_days_that_hang_on_it(instance: dg.DagsterInstance) -> None:
    found = requested(instance, ["2024-03-29"])
    # The day's first poll ends the last interval of the day before, its last reading begins the day after.
    assert found[FACT_STATION_HOUR.name] == {"2024-03-28", "2024-03-29", "2024-03-30"}
    assert found[FACT_SYSTEM_DAY.name] == found[FACT_STATION_DAY.name] == set(BUILT)


class Watch:
    """Looks at the facts' conditions as the sensor does, each time by the clock and from the last look on."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._cursor: AssetDaemonCursor | None = None
        self.look()

    def look(self) -> dict[str, Set[str | None]]:
        """The days asked for, of the tables of which any are."""
        found = dg.evaluate_automation_conditions(
            defs, self._instance, dg.AssetSelection.assets(*map(key, FACTS)), cursor=self._cursor)
        self._cursor = found.cursor
        return {table.name: days for table in FACTS if (days := found.get_requested_partitions(key(table)))}


def morning(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """The morning's run, begun, as the daemon creates it from what the schedule wants."""
    request = every_morning(dg.build_schedule_context(scheduled_execution_time=datetime(2024, 3, 31, 5, tzinfo=UTC)))
    assert isinstance(request, dg.RunRequest)
    run = instance.create_run_for_job(build_days, tags=request.tags)
    instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", run.job_name, message=""), run.run_id)
    tell_what_is_built(Mock(job_def=build_days, run=run, instance=instance))
    return run


def builds(instance: dg.DagsterInstance, run: dg.DagsterRun, table: Table, day: str) -> None:
    made = StepMaterializationData(dg.AssetMaterialization(key(table), partition=day))
    event = dg.DagsterEvent("ASSET_MATERIALIZATION", run.job_name, event_specific_data=made, message="")
    instance.report_dagster_event(event, run.run_id)


def test_what_the_morning_builds_is_not_built_again(instance: dg.DagsterInstance) -> None:
    watch = Watch(instance)
    run = morning(instance)
    for table in FACTS:
        for day in BUILT[-2:]:
            builds(instance, run, table, day)
        assert watch.look() == {}, table
    instance.report_dagster_event(dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name, message=""), run.run_id)
    assert [watch.look() for _ in range(2)] == [{}, {}]


def test_rows_that_land_while_the_morning_builds_are_built_after_it(instance: dg.DagsterInstance) -> None:
    watch = Watch(instance)
    run = morning(instance)
    closed(instance, EVENTS_POLLS, "2024-03-30")
    assert "2024-03-30" not in watch.look().get(FACT_STATION_HOUR.name, ())
    builds(instance, run, FACT_STATION_HOUR, "2024-03-30")
    instance.report_dagster_event(dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name, message=""), run.run_id)
    assert "2024-03-30" in watch.look()[FACT_STATION_HOUR.name]


def test_rows_that_land_just_after_their_day_was_asked_for_are_built_too(instance: dg.DagsterInstance) -> None:
    """The run that was asked for may have read before they came."""
    watch = Watch(instance)
    asked = []
    for has_landed in (True, True, False):
        if has_landed:
            closed(instance, EVENTS_POLLS, "2024-03-29")
        asked.append("2024-03-29" in watch.look().get(FACT_STATION_HOUR.name, ()))
    assert asked == [True, True, False]


def test_later_rows_that_are_told_while_a_run_builds_the_day_are_built_after_it(instance: dg.DagsterInstance) -> None:
    hours, day, looks = key(FACT_STATION_HOUR), "2024-03-29", [None]

    def asked_for() -> Set[str | None]:
        found = dg.evaluate_automation_conditions(
            defs, instance, dg.AssetSelection.assets(hours), evaluation_time=NOW, cursor=looks[-1])
        looks.append(found.cursor)  # type: ignore[arg-type]
        return found.get_requested_partitions(hours)

    asked_for()
    run = instance.create_run_for_job(build_days, tags={"dagster/partition": day}, asset_selection=frozenset([hours]))
    instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", run.job_name, message=""), run.run_id)
    asked_for()
    closed(instance, EVENTS_POLLS, day)
    assert day not in asked_for()
    closed(instance, FACT_STATION_HOUR, day)
    instance.report_dagster_event(dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name, message=""), run.run_id)
    assert day in asked_for()
    assert asked_for() == set()


def test_a_dimension_that_is_built_anew_rebuilds_no_day(instance: dg.DagsterInstance) -> None:
    selection = dg.AssetSelection.assets(*map(key, FACTS))
    first = dg.evaluate_automation_conditions(defs, instance, selection, evaluation_time=NOW)
    instance.report_runless_asset_event(dg.AssetMaterialization(key(DIM_STATION)))
    second = dg.evaluate_automation_conditions(defs, instance, selection, evaluation_time=NOW, cursor=first.cursor)
    assert {table.name: second.get_requested_partitions(key(table)) for table in FACTS} == {
        table.name: set() for table in FACTS}


def test_a_day_that_was_never_built_is_left_to_the_schedule(instance: dg.DagsterInstance) -> None:
    assert requested(instance, ["2024-03-31"])[FACT_STATION_HOUR.name] == {"2024-03-30"}, "the built one before it"


def checked(home: Home, checks: list[dg.AssetChecksDefinition]) -> dg.ExecuteInProcessResult:
    """These checks over a day of the lake as it is."""
    job = dg.Definitions(asset_checks=checks, resources=home.resources).resolve_implicit_global_asset_job_def()
    tags = tags_of(date(2024, 3, 30), date(2024, 3, 30))
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


@pytest.mark.parametrize(
    ("system_id", "passed", "severity"),
    [("oslo", False, "ERROR"), ("lyon", False, "WARN"), ("nantes", True, "WARN")],
)
def test_to_be_seen_less_than_its_own_level_is_an_error_and_less_than_the_usual_one_a_warning(
    home: Home, system_id: str, passed: bool, severity: str
) -> None:
    home.sources.write_text(home.sources.read_text().replace('"oslo"', '"oslo"\nservice_level = 0.5', 1))
    shares = {"oslo": 0.51, "lyon": 0.96, "nantes": 0.96} | ({} if passed else {system_id: 0.49})
    day = date(2024, 3, 30)
    write(home.lake, SYSTEM_SERVICE_DAY, [service(day, each, good_share=of) for each, of in shares.items()])
    (found,) = checked(home, [meets_service_level]).get_asset_check_evaluations()
    assert (found.passed, found.severity.value) == (passed, severity)


def test_a_check_over_an_empty_day_holds(home: Home) -> None:
    result = checked(home, warehouse_checks)
    assert {each.passed for each in result.get_asset_check_evaluations()} == {True}


CHECKS_OF_HOURS = [each for each in warehouse_checks if each.node_def.name == "fact_station_hour_checks"]


def test_a_check_that_fails_is_told_with_the_others_and_stops_the_run(home: Home) -> None:
    hour = {"system_id": "oslo", "station_id": "1", "hour_start": datetime(2024, 3, 30, tzinfo=UTC),
            "utc_date": date(2024, 3, 30)}  # fmt: skip
    write(home.lake, FACT_STATION_HOUR, [hour, hour])
    result = checked(home, CHECKS_OF_HOURS)
    evaluated = result.get_asset_check_evaluations()
    failed = {each.check_name for each in evaluated if not each.passed}
    assert failed >= {"keys_are_unique", "no_negative", "hours_add_up", "every_fact_has_its_dimension"}
    assert {each.check_name for each in evaluated} > failed
    assert "keys_are_unique" in failure(result)


def test_a_check_over_a_broken_file_names_it(home: Home) -> None:
    write(home.lake, FACT_STATION_HOUR, [{"utc_date": date(2024, 3, 30)}])
    next(home.lake.rglob("*.parquet")).write_bytes(b"no parquet")
    assert "warehouse.fact_station_hour cannot be read: " in failure(checked(home, CHECKS_OF_HOURS))


def test_what_looks_at_live_minutes_is_not_yet_told_while_these_are_behind(home: Home) -> None:
    polled_at = datetime(2024, 3, 30, 12, tzinfo=UTC)
    write_messages(home.lake, EVENTS_POLLS, poll(fetched_at=polled_at))
    told = {each.check_name: each for each in checked(home, CHECKS_OF_HOURS).get_asset_check_evaluations()}
    late = [told["stream_equals_batch"], told["minutes_equal_events"]]
    assert {(each.passed, each.severity) for each in late} == {(False, dg.AssetCheckSeverity.WARN)}
    assert late[0].metadata["not_yet"].value == "2024-03-30"
    assert told["polls_match_station_hours"].severity is dg.AssetCheckSeverity.ERROR
