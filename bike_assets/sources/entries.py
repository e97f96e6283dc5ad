"""Entries of a sources file as text: what a person would have written."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bike_assets.model.errors import WrongSettings
from bike_assets.sources.config import Source, parse_sources

HEAD = "# The systems to poll, one [[systems]] entry each. No key belongs in here.\n"


def with_entries(path: Path, text: str, sources: Sequence[Source]) -> str:
    """The text of a sources file with these sources after what is there, to the letter as it was.

    Raises WrongSettings where the file would be wrong with them, or is already.
    """
    before = parse_sources(path, text)
    whole = text or HEAD
    if not whole.endswith("\n"):
        whole += "\n"
    whole += "".join(f"\n{entry(source)}" for source in sources)
    if "\r\n" in text:
        whole = text + whole[len(text) :].replace("\n", "\r\n")
    try:
        after = parse_sources(path, whole)
    except WrongSettings:
        after = ()
    if after != (*before, *sources):
        named = ", ".join(each for source in sources for each in source.system_ids)
        raise WrongSettings(f"{named} cannot be added to {path} by a [[systems]] entry at its end: write it yourself.")
    return whole


def entry(source: Source) -> str:
    """The lines of one entry, with what the source says and nothing that it leaves open."""
    values = {each.name: (getattr(source, each.name), each.default) for each in msgspec.structs.fields(source)}
    given = {name: value for name, (value, default) in values.items() if value != default}
    lines = [f"{key} = {_value(given[key])}" for key in sorted(given, key=_place)]
    return "\n".join(["[[systems]]", f"kind = {_value(source.__struct_config__.tag)}", *lines]) + "\n"


_FIRST = ("system_id", "contract", "contracts", "url")


def _place(key: str) -> int:
    return _FIRST.index(key) if key in _FIRST else len(_FIRST)


def _value(value: Any) -> str:
    # JSON's strings, numbers and arrays are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
