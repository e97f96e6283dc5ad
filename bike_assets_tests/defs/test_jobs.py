"""Every job and schedule by a real instance: what it does, and the sentence with which it refuses nonsense."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import dagster as dg
import pytest

from bike_assets.definitions import defs
from bike_assets.defs.news import TAG
from bike_assets.defs.partitions import days_of, tags_of
from bike_assets.defs.resources import Lake
from bike_assets.defs.schedules import every_hour
from bike_assets.defs.warehouse.assets import warehouse_tables
from bike_assets.exports.files import EXPORTED
from bike_assets.model.errors import SparkLost
from bike_assets.model.schema import Table
from bike_assets.model.tables import (
    EVENTS_POLLS,
    EVENTS_STATION_STATUS,
    EVENTS_TABLES,
    EVENTS_VEHICLE_TOTALS,
    LIVE_TABLES,
)
from bike_assets.model.warehouse import (
    DIM_CUSTOMER,
    DIM_DATE,
    DIM_STATION,
    DIM_SYSTEM,
    FACT_STATION_HOUR,
    FACT_SYSTEM_DAY,
    WAREHOUSE_TABLES,
)
from bike_assets.warehouse.build import Builder
from bike_assets_tests.defs.conftest import Home, failure
from bike_assets_tests.defs.test_members import POLLED
from bike_assets_tests.exports.test_files import DAY, a_city
from bike_assets_tests.lake.rows import write, write_messages
from bike_assets_tests.model.builders import NOON, poll, station_status, vehicle_totals

DRAINED = {"by": "the resident stream", "seconds": 1.5, "messages": 7}
FAR = "2999-01-01"


class BuiltLake(Lake):
    """A lake whose tables are built without Spark: nothing is computed, four rows are told, and which it was noted."""

    def build(self, session: Any, table: Table, days: tuple[date, date] | None) -> int:
        """As if it had been built."""
        with self.directory.with_name("built.txt").open("a") as note:
            note.write(f"{table.name}\n")
        return 4


def asked_for(home: Home) -> list[str]:
    """The tables that were to be built, in their order."""
    note = home.path / "built.txt"
    return note.read_text().split() if note.exists() else []


class NoSpark(dg.ConfigurableResource[None]):
    """A session that can be stopped, and nothing else."""

    def session(self) -> Mock:
        """None is started."""
        return Mock(spec=["stop"])


def launched(home: Home, job: str, config: Mapping[str, Any] | None = None, **given: Any) -> dg.ExecuteInProcessResult:
    """A run of the job as it is loaded, with the home's resources, in an instance of its own."""
    with dg.DagsterInstance.ephemeral() as instance:
        return defs.resolve_job_def(job).execute_in_process(
            run_config=config or {}, instance=instance, raise_on_error=False,
            resources=dict(defs.resources or {}) | home.resources | given.pop("resources", {}), **given,
        )  # fmt: skip


def rebuilt(home: Home, **config: str) -> dg.ExecuteInProcessResult:
    resources = {"lake": BuiltLake(path=str(home.lake)), "spark": NoSpark()}
    return launched(home, "rebuild", {"ops": {"rebuild_table": {"config": config}}}, resources=resources)


def built(result: dg.ExecuteInProcessResult) -> list[tuple[str, str | None]]:
    """The tables and days that a run reported."""
    events = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    return [(".".join(each.asset_key.path), each.partition) for each in events]


