"""GBFS 3: times are written by RFC 3339, and texts stand in several languages, of which English is read or else
the first.

Specification: https://github.com/MobilityData/gbfs/blob/v3.0/gbfs.md. Read as well, as no other meaning is left:
a text that is no list of languages, and a time as POSIX seconds (in any other unit it would be out of bounds). A
time without its offset is rejected.
"""

from msgspec import Raw, Struct
from msgspec.json import Decoder

from bike_assets.sources.gbfs.discovery import is_english
from bike_assets.sources.gbfs.feeds import Version
from bike_assets.sources.gbfs.rows import Feed, Place, Station, Stations, System, Types, Vehicle, Vehicles, leniently
from bike_assets.sources.rows import Instant, Words, check_instant, from_instant


class Translation(Struct):
    """A text in a language, named by IETF BCP 47."""

    text: Words
    language: str = ""


Localised = Words | list[Translation]


def in_english(said: Localised) -> str:
    """The English of a text, or else the first language's; an empty text where it has none."""
    if isinstance(said, str):
        return said
    chosen = (each.text for each in said if is_english(each.language))
    return next(chosen, said[0].text if said else "")


GBFS_3 = Version(
    name="GBFS 3",
    status=Decoder(Feed[Instant, Stations[Station[Instant]]]).decode,
    rows=Decoder(Feed[Instant, Stations[Raw]], strict=False),
    types=Decoder(Feed[Instant, Types], strict=False),
    vehicles=Decoder(Feed[Instant, Vehicles[Vehicle]]),
    vehicle_rows=Decoder(Feed[Instant, Vehicles[Raw]], strict=False),
    system=Decoder(Feed[Instant, System[Localised]], strict=False),
    station=leniently(Station[Instant]),
    place=leniently(Place[Localised]),
    check=check_instant,
    instant=from_instant,
    words=in_english,
)
