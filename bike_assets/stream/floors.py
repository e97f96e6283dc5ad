"""Offsets below which all that a topic held is in the tables, or was replaced there.

The tables alone say how far they have come, by the highest offset of their rows; but a row that was replaced is gone,
and its message would be read once more by a query whose checkpoint is gone.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from bike_assets.files import write_whole

Floors = dict[str, dict[str, int]]
"""The first offset that may still be needed, by topic and partition."""


def floors(lake: Path) -> Floors:
    """What was noted; nothing where nothing was ever replaced."""
    note = _note(lake)
    found: Floors = json.loads(note.read_text()) if note.exists() else {}
    return found


def raise_floors(lake: Path, ends: Mapping[str, Mapping[str, int]]) -> None:
    """Note where the topics end, while the tables hold all of it."""
    write_whole(_note(lake), json.dumps(ends).encode())


def _note(lake: Path) -> Path:
    # Beside the tables, and not the checkpoints: it is needed once these are gone.
    return lake / "replaced_below.json"
