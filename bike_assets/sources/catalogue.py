"""The public catalogue of systems that publish GBFS, as the project carries it, and JCDecaux's contracts beside it.

Columns and their meaning: https://github.com/MobilityData/gbfs/blob/master/README.md, "Systems Catalog".
"""

import csv
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from io import StringIO
from typing import NamedTuple

from bike_assets.model.answers import JCDECAUX_PREFIX
from bike_assets.model.errors import WrongSettings
from bike_assets.sources.config import GbfsSource, JcdecauxSource, Source, wrong_url
from bike_assets.sources.jcdecaux.contracts import contract

NEAR = 3
"""So many ids are offered in the place of one that there is not."""

# Letters that Unicode does not take apart, and that a keyboard elsewhere does not have.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


class Listed(NamedTuple):
    """A system of the catalogue; `country` by ISO 3166-1 alpha-2, `url` is that of its gbfs.json.

    `authentication` is what must be sent with a request, in the catalogue's words; empty where nothing must.
    """

    system_id: str
    name: str
    location: str
    country: str
    url: str
    versions: str
    authentication: str
    authentication_url: str


@cache
def catalogue() -> tuple[Listed, ...]:
    """All systems, in the catalogue's order: by country, then by name. A few ids stand in it twice."""
    text = files("bike_assets").joinpath("data/systems.csv").read_text(encoding="utf-8")
    return tuple(_listed(row) for row in csv.DictReader(StringIO(text, newline="")))


def _listed(row: dict[str, str]) -> Listed:
    needs = row["Authentication Type"] not in {"", "0"}
    return Listed(
        system_id=row["System ID"],
        name=row["Name"],
        location=row["Location"],
        country=row["Country Code"],
        url=row["Auto-Discovery URL"],
        versions=row["Supported Versions"],
        authentication=(row["Authentication Parameter Name"] or "unnamed") if needs else "",
        authentication_url=row["Authentication Info URL"],
    )


def folded(text: str) -> str:
    """The text without case and accents, by which people look for a place."""
    apart = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN))
    return "".join(each for each in apart if not unicodedata.combining(each))


def find(words: Sequence[str] = (), country: str | None = None, city: str | None = None) -> list[Listed]:
    """The systems with each word in their name, location or id, of this country, with `city` in their location.

    Without regard to case and accents. Raises WrongSettings for a country that is no code.
    """
    if country is not None and not (len(country) == 2 and country.isalpha()):
        raise WrongSettings(f"{country} is no country code: give the two letters of ISO 3166, as BE.")
    wanted = folded(" ".join(words)).split()
    return [
        each
        for each in catalogue()
        if (country is None or country.upper() == each.country)
        and (city is None or folded(city) in folded(each.location))
        and _holds(folded(f"{each.name} {each.location} {each.system_id}"), wanted)
    ]


def _holds(text: str, words: Iterable[str]) -> bool:
    return all(word in text for word in words)


def source_of(system_id: str) -> Source:
    """The source of a system of the catalogue, or of a JCDecaux contract by its `jcdecaux:<contract>`.

    Raises WrongSettings where there is none, with what may be meant; where the id stands for two systems; where the
    feed needs an authentication, or has a key in its address, which a sources file cannot hold.
    """
    if system_id.startswith(JCDECAUX_PREFIX):
        return _contract(system_id)
    found = [each for each in catalogue() if each.system_id == system_id]
    if not found:
        raise WrongSettings(f"{system_id} is not in the catalogue{_meant(near(system_id))}.")
    if len(found) > 1:
        named = " and ".join(f"{each.name} ({each.url})" for each in found)
        raise WrongSettings(f"{system_id} stands for {len(found)} systems, {named}: write the one that you mean "
                            "into the sources file yourself, with an id of its own.")  # fmt: skip
    [listed] = found
    if listed.authentication:
        raise WrongSettings(
            f"{system_id} cannot be asked: its feed needs an authentication ({listed.authentication}), which is "
            f"not supported; see {listed.authentication_url}."
        )
    if wrong_url(listed.url):
        raise WrongSettings(f"{system_id} cannot be asked: its address carries a key, which no sources file may hold.")
    return GbfsSource(
        system_id=system_id, url=listed.url, city=listed.location or None, country=listed.country or None
    )


def _contract(system_id: str) -> JcdecauxSource:
    name = system_id.removeprefix(JCDECAUX_PREFIX)
    if contract(name) is None:
        raise WrongSettings(
            f"{name} is no contract of JCDecaux that is known here: see https://developer.jcdecaux.com."
        )
    return JcdecauxSource(contract=name.lower())


def near(system_id: str) -> list[str]:
    """Ids that may be meant by one that there is not: of systems that it names, then those that are written like it."""
    word, ids = folded(system_id), {folded(each.system_id): each.system_id for each in catalogue()}
    named = sorted((each.system_id for each in find([word])), key=lambda found: not folded(found).startswith(word))
    like = [ids[each] for each in get_close_matches(word, ids, NEAR)]
    return list(dict.fromkeys([*named, *like]))[:NEAR]


def _meant(ids: Sequence[str]) -> str:
    return f"; near to it are {', '.join(ids)}" if ids else "; `bike sources find` searches it"