@pytest.mark.parametrize("tables", [(FACT_STATION_HOUR, FACT_SYSTEM_DAY), (DIM_SYSTEM,)])
def test_a_run_says_in_its_tags_which_tables_it_builds(home: Home, tables: tuple[Table, ...]) -> None:
    """By them automation knows that what the run tells is no news to the rest of it."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            warehouse_tables, instance=instance, raise_on_error=False, tags=tags_of(yesterday, yesterday),
            selection=[dg.AssetKey(list(table.path)) for table in tables],
            resources=home.resources | {"lake": BuiltLake(path=str(home.lake)), "spark": NoSpark()},
        )  # fmt: skip
        run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert {tag.removeprefix(TAG) for tag in run.tags if tag.startswith(TAG)} == {table.name for table in tables}


def test_poll_asks_the_system_of_its_config(home: Home) -> None:
    home.answers([])
    assert launched(home, "poll", {"ops": {"raw__answers": {"config": {"system_ids": ["oslo"]}}}}).success
    assert home.called == ["poll", "oslo", "--json"]


def test_poll_without_a_config_asks_all(home: Home) -> None:
    home.answers([])
    assert launched(home, "poll").success
    assert home.called == ["poll", "oslo", "jcdecaux:lyon", "jcdecaux:nantes", "--json"]


def test_poll_refuses_a_system_that_does_not_exist(home: Home) -> None:
    said = failure(launched(home, "poll", {"ops": {"raw__answers": {"config": {"system_ids": ["atlantis"]}}}}))
    assert "atlantis is not in the sources file" in said


@pytest.mark.parametrize(
    ("job", "step", "config"),
    [("poll", "raw__answers", {"system_ids": 5}), ("rebuild", "rebuild_table", {"what": ["all"]}),
     ("export", "files", {"system_ids": "oslo"})],
)  # fmt: skip
def test_a_config_of_the_wrong_type_is_refused_before_anything_runs(
    home: Home, job: str, step: str, config: dict[str, Any]
) -> None:
    given = {"partition_key": DAY.isoformat()} if job == "export" else {}
    with pytest.raises(dg.DagsterInvalidConfigError) as refused:
        launched(home, job, {"ops": {step: {"config": config}}}, **given)
    (error,) = refused.value.errors
    assert next(iter(config)) in error.message or next(iter(config)) in str(error.stack.entries)
    assert "\n" not in error.message
    assert home.called is None


def test_poll_members_asks_their_api(home: Home) -> None:
    home.answers(POLLED)
    result = launched(home, "poll_members")
    assert result.success, failure(result)
    assert home.called == ["members", "poll", "--json"]
    assert [name for name, _ in built(result)] == ["topics.users_created", "raw.members"]


def test_maintain_joins_and_retains_before_it_cleans_and_prunes_the_record(home: Home) -> None:
    write_messages(home.lake, EVENTS_POLLS, poll(), poll(fetched_at=NOON + timedelta(minutes=1)))
    result = launched(home, "maintain")
    assert result.success, failure(result)
    order = [name for name, _ in built(result)]
    assert set(order) == {f"maintenance.{each}" for each in ("compaction", "retention", "vacuum", "event_log")}
    before = {"maintenance.compaction", "maintenance.retention"}
    assert order.index("maintenance.vacuum") > max(map(order.index, before))


def test_drain_drains_and_says_who_did_it(home: Home) -> None:
    home.answers(DRAINED)
    result = launched(home, "drain")
    assert result.success
    assert home.called == ["drain", "--json"]
    (output,) = result.filter_events(lambda event: event.is_successful_output)
    assert output.step_output_data.metadata["by"].value == "the resident stream"


def test_drain_that_fails_says_why(home: Home) -> None:
    home.fails("error: Kafka did not answer in 15 s: is it up?\n")
    assert failure(launched(home, "drain")).endswith("Kafka did not answer in 15 s: is it up?\n")


def test_close_day_drains_first_then_builds_the_day(home: Home) -> None:
    home.answers(DRAINED)
    resources = {"lake": BuiltLake(path=str(home.lake)), "spark": NoSpark()}
    result = launched(home, "close_day", resources=resources, partition_key="2024-03-30")
    assert result.success, failure(result)
    days = {table.name: "2024-03-30" if table.partitioned_by else None for table in (*WAREHOUSE_TABLES, DIM_CUSTOMER)}
    events = {table.name: "2024-03-30" for table in EVENTS_TABLES}
    found = built(result)
    assert dict(found) == events | days
    order = [name for name, _ in found]
    assert order.index(FACT_STATION_HOUR.name) > max(map(order.index, events)), "the events come first"
    assert home.called == ["drain", "--json"]


@pytest.mark.parametrize("job", ["close_day", "build_days", "export"])
def test_a_day_without_a_partition_is_refused_before_anything_is_done(home: Home, job: str) -> None:
    result = launched(home, job, tags=tags_of(date.fromisoformat(FAR), date.fromisoformat(FAR)))
    assert not result.success
    said = [event.step_failure_data.error for event in result.get_step_failure_events()]
    assert any(each and f"There is no day {FAR}: they are 2014-01-01 to " in each.message for each in said)
    assert home.called is None


@pytest.mark.parametrize("job", ["close_day", "build_days"])
def test_a_run_without_a_day_is_refused_before_anything_is_done(home: Home, job: str) -> None:
    result = launched(home, job, resources={"lake": BuiltLake(path=str(home.lake)), "spark": NoSpark()})
    assert not result.success
    said = [event.step_failure_data.error for event in result.get_step_failure_events()]
    told = "Say of which day, or which days in a row: they are 2014-01-01 to "
    assert [bool(each and told in each.message) for each in said] == [True] * len(said)
    assert (home.called, asked_for(home), built(result)) == (None, [], [])


def test_a_dimension_alone_needs_no_day(home: Home) -> None:
    resources = home.resources | {"lake": BuiltLake(path=str(home.lake)), "spark": NoSpark()}
    selection = [dg.AssetKey(list(DIM_SYSTEM.path))]
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize(warehouse_tables, instance=instance, resources=resources, selection=selection).success


def test_rebuild_makes_the_days_of_a_table_and_reports_each(home: Home) -> None:
    result = rebuilt(home, what=FACT_STATION_HOUR.name, first_day="2024-03-30", last_day="2024-03-31")
    assert result.success, failure(result)
    assert built(result) == [(FACT_STATION_HOUR.name, day) for day in ("2024-03-30", "2024-03-31")]


def test_rebuild_tells_of_each_day_what_is_its_own(home: Home) -> None:
    """As a range of days does that is built otherwise."""
    first, last = date(2024, 3, 30), date(2024, 3, 31)
    write(home.lake, FACT_STATION_HOUR, [
        {"system_id": "oslo", "station_id": str(n), "utc_date": day, "hour_start": NOON}
        for day, rows in ((first, 3), (last, 1)) for n in range(rows)
    ])  # fmt: skip
    result = rebuilt(home, what=FACT_STATION_HOUR.name, first_day=f"{first}", last_day=f"{last}")
    assert result.success, failure(result)
    events = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    told = [(each.partition, {name: value.value for name, value in each.metadata.items()}) for each in events]
    assert [(day, of["dagster/partition_row_count"]) for day, of in told] == [(f"{first}", 3), (f"{last}", 1)]
    assert told[0][1]["bytes"]
    assert ["preview" in of for _, of in told] == [False, True]


DIMENSIONS = [DIM_SYSTEM.name, DIM_STATION.name, DIM_DATE.name]


def test_rebuild_brings_the_dimensions_up_before_days(home: Home) -> None:
    assert rebuilt(home, what=FACT_SYSTEM_DAY.name, first_day="2024-03-30").success
    assert asked_for(home) == [*DIMENSIONS, FACT_SYSTEM_DAY.name]
    assert rebuilt(home, what=DIM_STATION.name).success
    assert asked_for(home)[4:] == [DIM_STATION.name]


@pytest.mark.parametrize(("tables", "before"), [
    ([FACT_STATION_HOUR], DIMENSIONS), ([DIM_STATION, FACT_STATION_HOUR], [DIM_SYSTEM.name, DIM_DATE.name]),
], ids=["alone", "with a dimension"])  # fmt: skip
def test_hours_that_are_built_by_hand_bring_up_the_dimensions_that_are_not_built_with_them(
    home: Home, tables: list[Table], before: list[str]
) -> None:
    resources = home.resources | {"lake": BuiltLake(path=str(home.lake)), "spark": NoSpark()}
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize(
            warehouse_tables, instance=instance, resources=resources, tags=tags_of(DAY, DAY),
            selection=[dg.AssetKey(list(table.path)) for table in tables],
        ).success  # fmt: skip
    assert asked_for(home) == [*(table.name for table in tables[:-1]), *before, FACT_STATION_HOUR.name]


def test_a_whole_day_builds_each_table_once(home: Home) -> None:
    resources = {"lake": BuiltLake(path=str(home.lake)), "spark": NoSpark()}
    assert launched(home, "build_days", resources=resources, partition_key=DAY.isoformat()).success
    assert sorted(asked_for(home)) == sorted(table.name for table in WAREHOUSE_TABLES)


def test_rebuild_brings_the_customers_to_what_their_list_says(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    customers = home.path / "customers.csv"
    customers.write_text("id,state\nc1,Bavaria\nc2,Hesse\n")
    monkeypatch.setenv("BIKE_CUSTOMERS", str(customers))
    result = rebuilt(home, what=DIM_CUSTOMER.name)
    assert result.success, failure(result)
    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey(list(DIM_CUSTOMER.path))
    assert event.materialization.metadata["dagster/row_count"].value == 2


def test_a_step_whose_spark_driver_went_away_is_done_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Mock(side_effect=[SparkLost("It went away."), SparkLost("And again."), 4])
    monkeypatch.setattr(Builder, "build", lambda builder, *what: build(builder.spark, *what))
    monkeypatch.setattr("bike_assets.defs.resources.SPARK_STARTS_S", 0)
    result = launched(home, "rebuild", {"ops": {"rebuild_table": {"config": {"what": DIM_SYSTEM.name}}}},
                      resources={"spark": NoSpark()})  # fmt: skip
    assert result.success
    first, second, third = (call.args[0] for call in build.call_args_list)
    assert [first.stop.call_count, second.stop.call_count, third.stop.call_count] == [1, 1, 0]


def test_rebuild_makes_yesterday_where_no_day_is_given_and_a_dimension_whole(home: Home) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    assert built(rebuilt(home, what=FACT_STATION_HOUR.name)) == [(FACT_STATION_HOUR.name, yesterday)]
    assert built(rebuilt(home, what=DIM_SYSTEM.name)) == [(DIM_SYSTEM.name, None)]


@pytest.mark.parametrize(("what", "command"), [("live.system_minute", "live"), ("raw", "raw")])
def test_rebuild_leaves_what_services_write_to_the_command(home: Home, what: str, command: str) -> None:
    home.answers(DRAINED)
    assert rebuilt(home, what=what).success
    assert home.called == ["rebuild", command, "--json"]


def test_rebuild_says_who_is_in_the_way(home: Home) -> None:
    home.fails("error: A stream or a drain is at work in this home: wait, or end it (pid 12)\n")
    assert "A stream or a drain is at work in this home" in failure(rebuilt(home))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"what": "events.polls"}, "events.polls cannot be rebuilt: choose one of live.system_minute, raw, warehouse."),
        ({"what": "warehouse.dim_customer"}, "No setting names a list of customers: BIKE_CUSTOMERS or BIKE_CUST"),
        ({"what": "warehouse.dim_customer", "first_day": "2024-03-30"}, "warehouse.dim_customer is rebuilt as a whole"),
        ({"what": "raw", "first_day": "2024-03-30"}, "raw is rebuilt as a whole: give no days."),
        ({"what": "warehouse.dim_date", "last_day": "2024-03-30"}, "warehouse.dim_date is rebuilt as a whole"),
        ({"what": "warehouse.fact_station_hour", "first_day": "soon"}, "soon is no day: give one like "),
        ({"what": "warehouse.fact_station_hour", "first_day": FAR}, f"There is no day {FAR}: they are 2014-01-01 to "),
        ({"what": "warehouse.fact_station_hour", "first_day": "2024-03-30", "last_day": "2024-03-29"},
         "2024-03-29 lies before 2024-03-30: give the first day first."),
    ],
)  # fmt: skip
def test_rebuild_refuses_nonsense(home: Home, config: dict[str, str], sentence: str) -> None:
    assert sentence in failure(rebuilt(home, **config))
    assert home.called is None


def export(home: Home, *system_ids: str, day: str = DAY.isoformat()) -> dg.ExecuteInProcessResult:
    return launched(home, "export", {"ops": {"files": {"config": {"system_ids": list(system_ids)}}}}, partition_key=day)


def test_export_writes_a_directory_for_each_system_and_twice_gives_the_same(home: Home) -> None:
    a_city(home.lake, "oslo")
    a_city(home.lake, "jcdecaux:lyon")
    for _ in range(2):
        result = export(home)
        assert result.success, failure(result)
        (event,) = result.get_asset_materialization_events()
        told = event.materialization.metadata
        assert (told["systems"].value, told["files"].value) == (2, 16)
        days = sorted(each.relative_to(home.path / "exports") for each in (home.path / "exports").glob("*/*"))
        assert [str(each) for each in days] == ["jcdecaux_lyon/2026-11-20", "oslo/2026-11-20"]
        files = {each.name for each in (home.path / "exports" / "oslo" / "2026-11-20").iterdir()}
        assert {"fact_station_hour.parquet", "dictionary.md"} <= files
        assert len(files) == 9


def test_what_is_exported_is_what_the_files_hang_on() -> None:
    node = defs.resolve_asset_graph().get(dg.AssetKey(["serving", "files"]))
    assert {key.to_user_string() for key in node.parent_keys} == {"/".join(table.path) for table in EXPORTED}


def test_export_passes_over_a_system_without_the_day_unless_it_was_named(home: Home) -> None:
    a_city(home.lake, "oslo")
    a_city(home.lake, "nantes", days=(DAY - timedelta(days=5),))
    result = export(home)
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["days_without_anything"].value == 1
    assert "nantes has nothing on 2026-11-20" in failure(export(home, "nantes"))


def test_export_refuses_a_system_that_does_not_exist(home: Home) -> None:
    a_city(home.lake, "oslo")
    assert "There is no system atlantis in the warehouse, which has oslo." in failure(export(home, "atlantis"))


def checked(home: Home, *days: date) -> dict[str, set[bool]]:
    """What the stream's checks say, by their names."""
    tags = tags_of(*days) if days else {}
    said: dict[str, set[bool]] = {}
    for each in launched(home, "check_stream", tags=tags).get_asset_check_evaluations():
        said.setdefault(each.check_name, set()).add(each.passed)
    return said


