"""The days, in the one place where time is cut into partitions.

A day's key is a UTC date for events and hours, and a local date for day facts: one set of names, so that one run
builds the hours of a day and the days that hang on them.
"""

import warnings
from datetime import date, timedelta

import dagster as dg

from bike_assets.model.constants import STILL_ASKED
from bike_assets.model.errors import WrongDay
from bike_assets.settings import load_settings

DAYS = dg.DailyPartitionsDefinition(load_settings().first_day.isoformat(), timezone="UTC", end_offset=1)
"""From the first day of the settings to today: what there is of today can be built too.

Read here, and not when it is asked for: the partitions of an asset are fixed where it is declared, and
the settings' day is its first.
"""

with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)  # the option has been in Dagster for years
    # A run of days reads the days around it; those that are not there yet, or not any more, are empty.
    WITH_DAY_BEFORE = dg.TimeWindowPartitionMapping(start_offset=-1, allow_nonexistent_upstream_partitions=True)
    WITH_DAYS_AROUND = dg.TimeWindowPartitionMapping(
        start_offset=-1, end_offset=1, allow_nonexistent_upstream_partitions=True
    )
    # And those in which a fetch makes a day without one a silent day.
    WITH_WEEK_BEFORE = dg.TimeWindowPartitionMapping(
        start_offset=-(STILL_ASKED.days + 1), end_offset=1, allow_nonexistent_upstream_partitions=True
    )

_FIRST, _LAST, _ONE = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end", "dagster/partition"


def days_of(run: dg.DagsterRun) -> tuple[date, date] | None:
    """The first and the last day of a run, both included; None where it is of no days.

    Raises Failure for what is no day, and for one that has no partition: a run can be started with any tags.
    """
    told = _told(run)
    if told is None:
        return None
    for day in told:
        if not DAYS.has_partition_key(day):
            raise dg.Failure(_there_is_no(day))
    return _dates(told)


def days_asked(context: dg.AssetExecutionContext) -> tuple[date, date] | None:
    """The days of the run of a step; None where nothing that the run makes is of days.

    Each of its steps asks, so that a run is refused before the first does anything. Raises Failure as `days_of` does,
    and where the run was started without the days that it needs.
    """
    days = days_of(context.run)
    layer = context.job_def.asset_layer
    if days is None and any(layer.get(key).is_partitioned for key in layer.selected_asset_keys):
        raise dg.Failure(f"Say of which day, or which days in a row: they are {_all_days()}.")
    return days


def days_told(run: dg.DagsterRun) -> tuple[date, date] | None:
    """The days that a run was started with, whether they have partitions or not; None where they are none."""
    told = _told(run)
    try:
        return told and _dates(told)
    except ValueError:
        return None


def _told(run: dg.DagsterRun) -> tuple[str, str] | None:
    first, last = run.tags.get(_FIRST, run.tags.get(_ONE)), run.tags.get(_LAST, run.tags.get(_ONE))
    return None if first is None or last is None else (first, last)


def _dates(told: tuple[str, str]) -> tuple[date, date]:
    first, last = map(date.fromisoformat, told)
    return first, last


def _there_is_no(day: str) -> str:
    return f"There is no day {day}: they are {_all_days()}. BIKE_FIRST_DAY sets the first."


def _all_days() -> str:
    return f"{DAYS.get_first_partition_key()} to {DAYS.get_last_partition_key()}"


def day_of(text: str) -> date:
    """A day that has a partition. Raises WrongDay saying which have."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise WrongDay(
            f"{text} is no day: give one like {DAYS.get_last_partition_key()}; there are {_all_days()}."
        ) from None
    if not DAYS.has_partition_key(day.isoformat()):
        raise WrongDay(_there_is_no(text))
    return day


def range_of(first: str, last: str) -> tuple[date, date]:
    """The first and the last day of a range, both included. Raises WrongDay."""
    days = day_of(first), day_of(last)
    if days[0] > days[1]:
        raise WrongDay(f"{last} lies before {first}: give the first day first.")
    return days


def each_of(days: tuple[date, date]) -> list[date]:
    """Every day from the first to the last, both included."""
    first, last = days
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def tags_of(first: date, last: date) -> dict[str, str]:
    """What makes a run one of these days."""
    return {_FIRST: first.isoformat(), _LAST: last.isoformat()}
