"""Where an asset's page in Dagster leads on to."""

from functools import cache
from typing import Any

import dagster as dg

from bike_assets.model.schema import Table
from bike_assets.settings import load_settings


@cache
def _page() -> str:
    """Read once, where the first asset is declared: what it shows is part of it."""
    return load_settings().page_url


def links(table: Table | None = None) -> dict[str, Any]:
    """The live page and the data dictionary, at the table's place where it is one."""
    page = _page()
    return {
        "live_page": dg.MetadataValue.url(page),
        "dictionary": dg.MetadataValue.url(f"{page}/dictionary" + (f"#{table.name}" if table else "")),
    }
