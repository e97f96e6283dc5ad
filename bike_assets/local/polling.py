"""`bike poll`: systems asked now, by the poller that is up or by one of our own for one round.

A poller that is up does all the work: what it takes to be one is loaded only where there is none.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from bike_assets import services
from bike_assets.ingest.control import ask_to_poll
from bike_assets.model.errors import WrongSettings
from bike_assets.model.messages import Poll
from bike_assets.settings import Settings

if TYPE_CHECKING:
    from bike_assets.sources.config import Source


def poll_once(settings: Settings, system_ids: list[str]) -> list[dict[str, Any]]:
    """Poll systems by the poller that is up, or by one of our own for one round."""
    if services.is_poller_up(settings):
        polls = [poll for system_id in system_ids for poll in ask_to_poll(settings.run, system_id)]
    else:
        polls = _poll(settings, system_ids)
    return [msgspec.to_builtins(poll) for poll in polls]


def _poll(settings: Settings, system_ids: list[str]) -> list[Poll]:
    from bike_assets.ingest.once import poll_once as poll_sources
    from bike_assets.ingest.profiles import profiles
    from bike_assets.ingest.sharing import sole_writer
    from bike_assets.ingest.writer import PartitionWriter
    from bike_assets.local.parts import kafka
    from bike_assets.sources.config import load_sources

    sources = load_sources(settings.sources)
    wanted = wanted_sources(settings, sources, system_ids)
    servers = settings.bootstrap_servers
    with services.poller_lock(settings), kafka(settings) as partitions, sole_writer(servers, partitions):
        raw = services.raw_store(settings)
        raw.start()
        try:
            profile_of = profiles(sources)
            asking = services.source_askers(wanted, settings)
            return poll_sources(asking, lambda each: PartitionWriter(servers, each, profile_of), partitions, raw)
        finally:
            raw.close()


def wanted_sources(settings: Settings, sources: "Sequence[Source]", system_ids: list[str]) -> "list[Source]":
    """The sources of these systems. Raises WrongSettings naming those that there are."""
    known = {each for source in sources for each in source.system_ids}
    for system_id in system_ids:
        if system_id not in known:
            raise WrongSettings(f"{system_id} is not in {settings.sources}, which has {', '.join(sorted(known))}.")
    return [source for source in sources if set(system_ids) & set(source.system_ids)]
