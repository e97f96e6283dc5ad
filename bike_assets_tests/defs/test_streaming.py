"""Tables made to hold all that their topics hold, and the checks of them."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from bike_assets.defs.found import check_result
from bike_assets.defs.partitions import tags_of
from bike_assets.defs.streaming import checks
from bike_assets.defs.streaming.assets import events_tables, live_tables
from bike_assets.model.tables import (
    EVENTS_FEED_FIELDS,
    EVENTS_POLLS,
    EVENTS_REJECTIONS,
    EVENTS_STATION_STATUS,
    EVENTS_TABLES,
    LIVE_TABLES,
)
from bike_assets.quality.found import Found
from bike_assets_tests.defs.conftest import Home, failure
from bike_assets_tests.lake.rows import write_messages
from bike_assets_tests.model.builders import NOON, feed_field, poll, rejection, station_status

DRAINED = {"by": "a query of its own", "seconds": 4.2, "messages": 2}
EMPTY = sum(table.may_be_empty for table in EVENTS_TABLES + LIVE_TABLES)
CHECKS = [checks.rows_are_accounted_for, checks.chain_is_unbroken, checks.feeds_do_not_drift, *checks.keys_are_unique]


def key(name: str) -> dg.AssetKey:
    return dg.AssetKey(name.split("."))


def test_all_tables_are_drained_by_one_command(home: Home) -> None:
    home.answers(DRAINED)
    for assets, tables in ((events_tables, EVENTS_TABLES), (live_tables, LIVE_TABLES)):
        partition = "2024-03-30" if assets is events_tables else None
        result = home.materialize(assets, partition_key=partition)
        assert {event.asset_key for event in result.get_asset_materialization_events()} == {key(t.name) for t in tables}
        assert home.called == ["drain", "--json"]


def test_a_table_says_how_many_rows_it_has_and_who_brought_them(home: Home) -> None:
    home.answers(DRAINED)
    write_messages(home.lake, EVENTS_POLLS, poll(), poll(fetched_at=NOON + timedelta(minutes=1)))
    result = home.materialize(events_tables, selection=[key("events.polls")], partition_key=f"{NOON:%Y-%m-%d}")
    (event,) = result.get_asset_materialization_events()
    told = {name: value.value for name, value in event.materialization.metadata.items()}
    (file,) = home.lake.rglob("*.parquet")
    assert told | {"preview": ..., "lag_s": ...} == {
        "dagster/row_count": 2,
        "dagster/partition_row_count": 2,
        "drained_by": "a query of its own",
        "drain_s": 4.2,
        "bytes": file.stat().st_size,
        "preview": ...,
        "lag_s": ...,
    }
    assert told["lag_s"] == pytest.approx((datetime.now(UTC) - NOON).total_seconds() - 60, abs=60)


def test_rejections_say_how_many_there_are_of_each_reason(home: Home) -> None:
    home.answers(DRAINED)
    at = [NOON, NOON + timedelta(hours=1), NOON + timedelta(days=1)]
    write_messages(home.lake, EVENTS_REJECTIONS, *(rejection(fetched_at=each, reason="no JSON") for each in at))
    result = home.materialize(events_tables, selection=[key("events.rejections")], partition_key=f"{NOON:%Y-%m-%d}")
    (event,) = result.get_asset_materialization_events()
    told = event.materialization.metadata["by_reason"]
    assert isinstance(told, dg.TableMetadataValue)
    assert [record.data for record in told.records] == [
        {"system_id": "oslo", "feed": "station_status", "reason": "no JSON", "rows": 2}]


def test_each_day_of_a_range_says_how_many_rows_it_has(home: Home) -> None:
    home.answers(DRAINED)
    days = [NOON, NOON + timedelta(days=1), NOON + timedelta(days=2)]
    write_messages(home.lake, EVENTS_POLLS, poll(), poll(fetched_at=NOON + timedelta(minutes=1)),
                   poll(fetched_at=days[2]))  # fmt: skip
    tags = tags_of(days[0].date(), days[2].date())
    result = home.materialize(events_tables, selection=[key("events.polls")], tags=tags)
    told = {event.partition: event.materialization.metadata["dagster/partition_row_count"].value
            for event in result.get_asset_materialization_events()}  # fmt: skip
    assert told == {f"{day:%Y-%m-%d}": rows for day, rows in zip(days, (2, 0, 1), strict=True)}


def test_a_table_shows_its_newest_rows(home: Home) -> None:
    home.answers(DRAINED)
    write_messages(home.lake, EVENTS_POLLS, *(poll(fetched_at=NOON + timedelta(minutes=n)) for n in range(7)))
    result = home.materialize(events_tables, selection=[key("events.polls")], partition_key=f"{NOON:%Y-%m-%d}")
    (event,) = result.get_asset_materialization_events()
    preview = event.materialization.metadata["preview"]
    assert isinstance(preview, dg.TableMetadataValue)
    minutes = [str(record.data["fetched_at"])[14:16] for record in preview.records]
    assert minutes == ["06", "05", "04", "03", "02"]
    assert [column.name for column in preview.schema.columns] == [column.name for column in EVENTS_POLLS.columns]


def test_a_drain_that_fails_fails_the_run_with_its_sentence(home: Home) -> None:
    home.fails("error: A stream or a drain is at work in this home: wait, or end it (pid 12)\n")
    assert failure(home.materialize(live_tables)).endswith("wait, or end it (pid 12)\n")


def test_a_broken_table_fails_the_run_and_is_named(home: Home) -> None:
    home.answers(DRAINED)
    write_messages(home.lake, EVENTS_POLLS, poll())
    next(home.lake.rglob("*.parquet")).unlink()
    result = home.materialize(events_tables, partition_key=f"{NOON:%Y-%m-%d}")
    assert "events.polls cannot be read" in failure(result)


def evaluations(home: Home) -> dict[str, list[bool]]:
    """What the checks say of the lake as it is, by their names."""
    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.Definitions(asset_checks=CHECKS, resources=home.resources).resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance)
    said: dict[str, list[bool]] = {}
    for each in result.get_asset_check_evaluations():
        said.setdefault(each.check_name, []).append(each.passed)
    return said


def test_no_check_passes_over_an_empty_lake(home: Home) -> None:
    said = evaluations(home)
    assert set(said) == {"rows_are_accounted_for", "chain_is_unbroken", "feeds_do_not_drift", "keys_are_unique"}
    assert len(said["keys_are_unique"]) == len(EVENTS_TABLES + LIVE_TABLES)
    # Nothing is refused, and no station looks wrong: that is how it should be.
    assert sum(said.pop("keys_are_unique")) == sum(table.may_be_empty for table in EVENTS_TABLES + LIVE_TABLES)
    assert not any(passed for each in said.values() for passed in each)


def test_checks_pass_over_tables_in_which_all_holds(home: Home) -> None:
    write_messages(home.lake, EVENTS_POLLS, poll())
    write_messages(home.lake, EVENTS_STATION_STATUS, station_status())
    said = evaluations(home)
    assert said["rows_are_accounted_for"] == [True]
    assert said["chain_is_unbroken"] == [True]
    assert sum(said["keys_are_unique"]) == 2 + EMPTY


def test_checks_fail_over_tables_in_which_something_is_wrong(home: Home) -> None:
    write_messages(home.lake, EVENTS_POLLS, poll(rows_accepted=2))
    write_messages(home.lake, EVENTS_STATION_STATUS, station_status(), station_status())
    said = evaluations(home)
    assert said["rows_are_accounted_for"] == [False]
    assert said["chain_is_unbroken"] == [False]
    assert sum(said["keys_are_unique"]) == 1 + EMPTY, "only that of events.polls"


def test_a_drift_is_a_warning_that_shows_its_first_and_last_occurrence(home: Home) -> None:
    write_messages(home.lake, EVENTS_FEED_FIELDS, *(
        feed_field(fetched_at=NOON + n * timedelta(hours=1), **({} if n < 5 else {"median": 150.0, "high": 200.0}))
        for n in range(8)))  # fmt: skip
    with dg.DagsterInstance.ephemeral() as instance:
        made = dg.Definitions(asset_checks=[checks.feeds_do_not_drift], resources=home.resources)
        job = made.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, tags=tags_of(NOON.date(), NOON.date()))
    (said,) = result.get_asset_check_evaluations()
    assert (result.success, said.passed, said.severity) == (True, False, dg.AssetCheckSeverity.WARN)
    assert said.asset_key == key("events.feed_fields")
    assert said.metadata["first_bad"].value == [{
        "system_id": "oslo", "feed": "station_information", "path": "data.stations[].capacity", "drift": "unit",
        "before": "median 15", "now": "median 150", "before_at": "2026-06-01 16:00:00+00:00",
        "first_at": "2026-06-01 17:00:00+00:00", "last_at": "2026-06-01 19:00:00+00:00", "bodies": 3, "polls": 0}]
    assert (said.metadata["checked"].value, said.metadata["bad"].value) == (8, 1)
    assert str(said.metadata["see_all"].value).startswith('`bike sql "WITH fields AS')


@pytest.mark.parametrize(
    ("found", "passed"),
    [(Found(3, 0, [], ""), True), (Found(3, 1, [{"a": 1}], ""), False), (Found(0, 0, [], ""), False)],
    ids=["all good", "one bad", "nothing checked"],
)
def test_a_check_passes_only_where_something_was_checked_and_nothing_was_bad(found: Found, passed: bool) -> None:
    assert check_result(found).passed is passed


def test_a_check_shows_the_first_bad_rows_and_how_to_see_them_all() -> None:
    metadata = check_result(Found(9, 2, [{"system_id": "oslo"}], "SELECT 1")).metadata
    assert metadata["bad"].value == 2
    assert metadata["first_bad"].value == [{"system_id": "oslo"}]
    assert metadata["see_all"].value == '`bike sql "SELECT 1"`'
