"""How runs ended, read from Dagster's event log in the order in which it was written there."""

from collections.abc import Mapping, Set
from datetime import UTC, date, datetime
from typing import Any, Literal, NamedTuple

import dagster as dg

from bike_assets.alerts.incidents import Severity
from bike_assets.alerts.runs import Checked, Days, Ended, Moments, one_line
from bike_assets.defs.causes import first_cause
from bike_assets.defs.partitions import days_told
from bike_assets.defs.schedules import every_hour
from bike_assets.sources.redaction import Secrets

PAGE = 100
WILL_RETRY, RETRIED_AS = "dagster/will_retry", "dagster/auto_retry_run_id"
SCHEDULE = "dagster/schedule_name"
_ENDS: tuple[Literal[dg.DagsterEventType.RUN_FAILURE], Literal[dg.DagsterEventType.RUN_SUCCESS]] = (
    dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS,
)  # fmt: skip


class Defined(NamedTuple):
    """What the definitions have, as alerts name it: assets and checks, and those of the checks that block."""

    names: frozenset[str]
    blocking: frozenset[str]


def defined_in(repository: dg.RepositoryDefinition) -> Defined:
    """What a repository has."""
    graph = repository.asset_graph
    checks = {_check_name(key): graph.get(key).blocking for key in graph.asset_check_keys}
    assets = {".".join(key.path) for key in graph.get_all_asset_keys()}
    return Defined(frozenset(assets | checks.keys()), frozenset(name for name, blocks in checks.items() if blocks))


def ended_after(
    instance: dg.DagsterInstance, cursor: int | None, since: datetime, secrets: Secrets, defined: Defined
) -> list[tuple[int, Ended | None]]:
    """The next runs that ended after the event `cursor`, oldest first, each with its own event's number.

    Without a cursor those that ended after `since`. None where the run was deleted. As many as fit into a page:
    whoever wants more asks again.
    """
    start: dict[str, Any] = {"after_timestamp": since.timestamp()} if cursor is None else {"after_storage_id": cursor}
    found = {
        record.storage_id: record.event_log_entry
        for each in _ENDS
        for record in instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(event_type=each, **start), limit=PAGE, ascending=True
        ).records
    }
    return [(number, _ended(instance, found[number], secrets, defined)) for number in sorted(found)[:PAGE]]


def not_retried(instance: dg.DagsterInstance, run_id: str, secrets: Secrets, defined: Defined) -> Ended | None:
    """A failed run as it is now; None where it was started again, or was deleted."""
    run = instance.get_run_by_id(run_id)
    if run is None or RETRIED_AS in run.tags:
        return None
    return _ended(instance, instance.all_logs(run_id, dg.DagsterEventType.RUN_FAILURE)[-1], secrets, defined)


def _ended(
    instance: dg.DagsterInstance, entry: dg.EventLogEntry, secrets: Secrets, defined: Defined
) -> Ended | None:
    run = instance.get_run_by_id(entry.run_id)
    if run is None:
        return None
    days = None if run.tags.get(SCHEDULE) == every_hour.name else days_told(run)
    succeeded = entry.dagster_event_type is dg.DagsterEventType.RUN_SUCCESS
    built = _built(instance, run.run_id)
    checks = [_checked(each) for each in instance.all_logs(run.run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)]
    return Ended(
        run_id=run.run_id,
        what=_what(run),
        days=None if days is None else Days(*days),
        ended_at=datetime.fromtimestamp(entry.timestamp, UTC),
        succeeded=succeeded,
        # Dagster marks those of `bike build` too, which it cannot start again.
        will_retry=run.tags.get(WILL_RETRY) == "true" and run.remote_job_origin is not None,
        cause="" if succeeded else _cause(instance, entry, secrets),
        checks=checks,
        # What runs in this process names all of its steps.
        is_whole=not run.asset_selection and (run.step_keys_to_execute is None or run.parent_run_id is None),
        built=built,
        unbuilt={} if succeeded else _unbuilt(instance, run.run_id, built),
        unchecked=[] if succeeded else sorted(
            (_planned(instance, run.run_id) & defined.blocking) - {check.what for check in checks}
        ),
    )  # fmt: skip


def _planned(instance: dg.DagsterInstance, run_id: str) -> set[str]:
    """The checks that a run was to make."""
    events = instance.all_logs(run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED)
    return {_check_name(each.dagster_event.asset_check_planned_data.asset_check_key)
            for each in events if each.dagster_event is not None}  # fmt: skip


def _check_name(key: dg.AssetCheckKey) -> str:
    """A check as `Checked.what` has it."""
    return f"{'.'.join(key.asset_key.path)}:{key.name}"


def _built(instance: dg.DagsterInstance, run_id: str) -> dict[str, Moments]:
    """What a run built, and when: each day last."""
    found: dict[str, dict[date | None, datetime]] = {}
    events = instance.get_asset_event_summary_records(
        dg.DagsterEventType.ASSET_MATERIALIZATION, run_id=run_id, ascending=True
    )
    for each in events:
        moments = found.setdefault(".".join(each.asset_key.path), {})
        moments[_day(each.partition)] = datetime.fromtimestamp(each.timestamp, UTC)
    return dict(found)


def _unbuilt(instance: dg.DagsterInstance, run_id: str, built: Mapping[str, Moments]) -> dict[str, set[date]]:
    """The assets that a run was to build and did not, with the days that are left of them."""
    planned = instance.get_asset_partitions_for_run(run_id, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    left = {}
    for key, partitions in planned.items():
        name = ".".join(key.path)
        done = built.get(name, {})
        days = {_day(each) for each in partitions} - done.keys()
        if days and None not in done:
            left[name] = _days(days)
    return left


def _day(partition: str | None) -> date | None:
    """None where something was told of without a day, which is of all."""
    try:
        return date.fromisoformat(partition or "")
    except ValueError:
        return None


def _days(days: Set[date | None]) -> set[date]:
    """The days; none where one is of all."""
    return set() if None in days else {day for day in days if day is not None}


def _what(run: dg.DagsterRun) -> str:
    """The job by its name; what was materialised, where that was chosen by hand or by automation."""
    if not run.job_name.startswith("__"):
        return run.job_name
    return ", ".join(sorted(".".join(key.path) for key in run.asset_selection or ())) or run.job_name


def _cause(instance: dg.DagsterInstance, entry: dg.EventLogEntry, secrets: Secrets) -> str:
    """The deepest cause of the first step that failed; what the run's end says, where none did."""
    steps = instance.all_logs(entry.run_id, dg.DagsterEventType.STEP_FAILURE)
    event = steps[0].dagster_event if steps else None
    error = None if event is None else first_cause(event)
    if error is not None:
        return one_line(error.message, secrets)
    said = entry.dagster_event.message if entry.dagster_event is not None else None
    return one_line(said or entry.user_message, secrets)


def _checked(entry: dg.EventLogEntry) -> Checked:
    event = entry.dagster_event
    assert event is not None  # noqa: S101  asked for by its type
    check = event.asset_check_evaluation_data
    severity = Severity.WARNING if check.severity is dg.AssetCheckSeverity.WARN else Severity.ERROR
    return Checked(".".join(check.asset_key.path), check.check_name, check.passed, severity, bool(check.blocking),
                   datetime.fromtimestamp(entry.timestamp, UTC))  # fmt: skip
