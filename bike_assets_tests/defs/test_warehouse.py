"""Days as partitions: what the morning builds, and what later rows make stale."""

from collections.abc import Iterator, Set
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from bike_assets.definitions import defs
from bike_assets.defs.partitions import DAYS, day_of, days_of, tags_of
from bike_assets.defs.schedules import every_morning, every_night
from bike_assets.defs.warehouse.checks import warehouse_checks
from bike_assets.model.errors import WrongDay
from bike_assets.model.schema import Table
from bike_assets.model.tables import EVENTS_POLLS
from bike_assets.model.warehouse import (
    DIM_STATION,
    FACT_STATION_DAY,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    STATION_QUALITY,
)
from bike_assets_tests.defs.conftest import Home, failure
from bike_assets_tests.lake.rows import write, write_messages
from bike_assets_tests.model.builders import poll

NOW = datetime(2024, 3, 31, 6, tzinfo=UTC)
BUILT = ("2024-03-28", "2024-03-29", "2024-03-30")
FACTS = (FACT_STATION_HOUR, FACT_STATION_DAY, FACT_SYSTEM_DAY, STATION_QUALITY)


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


def test_later_rows_that_are_told_while_a_run_builds_the_day_are_built_after_it(instance: dg.DagsterInstance) -> None:
    hours, day, looks = key(FACT_STATION_HOUR), "2024-03-29", [None]

    def asked_for() -> Set[str | None]:
        found = dg.evaluate_automation_conditions(
            defs, instance, dg.AssetSelection.assets(hours), evaluation_time=NOW, cursor=looks[-1])
        looks.append(found.cursor)  # type: ignore[arg-type]
        return found.get_requested_partitions(hours)

    asked_for()
    run = instance.create_run_for_job(defs.resolve_job_def("build_days"), tags={"dagster/partition": day},
                                      asset_selection=frozenset([hours]))  # fmt: skip
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
