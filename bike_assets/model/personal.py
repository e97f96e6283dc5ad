"""What of a member leaves the poller, field by field: the one place where that is said.

A row of the members API is made into a `User` by this list and by nothing else. What it drops, and every field that
it does not name, is in no topic, table, file, log or rejection. `HASHED` is HMAC-SHA-256 with a key of the settings:
who has the key can look for an address that they know, and nobody can read one back.
"""

import hashlib
import hmac
import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from bike_assets.model.errors import WrongSettings

KEY_CHARACTERS = 32
TEXT_CHARACTERS = 200
POSTCODE_CHARACTERS = 2
FIRST_YEAR, LAST_YEAR = 1850, 2200
HOW_TO_MAKE_A_KEY = "`openssl rand -hex 32` makes one; keep it as long as the members: no other finds or forgets them."


class Treatment(StrEnum):
    """What becomes of a field."""

    KEPT = "kept"
    HASHED = "hashed"
    CUT = "cut"
    DROPPED = "dropped"


class RowRefused(Exception):
    """A row that is no member; the reason names the field and never its value."""


class Keyed:
    """Hashes with the key. Two kinds of values that are alike have different hashes."""

    def __init__(self, key: str) -> None:
        """Raises WrongSettings for a key that could be guessed."""
        if len(key) < KEY_CHARACTERS:
            raise WrongSettings(f"BIKE_MEMBERS_KEY needs {KEY_CHARACTERS} characters or more. {HOW_TO_MAKE_A_KEY}")
        self._key = key.encode()
        self.check = self.hash("check", "")

    def hash(self, kind: str, value: str) -> str:
        """64 characters that only this key makes of this value."""
        return hmac.new(self._key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()

    def member(self, member_id: str) -> str:
        """By which a member is known in Kafka's keys and after having been forgotten."""
        return self.hash("member", member_id)

    def email(self, address: str) -> str:
        return self.hash("email", _email(address))


class Rule(NamedTuple):
    """What becomes of the field at a path: `make` gives what is kept, cut, or hashed then."""

    path: str
    treatment: Treatment
    column: str | None = None
    make: Callable[[Any], Any] | None = None
    must_be_there: bool = False


def member_id(value: Any) -> str:
    """An id as it is kept. Raises ValueError where it is none."""
    return str(uuid.UUID(_text(value)))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is no text")  # noqa: TRY004  told as any other value that cannot be
    text = value.strip()
    if not text or len(text) > TEXT_CHARACTERS or not text.isprintable():
        raise ValueError(f"is empty, longer than {TEXT_CHARACTERS} characters, or cannot be printed")
    return text


def _email(value: Any) -> str:
    text = _text(value).lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", text):
        raise ValueError("is no address")
    return text


def _instant(value: Any) -> datetime:
    at = datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError("has no time zone")
    return at.astimezone(UTC)


def _year(value: Any) -> int:
    year = _instant(value).year
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError("is no date of a birth")
    return year


def _postcode_area(value: Any) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)
    return text[:POSTCODE_CHARACTERS].strip().upper()


def _rounded(limit: int) -> Callable[[Any], float]:
    def rounded(value: Any) -> float:
        degrees = float(value) if isinstance(value, int | float) else float(_text(value))
        if not math.isfinite(degrees) or abs(degrees) > limit:
            raise ValueError("is no place on earth")
        return round(degrees, 1)

    return rounded


_K, _H, _C, _D = Treatment
POLICY = (
    Rule("login.uuid", _K, "member_id", member_id, must_be_there=True),
    Rule("registered.date", _K, "registered_at", _instant, must_be_there=True),
    Rule("gender", _K, "gender", _text),
    Rule("location.city", _K, "city", _text),
    Rule("location.state", _K, "state", _text),
    Rule("location.country", _K, "country", _text),
    Rule("nat", _K, "nationality", _text),
    Rule("email", _H, "email_hash", _email, must_be_there=True),
    Rule("login.username", _H, "username_hash", _text),
    Rule("dob.date", _C, "birth_year", _year),
    Rule("location.postcode", _C, "postcode_area", _postcode_area),
    Rule("location.coordinates.latitude", _C, "lat", _rounded(90)),
    Rule("location.coordinates.longitude", _C, "lon", _rounded(180)),
    *(Rule(path, _D) for path in (
        "login.password", "login.salt", "login.md5", "login.sha1", "login.sha256",
        "name.title", "name.first", "name.last", "location.street.number", "location.street.name",
        "location.timezone.offset", "location.timezone.description", "dob.age", "registered.age", "phone", "cell",
        "id.name", "id.value", "picture.large", "picture.medium", "picture.thumbnail",
    )),
)  # fmt: skip
"""Every field of the API's format (randomuser.me, 1.4)."""


def what_is_left(row: Any, keyed: Keyed) -> dict[str, Any]:
    """The columns of a row. Raises RowRefused."""
    if not isinstance(row, Mapping):
        raise RowRefused("the row is no object")
    found: dict[str, Any] = {}
    for rule in POLICY:
        if rule.column is None or rule.make is None:
            continue
        value = _at(row, rule.path)
        if value is None and rule.must_be_there:
            raise RowRefused(f"{rule.path} is missing")
        try:
            made = None if value is None else rule.make(value)
        except (ValueError, OverflowError) as err:
            raise RowRefused(f"{rule.path}: {_said(err)}") from None
        if rule.treatment is Treatment.HASHED and made is not None:
            made = keyed.hash(rule.column.removesuffix("_hash"), str(made))
        found[rule.column] = made
    return found


def _said(err: Exception) -> str:
    """What our own functions said; what libraries say repeats the value."""
    said = str(err)
    return said if said.startswith(("is ", "has ")) else "cannot be read"


def _at(row: Any, path: str) -> Any:
    for name in path.split("."):
        row = row.get(name) if isinstance(row, Mapping) else None
    return row


def shape_of(row: Any) -> dict[str, str]:
    """What may be told of a refused row: of each field that the policy names, which kind of value it has."""
    kinds = ((rule.path, _at(row, rule.path)) for rule in POLICY)
    return {path: _kind(value) for path, value in kinds}


def _kind(value: Any) -> str:
    names = {str: "text", bool: "flag", int: "number", float: "number", dict: "object", list: "list"}
    return "nothing" if value is None else names.get(type(value), "other")
