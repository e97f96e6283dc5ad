"""What a person says of a system, and what a system is once its feed has spoken too."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import structlog

from bike_assets.ingest.memory import SystemMemory
from bike_assets.model.answers import JCDECAUX_PREFIX, SystemPoll
from bike_assets.model.messages import SystemInformation
from bike_assets.sources.jcdecaux.contracts import Contract, contract

if TYPE_CHECKING:
    from bike_assets.sources.config import Source

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Profile:
    """The words of the sources file, or of replay's options, on a system. They win over its feed's."""

    name: str | None = None
    city: str | None = None
    country: str | None = None
    timezone: str | None = None


def system_information(
    memory: SystemMemory, told: SystemPoll | None, profile: Profile, at: datetime
) -> SystemInformation | None:
    """What the system is now, or None where nothing about it is new.

    The time zone is the profile's, the feed's, or that of the JCDecaux contract; failing all of them it
    is UTC, with a warning.
    """
    before = memory.information
    if told is None and before is not None and _agrees(before, profile):
        return None
    place = contract(memory.system_id.removeprefix(JCDECAUX_PREFIX)) if _is_jcdecaux(memory) else None
    zone = _zone(
        memory.system_id,
        profile.timezone,
        told.timezone if told else None,
        place.timezone if place else None,
        before.timezone if before else None,
    )
    now = SystemInformation(
        system_id=memory.system_id,
        observed_at=at,
        name=_name(memory, told, profile, place),
        operator=_operator(memory, told),
        city=profile.city or (place.city if place else None) or (before.city if before else None),
        country=profile.country or (place.country if place else None) or (before.country if before else None),
        timezone=zone,
        kind="jcdecaux" if _is_jcdecaux(memory) else "gbfs",
    )
    same = before is not None and msgspec.structs.replace(before, observed_at=at) == now
    return None if same else now


def _agrees(before: SystemInformation, profile: Profile) -> bool:
    wanted = (profile.name, profile.city, profile.country, profile.timezone)
    has = (before.name, before.city, before.country, before.timezone)
    return all(want is None or want == now for want, now in zip(wanted, has, strict=True))


def _is_jcdecaux(memory: SystemMemory) -> bool:
    return memory.system_id.startswith(JCDECAUX_PREFIX)


def _name(memory: SystemMemory, told: SystemPoll | None, profile: Profile, place: Contract | None) -> str:
    """What to call it: the first who says; JCDecaux's contracts go by their city."""
    said = (
        profile.name,
        told.name if told else None,
        place.city if place else None,
        memory.information.name if memory.information else None,
    )
    return next(filter(None, said), memory.system_id)


def _operator(memory: SystemMemory, told: SystemPoll | None) -> str | None:
    if _is_jcdecaux(memory):
        return "JCDecaux"
    if told is not None:
        return told.operator
    return memory.information.operator if memory.information else None


def _zone(system_id: str, *candidates: str | None) -> str:
    for name in candidates:
        if name is None:
            continue
        try:
            return ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError):
            log.warning("time zone unknown", system_id=system_id, timezone=name)
    log.warning("no time zone given, UTC is taken", system_id=system_id)
    return "UTC"


def profiles(sources: "Iterable[Source]") -> Callable[[str], Profile]:
    """What the sources file says of each of its systems; nothing of any other."""
    said = {
        system_id: Profile(source.name, source.city, source.country, source.timezone)
        for source in sources
        for system_id in source.system_ids
    }
    return lambda system_id: said.get(system_id, Profile())
