"""The days, in the one place where time is cut into partitions.

A day's key is a UTC date for events and hours, and a local date for day facts: one set of names, so that one run
builds the hours of a day and the days that hang on them.
"""

import warnings
from datetime import date

import dagster as dg

from bike_assets.settings import load_settings

DAYS = dg.DailyPartitionsDefinition(load_settings().first_day.isoformat(), timezone="UTC", end_offset=1)
"""From the first day of the settings to today: what there is of today can be built too."""

with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)  # the option has been in Dagster for years
    # A run of days reads the days around it; those that are not there yet, or not any more, are empty.
    WITH_DAY_BEFORE = dg.TimeWindowPartitionMapping(start_offset=-1, allow_nonexistent_upstream_partitions=True)
    WITH_DAYS_AROUND = dg.TimeWindowPartitionMapping(
        start_offset=-1, end_offset=1, allow_nonexistent_upstream_partitions=True
    )

_FIRST, _LAST, _ONE = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end", "dagster/partition"


def days_of(run: dg.DagsterRun) -> tuple[date, date] | None:
    """The first and the last day of a run, both included; None where it is of no days.

    Raises Failure for what is no day, and for one that has no partition: a run can be started with any tags.
    """
    first, last = run.tags.get(_FIRST, run.tags.get(_ONE)), run.tags.get(_LAST, run.tags.get(_ONE))
    if first is None or last is None:
        return None
    for day in (first, last):
        if not DAYS.has_partition_key(day):
            there = f"{DAYS.get_first_partition_key()} to {DAYS.get_last_partition_key()}"
            raise dg.Failure(f"There is no day {day}: they are {there}. BIKE_FIRST_DAY sets the first.")
    return date.fromisoformat(first), date.fromisoformat(last)


def tags_of(first: date, last: date) -> dict[str, str]:
    """What makes a run one of these days."""
    return {_FIRST: first.isoformat(), _LAST: last.isoformat()}
