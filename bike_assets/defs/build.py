"""A range of days built through Dagster from the command line: the same job, checks and record as from the UI."""

import os
import socket
import uuid
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from bike_assets.defs.launcher import HOST_TAG
from bike_assets.defs.partitions import DAYS, tags_of
from bike_assets.model.errors import NotBuilt, WrongDay

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Step(NamedTuple):
    """Something that a run did: a table that it built (`rows` it has then), or a check (`passed`)."""

    what: str
    rows: int | None = None
    passed: bool | None = None


def day_of(text: str) -> date:
    """A day that has a partition. Raises WrongDay saying which have."""
    first, last = str(DAYS.get_first_partition_key()), str(DAYS.get_last_partition_key())
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise WrongDay(f"{text} is no day: give one like {last}; there are {first} to {last}.") from None
    if not first <= day.isoformat() <= last:
        raise WrongDay(f"There is no day {text}: they are {first} to {last}. BIKE_FIRST_DAY sets the first.")
    return day


def build_days(
    job: dg.JobDefinition, first: date, last: date, dagster_home: Path, on_step: Callable[[Step], None]
) -> None:
    """Run the job over these days, both included, in this process.

    `on_step` is told each table and check as it is done. Raises NotBuilt with what failed; a check that only
    warns fails nothing.
    """
    os.environ["DAGSTER_HOME"] = str(dagster_home)
    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.get() as instance:
        instance.add_event_listener(run_id, lambda entry: _tell(entry, on_step))
        result = job.execute_in_process(
            run_config=_QUIET, instance=instance, run_id=run_id, raise_on_error=False,
            tags={**tags_of(first, last), HOST_TAG: socket.gethostname()},
        )  # fmt: skip
        if not result.success:
            raise NotBuilt(_why(result))


def _tell(entry: dg.EventLogEntry, on_step: Callable[[Step], None]) -> None:
    event = entry.dagster_event
    if event is None:
        return
    if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
        # One event for each day of the range, all with the same count: the first tells.
        found = event.step_materialization_data.materialization
        on_step(Step(".".join(found.asset_key.path), rows=int(str(found.metadata["dagster/row_count"].value))))
    elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        check = event.asset_check_evaluation_data
        on_step(Step(f"{'.'.join(check.asset_key.path)}: {check.check_name}", passed=check.passed))


def _why(result: dg.ExecuteInProcessResult) -> str:
    """The first failure in a sentence."""
    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.STEP_FAILURE:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            return f"{event.step_key}: {error.message.strip().splitlines()[0] if error else 'it failed'}"
    return "The run failed; the Dagster UI shows why."
