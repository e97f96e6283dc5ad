"""`bike build`: days of the warehouse, shown as they are built."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
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

        build_days(defs.resolve_job_def("build_days"), *days, dagster_home(settings), on_step, console.print)
    names = ("rows", "passed", "bad", "first_bad", "see_all")
    return [{"what": what, **{name: getattr(step, name, None) for name in names}} for what, step in steps.items()]


def remarks(steps: list[dict[str, Any]], last: str, today: date) -> Iterator[str]:
    """What a person should know of days that were built: that nothing is in them, or that they are not over."""
    if not any(step["rows"] for step in steps if step["what"].startswith("warehouse.fact_")):
        yield "Nothing was recorded of these days: `bike sql` tells which there are in events.polls."
    elif date.fromisoformat(last) >= today:
        yield f"{last} is not over (UTC): what is still to come of it counts as unknown until it is built again."


LINE = 160
"""A question of more characters says nothing to who reads it."""


def found_by(step: Mapping[str, Any]) -> str:
    """What a check found that did not hold, in a line: how much, and the first of it."""
    if not step["bad"]:
        return f"{step['what']}: not yet, or nothing was checked."
    first = ", ".join(f"{name} {value}" for name, value in step["first_bad"][0].items() if value is not None)
    where = step["see_all"] if len(step["see_all"]) <= LINE else "in Dagster, or by --json"
    return f"{step['what']}: {step['bad']} bad rows, the first: {first}. All of them: {where}"


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
