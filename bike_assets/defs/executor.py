"""How a run's steps are executed: in its one process, which first says in the run's tags where it is."""

from collections.abc import Iterator

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor

from bike_assets.defs.launcher import HOST_TAG, place


class PlacedExecutor(InProcessExecutor):
    """Dagster's own, with the place of the process told: see `launcher.py` for who asks."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """Tell, then execute."""
        plan_context.instance.add_run_tags(plan_context.run_id, {HOST_TAG: place()})
        yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_one_process")
def in_one_process(_: dg.InitExecutorContext) -> PlacedExecutor:
    """A run is a chain: one process for all its steps starts Spark's client once."""
    return PlacedExecutor(RetryMode.ENABLED)
