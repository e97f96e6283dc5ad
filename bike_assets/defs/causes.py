"""Why a step failed."""

import dagster as dg
from dagster_shared.error import SerializableErrorInfo


def first_cause(failure: dg.DagsterEvent) -> SerializableErrorInfo | None:
    """The error that all others of a step's failure come from; None where Dagster kept none."""
    error = failure.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error
