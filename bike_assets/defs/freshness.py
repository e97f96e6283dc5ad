"""How old an asset may be before Dagster shows it as stale. It is shown and nothing else: no alert comes of it."""

from datetime import timedelta

import dagster as dg

STREAMED = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1), warn_window=timedelta(minutes=15))
"""What a service writes and tells of as it goes."""

BY_MORNING = dg.FreshnessPolicy.cron(deadline_cron="30 6 * * *", lower_bound_delta=timedelta(hours=6, minutes=30))
"""What is closed or built of yesterday: since midnight UTC, by half past six."""

DAILY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30), warn_window=timedelta(hours=25))
"""What is done once a night: a night may be late, not left out."""

_OF_LAYER = {"events": BY_MORNING, "warehouse": BY_MORNING, "databases": BY_MORNING, "maintenance": DAILY}
_ON_DEMAND = {"files"}
"""What is made when somebody asks for it is never late."""


def with_freshness(spec: dg.AssetSpec) -> dg.AssetSpec:
    """The asset with the policy of its layer, the first part of its key; every other layer is streamed.

    What is made on demand has none.
    """
    if spec.key.path[-1] in _ON_DEMAND:
        return spec
    return spec.replace_attributes(freshness_policy=_OF_LAYER.get(spec.key.path[0], STREAMED))