def test_the_hour_checks_yesterday_and_today() -> None:
    request = every_hour(dg.build_schedule_context(scheduled_execution_time=datetime(2024, 3, 1, 7, 15, tzinfo=UTC)))
    assert isinstance(request, dg.RunRequest)
    assert days_of(dg.DagsterRun("x", tags=request.tags)) == (date(2024, 2, 29), date(2024, 3, 1))


def test_every_check_of_the_stream_is_made_each_hour(home: Home) -> None:
    keys = defs.resolve_job_def("check_stream").asset_layer.asset_graph.asset_check_keys
    assert {".".join(key.asset_key.path) for key in keys} == {table.name for table in EVENTS_TABLES + LIVE_TABLES}
    assert {key.name for key in keys} == set(checked(home))


def test_the_hours_checks_look_at_their_days_only(home: Home) -> None:
    write_messages(home.lake, EVENTS_POLLS, poll(rows_accepted=2))
    write_messages(home.lake, EVENTS_STATION_STATUS, station_status(), station_status())
    write_messages(home.lake, EVENTS_VEHICLE_TOTALS, vehicle_totals())
    day = NOON.date()
    assert {name: False in said for name, said in checked(home, day, day).items()} == {
        "rows_are_accounted_for": True, "chain_is_unbroken": True, "keys_are_unique": True,
        "feeds_do_not_drift": False, "only_what_the_policy_leaves": False,
        "vehicles_are_accounted_for": True, "vehicle_minutes_equal_totals": True,
    }  # fmt: skip
    later = day + timedelta(days=2)
    assert set().union(*checked(home, later, later + timedelta(days=1)).values()) == {True}


@pytest.mark.parametrize("name", [each.name for each in defs.get_repository_def().schedule_defs])
def test_every_schedule_asks_for_a_run_that_its_job_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIKE_MEMBERS_URL", "http://127.0.0.1:1/")
    schedule = defs.resolve_schedule_def(name)
    with dg.DagsterInstance.ephemeral() as instance:
        at = datetime(2024, 3, 1, 5, tzinfo=UTC)
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=at, repository_def=defs.get_repository_def()
        )
        (request,) = schedule.evaluate_tick(context).run_requests or []
        assert defs.resolve_job_def(schedule.job_name).name == schedule.job_name
        is_of_days = schedule.job_name in {"check_stream", "build_days"}
        assert (days_of(dg.DagsterRun("x", tags=request.tags)) is not None) is is_of_days
