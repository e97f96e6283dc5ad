"""The sources file: which systems to poll, one `[[systems]]` entry each. It holds no key.

```toml
[[systems]]
kind = "gbfs"
system_id = "oslobysykkel"
url = "https://gbfs.urbansharing.com/oslobysykkel.no/gbfs.json"

[[systems]]
kind = "jcdecaux"
contract = "lyon"                    # or contracts = ["lyon", "nantes"], by one request
version = 3                          # of the API; 1 where nothing is said
```
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from bike_assets.model.answers import ALL_CONTRACTS, JCDECAUX_PREFIX
from bike_assets.model.errors import WrongSettings
from bike_assets.sources.rows import NO_ID, Text, why

_SECRET = re.compile(r"^(.*_)?(api[-_]?)?key$|^(.*_)?(token|secret|password)$", re.IGNORECASE)
_URL_SECRET = re.compile(r"^api[-_]?key$", re.IGNORECASE)
KEYS_GO_ELSEWHERE = "a key does not belong in this file; JCDecaux's goes into the environment as BIKE_JCDECAUX_KEY"


class _Described(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What any entry may say: its own interval and service level, and words on the system that win over its feed's."""

    poll_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    service_level: Annotated[float, Meta(ge=0, le=1)] | None = None
    name: str | None = None
    city: str | None = None
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None
    timezone: str | None = None


class GbfsSource(_Described, kw_only=True, frozen=True, tag="gbfs"):
    """A GBFS system; `url` is that of its gbfs.json."""

    system_id: Text
    url: str

    @property
    def system_ids(self) -> tuple[str, ...]:
        """Whose answers its requests bring."""
        return (self.system_id,)

    @property
    def asked_as(self) -> str:
        """The `system_id` of its answers."""
        return self.system_id


class JcdecauxSource(_Described, kw_only=True, frozen=True, tag="jcdecaux"):
    """A contract of JCDecaux, or several that one request answers for; `version` is its API's, `url` another API's."""

    version: Literal[1, 3] = 1
    contract: Text | None = None
    contracts: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    url: str | None = None

    @property
    def system_ids(self) -> tuple[str, ...]:
        """Whose answers its requests bring."""
        names = self.contracts or (self.contract or "",)
        return tuple(JCDECAUX_PREFIX + name.lower() for name in names)

    @property
    def asked_as(self) -> str:
        """The `system_id` of its answers."""
        return ALL_CONTRACTS if self.contracts else self.system_ids[0]


Source = GbfsSource | JcdecauxSource


def load_sources(path: Path) -> tuple[Source, ...]:
    """The systems to poll, in the file's order. Raises WrongSettings naming file, line and key."""
    sources = parse_sources(path, read_text(path))
    if not sources:
        raise WrongSettings(f"{path} names no system: add a [[systems]] entry.")
    return sources


def read_text(path: Path) -> str:
    """The text of a sources file, its line ends as they are. Raises WrongSettings where it cannot be read."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        says = f"{path} does not exist: `bike sources add` makes it, or copy sources.example.toml to it."
        raise WrongSettings(says) from None
    except (OSError, UnicodeDecodeError) as err:
        raise WrongSettings(f"{path} cannot be read: {type(err).__name__}.") from None


def parse_sources(path: Path, text: str) -> tuple[Source, ...]:
    """The systems that a file of this text names, perhaps none. Raises WrongSettings naming file, line and key."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise WrongSettings(f"{path} is no TOML: {err}.") from None
    return _File(path, text, document).sources()


class _File:
    """A sources file, and where in it a mistake stands."""

    def __init__(self, path: Path, text: str, document: dict[str, Any]) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._document = document

    def sources(self) -> tuple[Source, ...]:
        unknown = sorted(self._document.keys() - {"systems"})
        if unknown:
            self._wrong(0, unknown[0], "there is nothing but [[systems]] in a sources file")
        entries = self._document.get("systems", [])
        if not isinstance(entries, list):
            raise WrongSettings(f"{self._path} names no system: add a [[systems]] entry.")
        sources = tuple(self._source(number, entry) for number, entry in enumerate(entries, start=1))
        self._refuse_doubles(sources)
        return sources

    def _source(self, number: int, entry: object) -> Source:
        if not isinstance(entry, dict):
            raise WrongSettings(f"{self._path}, entry {number}: it is no table; write [[systems]] above it.")
        for key in entry:
            if _SECRET.match(key):
                self._wrong(number, key, KEYS_GO_ELSEWHERE)
        try:
            source: Source = msgspec.convert(entry, Source)
        except msgspec.ValidationError as err:
            message, _, at = why(err).partition(" - at $")
            self._wrong(number, at.lstrip(".").split("[")[0] or _named_in(message), message)
        self._check(number, source)
        return source

    def _check(self, number: int, source: Source) -> None:
        for key in ("system_id", "contract", "contracts"):
            if key in source.__struct_fields__ and any(map(NO_ID.search, _texts(getattr(source, key)))):
                self._wrong(number, key, "an id has neither a slash nor control characters")
        if source.url is not None and (wrong := wrong_url(source.url)):
            self._wrong(number, "url", wrong)
        if source.timezone is not None and not is_zone(source.timezone):
            self._wrong(number, "timezone", "there is no such time zone; give an IANA name, as Europe/Oslo")
        if isinstance(source, GbfsSource):
            if source.system_id == ALL_CONTRACTS:
                self._wrong(number, "system_id", f"{ALL_CONTRACTS} stands for all JCDecaux contracts")
            return
        if (source.contract is None) == (source.contracts is None):
            self._wrong(number, "contract", "give either contract or contracts")
        for key in ("name", "city", "country", "timezone"):
            if source.contracts is not None and getattr(source, key) is not None:
                self._wrong(number, key, "it would hold for all contracts: give this one an entry of its own")

    def _refuse_doubles(self, sources: tuple[Source, ...]) -> None:
        seen: dict[str, int] = {}
        for number, source in enumerate(sources, start=1):
            for system_id in source.system_ids:
                if system_id in seen:
                    first = self._place(seen[system_id], "")
                    self._wrong(number, "", f"{system_id} is polled already by the entry at {first}; "
                                            "one system has one live feed")
                seen[system_id] = number

    def _wrong(self, number: int, key: str, sentence: str) -> NoReturn:
        place = ", ".join(filter(None, [str(self._path), self._place(number, key), key]))
        raise WrongSettings(f"{place}: {sentence}.")

    def _place(self, number: int, key: str) -> str:
        """The line of a key, or of its entry; the entry's number where the file has another form."""
        heads = [i for i, line in enumerate(self._lines) if re.match(r"\s*\[\[\s*systems\s*\]\]", line)]
        if number and len(heads) != len(self._document["systems"]):
            return f"entry {number}"
        start = heads[number - 1] if number else 0
        end = len(self._lines) if not number or number == len(heads) else heads[number]
        for line in range(start, end):
            if key and re.match(rf"\s*(\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*[=\].]", self._lines[line]):
                return f"line {line + 1}"
        return f"line {start + 1}"


def _named_in(message: str) -> str:
    """The field that `Object missing required field url` and its like speak of."""
    found = re.search(r"field (\w+)$", message)
    return found[1] if found else ""


def _texts(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value or ()


def wrong_url(url: str) -> str | None:
    """What keeps a URL out of a sources file; None where nothing does."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "this is no URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "give an http or https URL"
    if parts.username is not None or any(_URL_SECRET.match(name) for name, _ in parse_qsl(parts.query)):
        return KEYS_GO_ELSEWHERE
    return None


def is_zone(name: str) -> bool:
    """Whether there is an IANA time zone of this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
