"""Answers of the APIs, and the topics that they become."""

import dagster as dg
from pydantic import Field

from bike_assets.defs.columns import OWNERS, topic_metadata
from bike_assets.defs.links import links
from bike_assets.defs.resources import Bike, Sources
from bike_assets.model.messages import GOOD
from bike_assets.model.topics import MEMBERS_STATE, ORDERS, TOPICS, USERS_CREATED, Topic

SOURCES, GROUP = "sources", "ingestion"
ANSWERS, MEMBERS = ["raw", "answers"], ["raw", "members"]


class PollConfig(dg.Config):
    """Which systems to ask."""

    system_ids: list[str] = Field(
        default_factory=list, description="Systems of the sources file; all of them where none is named."
    )


@dg.asset(
    key=ANSWERS,
    group_name=SOURCES,
    kinds={"python", "json"},
    owners=OWNERS,
    metadata=links(),
)
def answers(
    context: dg.AssetExecutionContext, config: PollConfig, bike: Bike, sources: Sources
) -> dg.MaterializeResult[None]:
    """The answers of the APIs as they came, in hourly files for some days.

    The poller keeps them as it goes. Materialising it polls the named systems once, now, and commits
    what they say: through the poller where it is up, without one where it is not.
    """
    known = sources.system_ids()
    unknown = sorted(set(config.system_ids) - set(known))
    if unknown:
        raise dg.Failure(f"{unknown[0]} is not in the sources file, which has {', '.join(sorted(known))}.")
    polls = bike.run("poll", *(config.system_ids or known))
    bad = [poll for poll in polls if poll["outcome"] not in GOOD]
    for poll in bad:
        context.log.warning("%(system_id)s %(feed)s: %(outcome)s, %(error)s", poll)
    return dg.MaterializeResult(
        metadata={
            "polls": len(polls),
            "bad_polls": len(bad),
            "rows_accepted": sum(poll["rows_accepted"] for poll in polls),
            "rows_rejected": sum(poll["rows_rejected"] for poll in polls),
            "events": sum(poll["events"] for poll in polls),
        }
    )


def _made_of(topic: Topic) -> list[list[str]]:
    """What fills a topic; shops and apps, which push their orders, are no asset."""
    if topic is ORDERS:
        return []
    return [MEMBERS if topic in (USERS_CREATED, MEMBERS_STATE) else ANSWERS]


topics = [
    dg.AssetSpec(
        key=["topics", topic.name],
        deps=_made_of(topic),
        description=f"Kafka's topic {topic.name}: {' '.join((topic.message[0].__doc__ or '').split())}",
        group_name=GROUP,
        kinds={"kafka"},
        owners=OWNERS,
        metadata=topic_metadata(topic),
    )
    for topic in TOPICS
]
