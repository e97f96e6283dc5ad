"""The topics' schemas as files: one JSON Schema a topic, and a page that shows them all.

`python -m bike_assets.model.schemas docs/schemas` writes them anew, and refuses a change that breaks somebody.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bike_assets.model.compatibility import breaks
from bike_assets.model.topics import RETENTION_DAYS, TOPICS, Topic, schema_text

PAGE = "README.md"

_HEAD = """\
# The topics and their messages

Each message is a JSON object in UTF-8; its key is the system, or `system/station`; an order's
its `order_id`, a member's a keyed hash of the id. All instants are UTC, in RFC 3339.
A schema changes only so that older messages stay readable: a field may come if messages may lack it, a value may
become null, wider, or one of more. The files beside this page are what a schema registry is told, as
`<topic>-value`, where `SCHEMA_REGISTRY_URL` names one.
"""


class Broken(Exception):
    """A schema changed so that somebody could not read on."""


def file_name(topic: Topic) -> str:
    return f"{topic.name}.json"


def page() -> str:
    """Markdown of every topic: how it is kept, and each field of its messages."""
    return "\n".join([_HEAD, *(line for topic in TOPICS for line in _topic(topic))])


def _topic(topic: Topic) -> Iterator[str]:
    days = f"all messages for {RETENTION_DAYS} days"
    kept = "the newest message of each key for ever" if topic.is_compacted else days
    table = f" They become `{topic.table.name}`." if topic.table else ""
    yield f"## {topic.name}\n"
    yield f"[{file_name(topic)}]({file_name(topic)}). Kept: {kept}.{table}\n"
    schema = topic.schema
    for kind in topic.message:
        message = schema["$defs"][kind.__name__]
        yield f"### {kind.__name__}\n"
        yield " ".join(message["description"].split()) + "\n"
        yield "| field | type | must be there | meaning |"
        yield "| --- | --- | --- | --- |"
        for name, field in message["properties"].items():
            must = "yes" if name in message.get("required", []) else ""
            yield f"| `{name}` | {_type(field, schema['$defs'])} | {must} | {_meaning(field, schema['$defs'])} |"
        yield ""


def _type(field: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(each, defs) for each in field["anyOf"])
    if "$ref" in field:
        return _type(defs[field["$ref"].rpartition("/")[2]], defs)
    if "enum" in field:
        return "one of " + ", ".join(f"`{each}`" for each in field["enum"])
    low, high = field.get("minimum"), field.get("maximum")
    bounds = f" from {low}" if low is not None and high is None else f" {low} to {high}" if low is not None else ""
    return f"{field.get('format', field['type'])}{bounds}"


def _meaning(field: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    found = field.get("description") or next((_meaning(each, defs) for each in field.get("anyOf", ())), "")
    return " ".join(found.split()).replace("|", r"\|")


def write(directory: Path) -> None:
    """Write the schemas and their page. Raises Broken, and writes nothing, where a change is not compatible."""
    found = [
        f"{topic.name}: {each}"
        for topic in TOPICS if (directory / file_name(topic)).exists()
        for each in breaks(json.loads((directory / file_name(topic)).read_text()), topic.schema)
    ]  # fmt: skip
    if found:
        raise Broken("; ".join(found))
    directory.mkdir(parents=True, exist_ok=True)
    for topic in TOPICS:
        (directory / file_name(topic)).write_text(schema_text(topic) + "\n")
    (directory / PAGE).write_text(page())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
