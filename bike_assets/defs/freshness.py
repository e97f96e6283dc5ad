"""How old an asset may be before Dagster shows it as stale. It is shown and nothing else: no alert comes of it."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import dagster as dg

from bike_assets.model.tables import LIVE_ORDERS_BY_SOURCE_STATE, VIEWS
from bike_assets.model.topics import MEMBERS_STATE, ORDERS, USERS_CREATED
from bike_assets.settings import load_settings

STREAMED = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1), warn_window=timedelta(minutes=15))
"""What a service writes and tells of as it goes."""

BY_MORNING = dg.FreshnessPolicy.cron(deadline_cron="30 6 * * *", lower_bound_delta=timedelta(hours=6, minutes=30))
"""What is closed or built of yesterday: since midnight UTC, by half past six."""

DAILY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30), warn_window=timedelta(hours=25))
"""What is done once a night: a night may be late, not left out."""

_OF_LAYER = {"events": BY_MORNING, "warehouse": BY_MORNING, "databases": BY_MORNING, "maintenance": DAILY}
_WHEN_IT_COMES = {"serving/files", f"topics/{ORDERS.name}", f"topics/{MEMBERS_STATE.name}",
                  "/".join(LIVE_ORDERS_BY_SOURCE_STATE.path)}  # fmt: skip
"""What is made when somebody asks for it, orders or is forgotten is never late: for a long time nobody may. Whether the
service lives that takes it, its heartbeat says.
"""

_NOT_TOLD = {"sinks", *("/".join(view.path) for view in VIEWS)}
"""Of what no report of a new state is made: a view has none of its own, and a sink says how far it is behind."""

_OF_MEMBERS = {"raw/members", f"topics/{USERS_CREATED.name}"}


def by_settings() -> Callable[[dg.AssetSpec], dg.AssetSpec]:
    """What gives an asset its policy, by the settings as they are now."""
    return partial(with_freshness, has_members=load_settings().members_url is not None)


def with_freshness(spec: dg.AssetSpec, *, has_members: bool) -> dg.AssetSpec:
    """The asset with the policy of its layer, the first part of its key; every other layer is streamed.

    What comes by chance has none, and what comes of the members API none where no setting names one.
    """
    name = spec.key.to_user_string()
    if name in _WHEN_IT_COMES or not _NOT_TOLD.isdisjoint((name, spec.key.path[0])) or (
        name in _OF_MEMBERS and not has_members):
        return spec
    return spec.replace_attributes(freshness_policy=_OF_LAYER.get(spec.key.path[0], STREAMED))
