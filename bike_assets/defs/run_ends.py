"""How runs ended, read from Dagster's event log in the order in which it was written there."""

from datetime import UTC, datetime
from typing import Any, Literal

import dagster as dg

from bike_assets.alerts.incidents import Severity
from bike_assets.alerts.runs import Checked, Days, Ended, one_line
from bike_assets.defs.causes import first_cause
from bike_assets.defs.partitions import days_told
from bike_assets.sources.redaction import Secrets

PAGE = 100
WILL_RETRY, RETRIED_AS = "dagster/will_retry", "dagster/auto_retry_run_id"
_ENDS: tuple[Literal[dg.DagsterEventType.RUN_FAILURE], Literal[dg.DagsterEventType.RUN_SUCCESS]] = (
    dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS,
)  # fmt: skip


def ended_after(
    instance: dg.DagsterInstance, cursor: int | None, since: datetime, secrets: Secrets
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
    return [(number, _ended(instance, found[number], secrets)) for number in sorted(found)[:PAGE]]


def not_retried(instance: dg.DagsterInstance, run_id: str, secrets: Secrets) -> Ended | None:
    """A failed run as it is now; None where it was started again, or was deleted."""
    run = instance.get_run_by_id(run_id)
    if run is None or RETRIED_AS in run.tags:
        return None
    return _ended(instance, instance.all_logs(run_id, dg.DagsterEventType.RUN_FAILURE)[-1], secrets)


def _ended(instance: dg.DagsterInstance, entry: dg.EventLogEntry, secrets: Secrets) -> Ended | None:
    run = instance.get_run_by_id(entry.run_id)
    if run is None:
        return None
    days = days_told(run)
    succeeded = entry.dagster_event_type is dg.DagsterEventType.RUN_SUCCESS
    return Ended(
        run_id=run.run_id,
        what=_what(run),
        days=None if days is None else Days(*days),
        ended_at=datetime.fromtimestamp(entry.timestamp, UTC),
        succeeded=succeeded,
        # Dagster marks those of `bike build` too, which it cannot start again.
        will_retry=run.tags.get(WILL_RETRY) == "true" and run.remote_job_origin is not None,
        cause="" if succeeded else _cause(instance, entry, secrets),
        checks=[_checked(each) for each in instance.all_logs(run.run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)],
    )


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
    return Checked(".".join(check.asset_key.path), check.check_name, check.passed, severity, bool(check.blocking))
