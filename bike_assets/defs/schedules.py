"""When what is launched."""

from datetime import timedelta

import dagster as dg

from bike_assets.defs.jobs import build_days, maintain
from bike_assets.defs.partitions import tags_of


@dg.schedule(
    job=build_days,
    cron_schedule="0 5 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def every_morning(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """The two days before today: of yesterday the first time, of the day before once more with all its hours.

    From Europe eastwards yesterday's local day is complete by now; in the Americas it is the next morning.
    """
    today = context.scheduled_execution_time.date()
    first, last = today - timedelta(days=2), today - timedelta(days=1)
    return dg.RunRequest(run_key=last.isoformat(), tags=tags_of(first, last))


every_night = dg.ScheduleDefinition(
    name="every_night",
    job=maintain,
    cron_schedule="30 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The lake's upkeep, after the days have closed and before they are built.",
)
