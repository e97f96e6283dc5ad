"""The schemas of GBFS, which are MobilityData's: see the LICENSE here."""

import json
from pathlib import Path
from typing import Any

SCHEMA_VERSIONS = ("2.2", "2.3", "3.0")


def schema(version: str, feed: str) -> dict[str, Any]:
    """What a file of this version may be."""
    text = (Path(__file__).parent / f"v{version}" / f"{feed}.json").read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded
