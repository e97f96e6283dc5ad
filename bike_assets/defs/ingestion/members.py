"""The members API, and the topic that its members become."""

import dagster as dg

from bike_assets.defs.columns import OWNERS, topic_metadata
from bike_assets.defs.ingestion.assets import GROUP
from bike_assets.defs.resources import Bike
from bike_assets.model.topics import USERS_CREATED


@dg.asset(
    key=["topics", USERS_CREATED.name],
    group_name=GROUP,
    kinds={"python", "kafka"},
    owners=OWNERS,
    metadata=topic_metadata(USERS_CREATED),
)
def users_created(context: dg.AssetExecutionContext, bike: Bike) -> dg.MaterializeResult[None]:
    """Members, each once: the members API read page by page to its end, and of each member what the policy leaves.

    Kafka has the page before the cursor moves. Nothing of a member is told here: only how many there were.
    """
    done = bike.run("members", "poll")
    if done["error"] is not None:
        context.log.warning("%s", done["error"])
    names = ("pages", "rows", "created", "known", "suppressed", "rejected", "is_at_end", "members")
    return dg.MaterializeResult(metadata={name: done[name] for name in names})
