"""`bike build`: days of the warehouse, shown as they are built."""

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bike_assets.definitions import defs
from bike_assets.defs.build import Step, build_days, day_of
from bike_assets.local.home import dagster_home
from bike_assets.model.errors import WrongDay
from bike_assets.settings import Settings


def build_range(settings: Settings, first: str, last: str, console: Console) -> list[Step]:
    """Build the days from `first` to `last`; each table and check once, with what it last said.

    Raises WrongDay, and NotBuilt with what failed.
    """
    days = day_of(first), day_of(last)
    if days[0] > days[1]:
        raise WrongDay(f"{last} lies before {first}: give the first day first.")
    steps: dict[str, Step] = {}
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("Spark starts", total=None)

        def on_step(step: Step) -> None:
            steps[step.what] = step
            progress.update(task, description=_words(step))

        build_days(defs.resolve_job_def("build_days"), *days, dagster_home(settings), on_step)
    return list(steps.values())


def _words(step: Step) -> str:
    if step.passed is None:
        return f"{step.what}: {step.rows} rows"
    return f"{step.what} {'holds' if step.passed else 'does not hold'}"
