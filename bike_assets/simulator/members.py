"""Members who sign up, served as randomuser.me serves people (its format 1.4): all of them made up here.

The same seed and number is the same person, on whichever page of whichever size. A new one signs up every SIGNS_UP_S;
so a list has an end that moves, as that of an operator has.
"""

import hashlib
import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

FIRST_MEMBERS = 120
SIGNS_UP_S = 30.0
MOST_RESULTS = 5_000

_FIRST = {"female": ("Ada", "Birgit", "Claire", "Ingrid", "Maëlle", "Nora", "Solveig", "Yvonne"),
          "male": ("Anders", "Bruno", "Didrik", "Émile", "Gaspard", "Håkon", "Loïc", "Sigurd")}  # fmt: skip
_TITLES = {"female": "Ms", "male": "Mr"}
_LAST = ("Aas", "Bakke", "Cordier", "Dubois", "Eide", "Fournier", "Grosjean", "Haugen", "Lund", "Nygård", "Perrin")
_STREETS = ("Storgata", "Rue des Granges", "Parkveien", "Quai Vauban", "Bogstadveien", "Grande Rue")
_WORDS = ("amber", "brisk", "copper", "dapper", "early", "fleet", "gentle", "hazel")
_PLACES = (
    ("NO", "Norway", "Oslo", "Oslo", "0", 59.91, 10.75), ("NO", "Norway", "Akershus", "Bærum", "13", 59.89, 10.52),
    ("FR", "France", "Doubs", "Besançon", "25", 47.24, 6.02), ("FR", "France", "Jura", "Dole", "39", 47.09, 5.49),
)  # fmt: skip


def person(seed: str, number: int, registered: datetime) -> dict[str, Any]:
    """The person of this number, from 0."""
    chance = random.Random(f"{seed}/{number}")
    gender = chance.choice(sorted(_FIRST))
    first, last = chance.choice(_FIRST[gender]), chance.choice(_LAST)
    nat, country, state, city, postcode, lat, lon = chance.choice(_PLACES)
    born = datetime(1950, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(55 * 365 * 86_400))
    password, salt = f"{chance.choice(_WORDS)}{chance.randrange(10**6)}", f"{chance.getrandbits(48):012x}"
    picture = f"https://pictures.example/{'women' if gender == 'female' else 'men'}/{chance.randrange(100)}.jpg"
    return {
        "gender": gender,
        "name": {"title": _TITLES[gender], "first": first, "last": last},
        "location": {
            "street": {"number": chance.randrange(1, 400), "name": chance.choice(_STREETS)},
            "city": city, "state": state, "country": country,
            "postcode": f"{postcode}{chance.randrange(10 ** (5 - len(postcode))):0{5 - len(postcode)}}",
            "coordinates": {"latitude": f"{lat + chance.uniform(-0.05, 0.05):.4f}",
                            "longitude": f"{lon + chance.uniform(-0.05, 0.05):.4f}"},
            "timezone": {"offset": "+1:00", "description": "Brussels, Copenhagen, Madrid, Paris"},
        },
        "email": f"{_ascii(first)}.{_ascii(last)}.{seed}{number}@example.com".lower(),
        "login": {
            "uuid": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "username": f"{chance.choice(_WORDS)}{_ascii(last).lower()}{number}",
            "password": password, "salt": salt, **_hashes(password + salt),
        },
        "dob": {"date": _said(born), "age": (registered - born).days // 365},
        "registered": {"date": _said(registered), "age": 0},
        "phone": f"{chance.randrange(10**8):08}", "cell": f"{chance.randrange(10**8):08}",
        "id": {"name": "FN", "value": f"{born:%d%m%y}{chance.randrange(10**5):05}"},
        "picture": {size: picture.replace("example/", f"example/{size}/") for size in ("large", "medium", "thumbnail")},
        "nat": nat,
    }  # fmt: skip


def page(seed: str, number: int, results: int, began: datetime, now: datetime) -> bytes:
    """A page of those who had signed up by then, as the API answers it."""
    results = results if 1 <= results <= MOST_RESULTS else 1
    number = max(1, number)
    members = FIRST_MEMBERS + max(0, int((now - began).total_seconds() / SIGNS_UP_S))
    first = (number - 1) * results
    people = [
        person(seed, each, began + timedelta(seconds=(each - FIRST_MEMBERS) * SIGNS_UP_S))
        for each in range(first, min(first + results, members))
    ]
    info = {"seed": seed, "results": len(people), "page": number, "version": "1.4"}
    return json.dumps({"results": people, "info": info}, ensure_ascii=False).encode()


def _hashes(salted: str) -> dict[str, str]:
    return {name: hashlib.new(name, salted.encode()).hexdigest() for name in ("md5", "sha1", "sha256")}


def _ascii(name: str) -> str:
    return "".join(each for each in name if each.isascii())


def _said(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
