"""Where JCDecaux's contracts are: their feeds do not say it, and a local day needs a time zone."""

from functools import cache
from importlib.resources import files

import msgspec


class Contract(msgspec.Struct, frozen=True):
    """The city of a contract; `country` by ISO 3166-1 alpha-2, `timezone` by its IANA name."""

    city: str
    country: str
    timezone: str


def contract(name: str) -> Contract | None:
    """What is known of a contract, by its name in any case; None where it is not in the table."""
    return _contracts().get(name.lower())


@cache
def _contracts() -> dict[str, Contract]:
    text = files("bike_assets").joinpath("data/jcdecaux_contracts.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Contract])
