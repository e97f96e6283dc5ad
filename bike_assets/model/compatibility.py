"""What may change in a topic's JSON Schema: old messages stay readable, and what readers rely on stays.

A field may be added if messages may lack it, and a value may become null, wider, or one of more. All else breaks
somebody: old messages lie in compacted topics for ever.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
_NULL = {"type": "null"}
_NOTHING: Schema = {"not": {}}
_PARTS = {"items": "items", "additionalProperties": "other fields"}
_NOTES = {"title", "description", "$defs", "default"}


def breaks(old: Schema, new: Schema) -> list[str]:
    """Each change that is not compatible, in a sentence; none where all are."""
    return list(_breaks("the message", old, new, old.get("$defs", {}), new.get("$defs", {})))


def _breaks(at: str, old: Schema, new: Schema, old_defs: Schema, new_defs: Schema) -> Iterator[str]:
    befores, afters = _kinds(old, old_defs), _kinds(new, new_defs)
    for before in befores:
        found = [list(_kind_breaks(at, before, after, old_defs, new_defs)) for after in afters]
        if not any(not each for each in found):
            yield min(found, key=len)[0] if found else f"{at} is gone"


def _written(schema: Schema | bool) -> Schema:
    """A schema in words: `true` allows anything, as one does that is not there, and `false` nothing."""
    return schema if isinstance(schema, Mapping) else {} if schema else _NOTHING


def _kinds(schema: Schema | bool, defs: Schema) -> list[Schema]:
    """The alternatives that a schema allows, references followed."""
    schema = _written(schema)
    if "$ref" in schema:
        return _kinds(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in schema:
        return [kind for each in schema["anyOf"] for kind in _kinds(each, defs)]
    return [schema]


def _kind_breaks(at: str, old: Schema, new: Schema, old_defs: Schema, new_defs: Schema) -> Iterator[str]:
    if old.get("type") != new.get("type") and not (old.get("type") == "integer" and new.get("type") == "number"):
        yield f"{at} was {old.get('type', 'anything')} and is {new.get('type', 'anything')}"
        return
    yield from _values(at, old, new)
    yield from _fields(at, old, new, old_defs, new_defs)
    for part, called in _PARTS.items():
        if part not in old and part not in new:
            continue
        before, after = _written(old.get(part, True)), _written(new.get(part, True))
        if before == _NOTHING:
            continue  # no message has any
        if after == _NOTHING:
            yield f"{at} may have no {called} any more"
        else:
            yield from _breaks(f"each of {at}", before, after, old_defs, new_defs)
    known = {*_NOTES, "type", "enum", "minimum", "maximum", "properties", "required", "items", "additionalProperties"}
    for word in sorted({*old, *new} - known):
        if old.get(word) != new.get(word):
            yield f"{at} has another {word}: {new.get(word)}, and was {old.get(word)}"


def _values(at: str, old: Schema, new: Schema) -> Iterator[str]:
    if "enum" in new:
        for value in old.get("enum", ["anything"]):
            if value not in new["enum"]:
                yield f"{at} may not be {value} any more"
    for word, sign in (("minimum", 1), ("maximum", -1)):
        if word in new and (word not in old or sign * new[word] > sign * old[word]):
            yield f"{at} has a narrower {word}: {new[word]}"


def _fields(at: str, old: Schema, new: Schema, old_defs: Schema, new_defs: Schema) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before:
        if name not in after:
            yield f"{at} has no {name} any more"
        else:
            yield from _breaks(name, before[name], after[name], old_defs, new_defs)
    for name in new.get("required", []):
        if name not in old.get("required", []):
            yield f"{at} must have {name} now, which messages of before lack"
    for name in old.get("required", []):
        if name in after and name not in new.get("required", []):
            yield f"{at} may lack {name} now, which readers rely on"
