"""When what is launched."""

from datetime import timedelta

import dagster as dg

from bike_assets.defs.jobs import build_days, check_stream, maintain, poll_members
from bike_assets.defs.partitions import tags_of
from bike_assets.settings import load_settings


@dg.schedule(
    job=build_days,
    cron_schedule="0 5 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The two days before today: of yesterday the first time, of the day before once more with all its "
    "hours. From Europe eastwards yesterday's local day is complete by now; in the Americas it is the next morning.",
)
def every_morning(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    today = context.scheduled_execution_time.date()
    first, last = today - timedelta(days=2), today - timedelta(days=1)
    return dg.RunRequest(run_key=last.isoformat(), tags=tags_of(first, last))


@dg.schedule(
    job=check_stream,
    cron_schedule="15 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The checks of what the stream wrote yesterday and today: however long the history, they read these "
    "two days.",
)
def every_hour(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    now = context.scheduled_execution_time
    return dg.RunRequest(run_key=f"{now:%Y-%m-%dT%H}", tags=tags_of(now.date() - timedelta(days=1), now.date()))


@dg.schedule(
    job=poll_members,
    cron_schedule="*/15 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Who is new among the members; nothing where no setting names a members API.",
)
def every_quarter_of_an_hour(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    if load_settings().members_url is None:
        return dg.SkipReason("BIKE_MEMBERS_URL names no members API.")
    return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}")


every_night = dg.ScheduleDefinition(
    name="every_night",
    job=maintain,
    cron_schedule="30 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The lake's upkeep, after the days have closed and before they are built.",
)
