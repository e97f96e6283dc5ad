"""The topics' schemas in a schema registry, by the interface that Confluent's, Apicurio's and Redpanda's share."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import requests

from bike_assets.model.errors import RegistryDown, RegistryRefuses
from bike_assets.model.topics import TOPICS, Topic, schema_text

_TYPE = "application/vnd.schemaregistry.v1+json"
_DEADLINE_S = 10


def subject(topic: Topic) -> str:
    """What a topic's messages are called there: Kafka's usual name for values."""
    return f"{topic.name}-value"


def register(url: str) -> dict[str, int]:
    """Register every topic's schema; the id of each subject's. Twice registers nothing more.

    Raises RegistryDown, and RegistryRefuses where a schema is not compatible with the one that is there.
    """
    return dict(_registered(url.rstrip("/")))


def _registered(url: str) -> Iterator[tuple[str, int]]:
    with requests.Session() as session:
        for topic in TOPICS:
            yield subject(topic), _register(session, url, topic)


def _register(session: requests.Session, url: str, topic: Topic) -> int:
    try:
        answer = session.post(
            f"{url}/subjects/{subject(topic)}/versions",
            json={"schemaType": "JSON", "schema": schema_text(topic)},
            headers={"Content-Type": _TYPE, "Accept": _TYPE},
            timeout=_DEADLINE_S,
        )
    except requests.RequestException as err:
        # from None: the cause carries the whole address, and a password may stand in it.
        raise RegistryDown(f"The schema registry at {_place(url)} did not answer: {type(err).__name__}.") from None
    if answer.status_code >= requests.codes.server_error or answer.status_code == requests.codes.too_many:
        raise RegistryDown(f"The schema registry at {_place(url)} answered {answer.status_code}.")
    if not answer.ok:
        raise RegistryRefuses(
            f"The schema registry at {_place(url)} does not take {subject(topic)}: {answer.status_code} "
            f"{_message(answer)}."
        )
    try:
        return int(answer.json()["id"])
    except (ValueError, KeyError, TypeError):
        raise RegistryDown(f"What is at {_place(url)} does not answer as a schema registry.") from None


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"]).splitlines()[0].rstrip(".")
    except (ValueError, KeyError, TypeError, IndexError):
        return answer.reason


def _place(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
