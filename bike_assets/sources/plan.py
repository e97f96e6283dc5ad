"""What to ask for a source, where, and how often. Pure data: the poller keeps the time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from pydantic import SecretStr

from bike_assets.model.constants import MAX_GAP
from bike_assets.model.errors import WrongSettings
from bike_assets.sources.config import GbfsSource, JcdecauxSource, Source
from bike_assets.sources.http import Request
from bike_assets.sources.rows import UNREADABLE

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
STATUS_S = MAX_GAP.total_seconds() / 2
"""However long a status says that it holds: a poll may fail before a gap becomes unknown time."""

DISCOVERY = "gbfs.gbfs"
VERSIONS = "gbfs_versions"

_GBFS_FEEDS: tuple[tuple[str, float | None], ...] = (
    ("system_information", DAY_S),
    ("vehicle_types", DAY_S),  # before the status, whose e-bikes it tells
    ("station_information", HOUR_S),
    ("vehicle_status", None),
    ("free_bike_status", None),  # what GBFS 1 and 2 call it
    ("station_status", None),
)
"""What is asked of a GBFS system, in this order, and how often; None is the source's own interval."""


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """A feed to be asked every `every_s` seconds, or less often where its `ttl` says so, up to `longest_s`."""

    system_id: str
    feed: str
    url: str
    every_s: float
    params: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    longest_s: float = DAY_S

    def request(self, etag: str | None = None) -> Request:
        """What to fetch; with `etag`, only if it is another body than the one before."""
        return Request(self.system_id, self.feed, self.url, self.params, self.secrets, etag)

    def every(self, ttl_s: int | None) -> float:
        """Seconds until the next request, by the `ttl` of the last good body."""
        return max(self.every_s, min(ttl_s or 0, self.longest_s))


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the settings say where a source says nothing."""

    poll_seconds: float
    jcdecaux_url: str
    jcdecaux_key: SecretStr | None


def plans_for(source: Source, defaults: Defaults) -> tuple[FeedPlan, ...]:
    """What can be asked from the start: JCDecaux's stations, or where a GBFS system's feeds are.

    Raises WrongSettings where a JCDecaux source has no key.
    """
    if isinstance(source, GbfsSource):
        return (FeedPlan(source.system_id, DISCOVERY, source.url, DAY_S),)
    return (_stations(source, defaults),)


def plans_from_discovery(
    source: GbfsSource, urls: Mapping[str, str], defaults: Defaults
) -> tuple[FeedPlan, ...]:
    """What to ask of a GBFS system, once `gbfs.json` has said where; only what it lists."""
    own = float(source.poll_seconds or defaults.poll_seconds)
    # A vehicle must not be told of twice where a system lists it by both names.
    renamed = {"free_bike_status"} if "vehicle_status" in urls else set()
    return tuple(
        FeedPlan(source.system_id, f"gbfs.{feed}", urls[feed], every_s or own, longest_s=DAY_S if every_s else STATUS_S)
        for feed, every_s in _GBFS_FEEDS
        if feed in urls.keys() - renamed
    )


def plan_for_versions(source: GbfsSource, urls: Mapping[str, str]) -> FeedPlan | None:
    """Where it says in which versions it can be had, if it does: for a check; no poll needs it."""
    return FeedPlan(source.system_id, f"gbfs.{VERSIONS}", urls[VERSIONS], DAY_S) if VERSIONS in urls else None


def _stations(source: JcdecauxSource, defaults: Defaults) -> FeedPlan:
    key = defaults.jcdecaux_key
    if key is None or not key.get_secret_value():
        raise WrongSettings(
            f"BIKE_JCDECAUX_KEY is not set, and {source.system_ids[0]} cannot be polled without it: "
            "https://developer.jcdecaux.com gives keys."
        )
    base = (source.url or defaults.jcdecaux_url).rstrip("/")
    return FeedPlan(
        system_id=source.asked_as,
        feed=f"jcdecaux.v{source.version}.stations",
        url=f"{base}/vls/v{source.version}/stations",
        every_s=float(source.poll_seconds or defaults.poll_seconds),
        params={} if source.contract is None else {"contract": source.contract},
        secrets={"apiKey": key},
    )


class _Lasting(msgspec.Struct):
    ttl: int | None = None


_decode_ttl = msgspec.json.Decoder(_Lasting).decode


def ttl_of(body: bytes) -> int | None:
    """The seconds for which a GBFS body says that it holds; None where it does not, or is no GBFS."""
    try:
        ttl = _decode_ttl(body).ttl
    except UNREADABLE:
        return None
    return ttl if ttl is None or ttl >= 0 else None
