"""Jobs run from the command line, in this process: the same assets, checks and record as from the UI."""

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg

from bike_assets.defs.causes import first_cause
from bike_assets.defs.launcher import HOST_TAG, place
from bike_assets.defs.partitions import tags_of
from bike_assets.defs.pools import pools_of, wait_for
from bike_assets.model.errors import NotBuilt

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Built(NamedTuple):
    """A table that a run built, and the rows that it has then."""

    table: str
    rows: int

    @property
    def what(self) -> str:
        """Its name among the steps of a run."""
        return self.table


class Checked(NamedTuple):
    """What a check of a table said; `passed` is None where the run came to an end before it."""

    table: str
    check: str
    passed: bool | None = None
    is_error: bool = True
    checked: int = 0
    bad: int = 0
    first_bad: Sequence[Mapping[str, Any]] = ()
    see_all: str = ""
    """The command that shows all bad rows."""
    missing: str = ""
    """Why it had nothing to look at, and need not have, in a sentence."""

    @property
    def what(self) -> str:
        """Its name among the steps of a run."""
        return f"{self.table}: {self.check}"


class Broken(NamedTuple):
    """A step of a run that was not done, and why, in a sentence."""

    what: str
    reason: str


OnStep = Callable[[Built | Checked], None]
OnWait = Callable[[str], None]


def build_days(
    job: dg.JobDefinition, first: date, last: date, dagster_home: Path, on_step: OnStep, on_wait: OnWait
) -> None:
    """Run the job over these days, both included, in this process, once no other run writes what it does.

    `on_wait` is told for whom it waits, `on_step` each table and check as it is done. Raises NotBuilt with what
    failed; a check that only warns fails nothing.
    """
    result = _run(job, tags_of(first, last), dagster_home, on_step, on_wait)
    for failure in _failures(result):
        raise NotBuilt(f"{failure.step_key}: {_reason(failure)}")
    if not result.success:
        raise NotBuilt("The run failed; the Dagster UI shows why.")


def run_to_the_end(
    job: dg.JobDefinition, days: tuple[date, date] | None, dagster_home: Path, on_step: OnStep
) -> list[Built | Checked | Broken]:
    """Run a job in this process, over days or over all that there is.

    Raises NotBuilt where it was cancelled in Dagster, and for no failure.

    Every check of the job is among the steps, those too that were not come to; a check that fails is no broken step.
    """
    steps: dict[str, Built | Checked | Broken] = {}

    def keep(step: Built | Checked) -> None:
        steps[step.what] = step
        on_step(step)

    result = _run(job, tags_of(*days) if days else {}, dagster_home, keep, lambda _: None)
    evaluated = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    judged = {event.step_key for event in result.all_events if event.event_type is evaluated}
    broken = [Broken(str(each.step_key), _reason(each)) for each in _failures(result) if each.step_key not in judged]
    is_told = broken or any(isinstance(step, Checked) and step.passed is False for step in steps.values())
    if not result.success and not is_told:
        broken.append(Broken("the run", "It failed outside its steps; its record in Dagster says why."))
    not_run = [Checked(".".join(key.asset_key.path), key.name) for key in job.asset_layer.asset_graph.asset_check_keys]
    return [*broken, *({step.what: step for step in not_run} | steps).values()]


def _run(
    job: dg.JobDefinition, tags: dict[str, str], dagster_home: Path, on_step: OnStep, on_wait: OnWait
) -> dg.ExecuteInProcessResult:
    os.environ["DAGSTER_HOME"] = str(dagster_home)
    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.get() as instance:
        wait_for(instance, pools_of(job), lambda run: on_wait(f"Waits for the run {run.run_id} of {run.job_name}."))
        instance.add_event_listener(run_id, lambda entry: _tell(entry, on_step))
        result = job.execute_in_process(
            run_config=_QUIET, instance=instance, run_id=run_id, raise_on_error=False,
            tags={**tags, HOST_TAG: place()},
        )  # fmt: skip
        if any(map(_is_interrupted, _failures(result))):
            if instance.all_logs(run_id, dg.DagsterEventType.RUN_CANCELING):
                raise NotBuilt("The run was cancelled in Dagster.")
            raise KeyboardInterrupt
    return result


def _tell(entry: dg.EventLogEntry, on_step: OnStep) -> None:
    event = entry.dagster_event
    if event is None:
        return
    if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
        # One event for each day of the range, all with the same count: the first tells.
        found = event.step_materialization_data.materialization
        on_step(Built(".".join(found.asset_key.path), int(str(found.metadata["dagster/row_count"].value))))
    elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        on_step(_checked(event.asset_check_evaluation_data))


def _checked(said: dg.AssetCheckEvaluation) -> Checked:
    values = {name: value.value for name, value in said.metadata.items()}
    return Checked(
        table=".".join(said.asset_key.path),
        check=said.check_name,
        passed=said.passed,
        is_error=said.severity is dg.AssetCheckSeverity.ERROR,
        checked=values.get("checked", 0),  # type: ignore[arg-type]  # as defs/found.py writes them
        bad=values.get("bad", 0),  # type: ignore[arg-type]
        first_bad=values.get("first_bad", []),  # type: ignore[arg-type]
        see_all=str(values.get("see_all", "")).strip("`"),
    )


def _failures(result: dg.ExecuteInProcessResult) -> Iterator[dg.DagsterEvent]:
    """The steps that failed, in their order."""
    return (event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE)


def _is_interrupted(failure: dg.DagsterEvent) -> bool:
    """Whether it was Ctrl-C, or a cancelling in Dagster, which it tells as a step's failure."""
    error = first_cause(failure)
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def _reason(failure: dg.DagsterEvent) -> str:
    """The first cause of a failure, in a line."""
    error = first_cause(failure)
    if error is None:
        return "it failed"
    first = error.message.strip().splitlines()[0]
    # A Failure is a sentence of ours; of another error the class says something too.
    return first.partition(f"{error.cls_name}: ")[2] or first if error.cls_name == dg.Failure.__name__ else first
