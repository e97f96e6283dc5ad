"""The members API, asked for who is new."""

import dagster as dg

from bike_assets.defs.columns import OWNERS
from bike_assets.defs.ingestion.assets import MEMBERS, SOURCES
from bike_assets.defs.links import links
from bike_assets.defs.resources import Bike
from bike_assets.model.topics import USERS_CREATED


@dg.asset(
    key=MEMBERS,
    group_name=SOURCES,
    kinds={"python", "json"},
    owners=OWNERS,
    metadata=links(),
)
def members(context: dg.AssetExecutionContext, bike: Bike) -> dg.MaterializeResult[None]:
    """Members, each once: the members API read page by page to its end, and of each member what the policy leaves, into
    the topic users_created.

    Kafka has the page before the cursor moves. Nothing of a member is told here: only how many there were.
    """
    done = bike.run("members", "poll")
    if done["error"] is not None:
        context.log.warning("%s", done["error"])
    names = ("pages", "rows", "created", "known", "suppressed", "rejected", "is_at_end", "members")
    told = {name: done[name] for name in names}
    context.log_event(dg.AssetMaterialization(["topics", USERS_CREATED.name], metadata=told))
    return dg.MaterializeResult(metadata=told)
