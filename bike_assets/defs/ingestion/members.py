"""The members API, asked for who is new."""

from collections.abc import Iterator

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
def members(bike: Bike) -> Iterator[dg.AssetMaterialization | dg.MaterializeResult[None]]:
    """Members, each once: the members API read page by page to its end, and of each member what the policy leaves, into
    the topic users_created.

    Kafka has the page before the cursor moves. Nothing of a member is told here: only how many there were. Where the
    API did not answer, the step fails, and what came before that stays.
    """
    done = bike.run("members", "poll")
    names = ("pages", "rows", "created", "known", "suppressed", "rejected", "is_at_end", "members")
    told = {name: done[name] for name in names}
    if done["error"] is not None:
        told["error"] = done["error"]
    if done["pages"]:
        yield dg.AssetMaterialization(["topics", USERS_CREATED.name], metadata=told)
    if done["error"] is not None:
        raise dg.Failure(f"The members API: {done['error']}", metadata=told)
    yield dg.MaterializeResult(metadata=told)
