"""The topics' schemas in a schema registry, by the interface that Confluent's, Apicurio's and Redpanda's share.

What may change in a schema is our own rule (`model/compatibility.py`): no level that registries have says the same. At
BACKWARD, Confluent's refuses a new field in an object that may have others, and at FORWARD a new value. So a schema is
held here against the newest that the registry has, and a subject without a level of its own gets the level NONE.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests

from bike_assets.model.compatibility import breaks
from bike_assets.model.errors import RegistryDown, RegistryRefuses
from bike_assets.model.topics import TOPICS, Topic, schema_text

_TYPE = "application/vnd.schemaregistry.v1+json"
_DEADLINE_S = 10
_LEVEL = "NONE"


def subject(topic: Topic) -> str:
    """What a topic's messages are called there: Kafka's usual name for values."""
    return f"{topic.name}-value"


def register(url: str) -> dict[str, int]:
    """Register every topic's schema; the id of each subject's. Twice registers nothing more.

    Raises RegistryDown, and RegistryRefuses where a schema is not compatible with the one that is there.
    """
    with requests.Session() as session:
        there = _Registry(session, url.rstrip("/"))
        return {subject(topic): _register(there, topic) for topic in TOPICS}


class _Registry:
    """What is asked of a registry. Every answer but a success and a "not found" is an error of ours."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self._session, self._url = session, url
        self.place = urlsplit(url).netloc.rpartition("@")[2]

    def ask(self, method: str, path: str, told: Mapping[str, str] | None = None) -> requests.Response:
        """Raises RegistryDown."""
        try:
            answer = self._session.request(
                method, f"{self._url}/{path}", json=told, headers={"Content-Type": _TYPE, "Accept": _TYPE},
                timeout=_DEADLINE_S,
            )  # fmt: skip
        except requests.RequestException as err:
            # from None: the cause carries the whole address, and a password may stand in it.
            raise RegistryDown(f"The schema registry at {self.place} did not answer: {type(err).__name__}.") from None
        if answer.status_code >= requests.codes.server_error or answer.status_code == requests.codes.too_many:
            raise RegistryDown(f"The schema registry at {self.place} answered {answer.status_code}.")
        return answer

    def value(self, answer: requests.Response, name: str) -> Any:
        """Raises RegistryDown."""
        try:
            return answer.json()[name]
        except (ValueError, KeyError, TypeError):
            raise RegistryDown(f"What is at {self.place} does not answer as a schema registry.") from None

    def refuses(self, topic: Topic, why: str) -> RegistryRefuses:
        return RegistryRefuses(f"The schema registry at {self.place} does not take {subject(topic)}: {why}.")


def _register(there: _Registry, topic: Topic) -> int:
    path, told = f"subjects/{subject(topic)}", {"schemaType": "JSON", "schema": schema_text(topic)}
    known = there.ask("POST", path, told)  # which looks, and registers nothing
    if known.ok:
        return _id(there, known)
    if found := next(_breaks(there, topic), None):
        raise there.refuses(topic, f"its newest schema is no longer kept, {found}")
    level = _level(there, topic)
    answer = there.ask("POST", f"{path}/versions", told)
    if not answer.ok:
        told_by = "" if level == _LEVEL else f" (its compatibility level is {level}, and should be {_LEVEL})"
        raise there.refuses(topic, f"{answer.status_code} {_message(answer)}{told_by}")
    return _id(there, answer)


def _id(there: _Registry, answer: requests.Response) -> int:
    try:
        return int(there.value(answer, "id"))
    except (ValueError, TypeError):
        raise RegistryDown(f"What is at {there.place} does not answer as a schema registry.") from None


def _breaks(there: _Registry, topic: Topic) -> Iterator[str]:
    """What our schema breaks of the newest one there."""
    newest = there.ask("GET", f"subjects/{subject(topic)}/versions/latest")
    if newest.ok:
        try:
            yield from breaks(msgspec.json.decode(there.value(newest, "schema")), topic.schema)
        except (msgspec.DecodeError, TypeError, AttributeError, KeyError):
            yield "for it is none of JSON's"


def _level(there: _Registry, topic: Topic) -> str:
    """The subject's level, set where it has none of its own; one that somebody has set stays."""
    own = there.ask("GET", f"config/{subject(topic)}")
    if own.ok:
        return str(there.value(own, "compatibilityLevel"))
    is_set = there.ask("PUT", f"config/{subject(topic)}", {"compatibility": _LEVEL}).ok
    return _LEVEL if is_set else "the registry's own"


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"]).splitlines()[0].rstrip(".")
    except (ValueError, KeyError, TypeError, IndexError):
        return answer.reason
