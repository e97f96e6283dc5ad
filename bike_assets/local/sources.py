"""`bike sources`: what is in the sources file and in the catalogue, and what is put from the one into the other."""

from collections.abc import Sequence
from typing import Any

from bike_assets import services
from bike_assets.local.files import write_asked
from bike_assets.model.errors import WrongSettings
from bike_assets.settings import Settings
from bike_assets.sources import catalogue
from bike_assets.sources.config import JcdecauxSource, Source, load_sources, parse_sources, read_text
from bike_assets.sources.entries import with_entries
from bike_assets.sources.plan import plans_for


def find_systems(
    settings: Settings, words: Sequence[str], country: str | None, city: str | None
) -> list[dict[str, Any]]:
    """The systems of the catalogue that fit, and whether the sources file has them already.

    Raises WrongSettings for a country that is no code, and for a sources file that cannot be read.
    """
    found = catalogue.find(words, country, city)
    present = existing_sources(settings)
    ids = {each for source in present for each in source.system_ids}
    urls = {source.url for source in present}
    return [
        {
            "system_id": each.system_id,
            "name": each.name,
            "location": each.location,
            "country": each.country,
            "url": each.url,
            "versions": each.versions,
            "needs_authentication": bool(each.authentication),
            "is_in_sources": each.system_id in ids or each.url in urls,
        }
        for each in found
    ]


def list_systems(settings: Settings) -> list[dict[str, Any]]:
    """The systems of the sources file, one a row, in its order. Raises WrongSettings."""
    return [
        {
            "system_id": system_id,
            "poll_seconds": source.poll_seconds or settings.poll_seconds,
            "url": source.url or settings.jcdecaux_url,
            "is_shared": isinstance(source, JcdecauxSource) and source.contracts is not None,
            "name": source.name,
            "city": source.city,
            "country": source.country,
            "timezone": source.timezone,
        }
        for source in load_sources(settings.sources)
        for system_id in source.system_ids
    ]


def add_systems(settings: Settings, system_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Put systems of the catalogue at the end of the sources file, all or none; makes it where there is none.

    Raises WrongSettings for one that the catalogue has not or the file has already, or that cannot be polled;
    NotWritten.
    """
    added = list(dict.fromkeys(map(catalogue.source_of, system_ids)))
    present = existing_sources(settings)
    for number, source in enumerate(added):
        _refuse_double(settings, source, [*present, *added[:number]])
        plans_for(source, services.defaults(settings))  # which refuses a contract without a key
    text = read_text(settings.sources) if settings.sources.exists() else ""
    write_asked(settings.sources, with_entries(settings.sources, text, added))
    return [{"system_id": source.system_ids[0], "url": source.url} for source in added]


def existing_sources(settings: Settings) -> tuple[Source, ...]:
    """The sources of the file; none where there is no file yet, or nothing in it."""
    path = settings.sources
    return parse_sources(path, read_text(path)) if path.exists() else ()


def _refuse_double(settings: Settings, source: Source, present: Sequence[Source]) -> None:
    for other in present:
        if set(source.system_ids) & set(other.system_ids):
            raise WrongSettings(f"{source.system_ids[0]} is in {settings.sources} already.")
        if source.url is not None and source.url == other.url:
            raise WrongSettings(
                f"The feed of {source.system_ids[0]} is in {settings.sources} already, as {other.system_ids[0]}."
            )
