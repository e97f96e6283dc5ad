"""What looks on, and tells when something is wrong and when it is over; the rules stand in `alerts/`.

Each tick says in one line what it found. A cursor moves once the alerts of all that it passes are in the book: from
there they are sent, at each tick again, until they are taken.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from bike_assets.alerts import runs, systems
from bike_assets.alerts import services as rules
from bike_assets.alerts.services import WATCHED
from bike_assets.defs.resources import Alerts
from bike_assets.defs.run_ends import defined_in, ended_after, not_retried
from bike_assets.defs.serving import sinks
from bike_assets.defs.serving.assets import GROUP as SERVING
from bike_assets.defs.warehouse.assets import GROUP as WAREHOUSE
from bike_assets.heartbeats import (
    FRESH_S,
    MEMBERS_SINK,
    ORDERS,
    ORDERS_SINK,
    POLLER,
    SALES_SINK,
    STREAM,
    read_heartbeat,
    starting_since,
)

RUNNING = dg.DefaultSensorStatus.RUNNING
SHOWN_ON = {
    POLLER: ["raw", "answers"], STREAM: ["events", "polls"], ORDERS: ["topics", "orders"],
    SALES_SINK: sinks.SALES, ORDERS_SINK: sinks.ORDERS, MEMBERS_SINK: sinks.MEMBERS,
}  # fmt: skip
"""The asset on whose page a service's heartbeat and lag are plotted."""

PLOTTED_EVERY = timedelta(minutes=1)
"""More points than that would fill Dagster's record, and show nothing more."""

FIRST_LOOK = timedelta(hours=1)
"""How far back the first look at the runs goes: what failed before was another time."""


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=RUNNING,
    description="Poller, stream, orders and sinks live and keep up. What is dead, the supervisor starts again.",
)
def services(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SensorResult:
    now = datetime.now(UTC)
    desk = alerts.desk("services", now)
    beats = {name: read_heartbeat(alerts.directory, name) for name in WATCHED}
    starting = {name: starting_since(alerts.directory, name) for name in WATCHED}
    for name, beat in beats.items():
        rules.watch(desk, name, beat, now, starting[name])
    desk.close()
    there = {name: beat for name, beat in beats.items() if beat is not None}
    plotted_at = datetime.fromisoformat(context.cursor) if context.cursor else None
    is_plotted = plotted_at is None or now - plotted_at >= PLOTTED_EVERY
    comes = [name for name, beat in beats.items() if beat is None and starting[name] is not None]
    told = [f"Alive, and not behind: {', '.join(there)}."] if there else []
    told += [f"Starting: {', '.join(comes)}."] if comes else []
    nobody = "Nothing that is watched was started in this home; `bike up` starts them."
    return dg.SensorResult(
        skip_reason=desk.says(" ".join(told) or nobody),
        asset_events=[
            dg.AssetObservation(SHOWN_ON[name], metadata=rules.figures(beat, now), description=f"The {name} now.")
            for name, beat in there.items()
            if is_plotted
        ],
        cursor=now.isoformat() if is_plotted else context.cursor,
    )


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=RUNNING,
    description="Every system has a good poll at least every half hour, as the poller says.",
)
def quiet_systems(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SensorResult:
    now = datetime.now(UTC)
    desk = alerts.desk("systems", now)
    beat = read_heartbeat(alerts.directory, POLLER)
    if beat is None or beat.age_s(now) > FRESH_S:
        desk.close()
        return dg.SensorResult(skip_reason=desk.says("No poller is at work: nothing is known of the systems."))
    count = beat.details["systems"]
    quiet = beat.details["quiet"]
    systems.watch(desk, quiet, count, now)
    desk.close()
    return dg.SensorResult(skip_reason=desk.says(f"Systems with a good poll lately: {count - len(quiet)} of {count}."))


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=RUNNING,
    description="Runs that failed and checks that did not hold, until the same is done again and goes well.",
)
def ended_runs(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SensorResult:
    now = datetime.now(UTC)
    desk = alerts.desk("runs", now)
    cursor = None if context.cursor is None else int(context.cursor)
    secrets = alerts.secrets()
    assert context.repository_def is not None  # noqa: S101  a tick is always one of a repository's
    defined = defined_in(context.repository_def)
    runs.look_again(desk, lambda run_id: not_retried(context.instance, run_id, secrets, defined), now)
    found = ended_after(context.instance, cursor, now - FIRST_LOOK, secrets, defined)
    for number, run in found:
        cursor = number
        if run is not None:
            runs.take(desk, run)
    runs.forget_gone(desk, defined.names.__contains__)
    desk.close()
    return dg.SensorResult(
        skip_reason=desk.says(f"Runs that ended since the last look: {len(found)}, none wrong."),
        cursor=None if cursor is None else str(cursor),
    )


later_rows = dg.AutomationConditionSensorDefinition(
    "later_rows",
    target=dg.AssetSelection.groups(WAREHOUSE, SERVING),
    default_status=RUNNING,
    minimum_interval_seconds=60,
    description="Days that got later rows since they were built are built again, with the days that hang on them. "
    "Days that were built are brought into the databases, until they are there.",
)
