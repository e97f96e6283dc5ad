"""`bike build`: days of the warehouse, shown as they are built."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bike_assets.definitions import defs
from bike_assets.defs.build import Built, Checked, OnStep, build_days
from bike_assets.defs.partitions import range_of
from bike_assets.local.home import dagster_home
from bike_assets.settings import Settings


def build_range(settings: Settings, first: str, last: str, console: Console) -> list[dict[str, Any]]:
    """Build the days from `first` to `last`; each table with its rows and check with whether it passed, once.

    Raises WrongDay, and NotBuilt with what failed.
    """
    days = range_of(first, last)
    steps: dict[str, Built | Checked] = {}
    with showing(console, "Spark starts") as show:

        def on_step(step: Built | Checked) -> None:
            steps[step.what] = step
            show(step)

        build_days(defs.resolve_job_def("build_days"), *days, dagster_home(settings), on_step)
    return [
        {"what": what, "rows": getattr(step, "rows", None), "passed": getattr(step, "passed", None)}
        for what, step in steps.items()
    ]


@contextmanager
def showing(console: Console, first: str) -> Iterator[OnStep]:
    """A line that says what was last done, for as long as the block runs; `first` until something was."""
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task(first, total=None)
        yield lambda step: progress.update(task, description=_words(step))


def _words(step: Built | Checked) -> str:
    if isinstance(step, Built):
        return f"{step.what}: {step.rows} rows"
    return f"{step.what} {'holds' if step.passed else 'does not hold'}"
