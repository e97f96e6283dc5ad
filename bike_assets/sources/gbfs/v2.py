"""GBFS 1 and 2: times are POSIX seconds, a text has one language.

Specifications: https://github.com/MobilityData/gbfs/blob/v1.1/gbfs.md and .../v2.3/gbfs.md. GBFS 1 has no
vehicle types; its flags are 0 and 1, and GBFS 1.0 names no version.
"""

from msgspec import Raw
from msgspec.json import Decoder

from bike_assets.sources.gbfs.feeds import Version
from bike_assets.sources.gbfs.rows import Feed, Place, Station, Stations, System, Types, Vehicle, Vehicles, leniently
from bike_assets.sources.rows import Seconds, Words, from_seconds


def _bounded_by_its_type(seconds: float | None, field: str) -> None:
    """Nothing is left to check."""


def _only_words(words: str) -> str:
    return words


GBFS_2 = Version(
    name="GBFS 1 or 2",
    status=Decoder(Feed[Seconds, Stations[Station[Seconds]]]).decode,
    rows=Decoder(Feed[Seconds, Stations[Raw]], strict=False),
    types=Decoder(Feed[Seconds, Types], strict=False),
    vehicles=Decoder(Feed[Seconds, Vehicles[Vehicle]]),
    vehicle_rows=Decoder(Feed[Seconds, Vehicles[Raw]], strict=False),
    system=Decoder(Feed[Seconds, System[Words]], strict=False),
    station=leniently(Station[Seconds]),
    place=leniently(Place[Words]),
    check=_bounded_by_its_type,
    instant=from_seconds,
    words=_only_words,
    time_digits=10,
)
